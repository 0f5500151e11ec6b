/* loop.h - the turn: one epoll set, one timer queue, one clock.
 *
 * What it is: where events become calls.  All data-path descriptors stand in one epoll set, edge-triggered or not as their owner asks, and
 * never change their mask.  Two hosts: a GLib main context, in which the set is one GSource (loop_new), or an application with a poll()
 * and a clock of its own, for which the set is one descriptor (loop_new_driven).
 * What it is not: a thread, a place for blocking work, an owner of watches.
 * Rules: a watch or timer callback may remove any watch or timer, also its own; events already fetched for a removed watch are
 * skipped; memory that holds a watch is freed only by the reaper at the end of the turn (loop_reap_later).
 * Below: slirp/base, slirp/stack.h, link.h.  Above: gateway.c, flow_tcp.c, dial.c, dns_relay.c, hostinfo's owner.
 */
#ifndef GATEWAY_LOOP_H
#define GATEWAY_LOOP_H

#include "gateway/link.h"
#include "slirp/base/list.h"
#include "slirp/base/timerq.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct stack;

/* One descriptor in the epoll set; embed it.  Zeroed: not registered. */
struct loop_watch {
	void (*fn)(struct loop_watch *w, uint32_t events, int64_t now); /* EPOLL* bits */
	int fd;
	bool active;
};

/* One deadline; embed it.  Zeroed: not set. */
struct loop_timer {
	struct timer timer;
	void (*fn)(struct loop_timer *t, int64_t now);
};

/* Memory to be freed at the end of the turn; embed it. */
struct loop_reap {
	struct list node;
	void (*fn)(struct loop_reap *r);
};

/* Whose time it is. */
struct loop_clock {
	int64_t (*now)(void *arg); /* microseconds, never backwards; NULL: CLOCK_MONOTONIC */
	void *arg;
};

struct loop *loop_new(GMainContext *ctx, GError **err); /* takes a reference on ctx; CLOCK_MONOTONIC */

/* A loop that the application drives:
 *
 *	loop_due()  -->  poll() on loop_fd() until then, at most  -->  loop_run()
 *
 * Between loop_due() and loop_run() the application may be asleep, perhaps in another thread that has handed us the one lock there is: whatever
 * brings the next turn forward then makes loop_fd() readable and calls bell (NULL: none). */
struct loop *loop_new_driven(const struct loop_clock *clock, void (*bell)(void *arg), void *arg, GError **err);
int loop_fd(const struct loop *l);
/* When loop_run() must be called if the descriptor stays silent: on the loop's clock; 0: now; TIMERQ_NEVER: never. */
int64_t loop_due(struct loop *l);
/* Runs turns until none is due, a bounded number and time.  From inside a turn: does nothing. */
void loop_run(struct loop *l);

/* Runs the reaper first; NULL is a no-op.  Not from a callback of a watch, timer or reaper; from on_gone it is legal. */
void loop_free(struct loop *l);

/* What a turn drives, besides watches and timers; once.  A link without descriptor (-1) speaks up by loop_link_ready().  on_gone: rx() returned -err (so err is a positive errno), or the
 * link's descriptor cannot be watched; called once, after the turn, and from then on neither link nor st is touched. */
void loop_drive(struct loop *l, struct link *link, struct stack *st, void (*on_gone)(void *arg, int err), void *arg);

/* Called in each turn in front of stack_flush(), while what the link handed out is still there: what was gathered leaves now; once. */
void loop_before_flush(struct loop *l, void (*fn)(void *arg, int64_t now), void *arg);

/* The context is the gateway's own: while traffic flows, turn follows turn in our epoll set without GLib's poll() in front of each; a
 * descriptor of another source, or 20 ms of silence, goes back to GLib.  Timeouts of the context may be 100 ms late.  An idle loop sleeps in GLib. */
void loop_linger(struct loop *l);

/* Registers fd for events (EPOLLIN and so on, EPOLLET where wanted).  0 or -errno. */
int loop_watch_add(struct loop *l, struct loop_watch *w, int fd, uint32_t events);
/* Registers the same mask again, so that an edge-triggered condition that holds now is reported (again).  */
void loop_watch_rearm(struct loop *l, struct loop_watch *w, uint32_t events);
/* Takes the watch out; harmless when it is not in.  The caller closes the descriptor afterwards. */
void loop_watch_remove(struct loop *l, struct loop_watch *w);

/* Takes the watch out and closes its descriptor, which must have no duplicate: closing is what takes it out of the set. */
void loop_watch_close(struct loop *l, struct loop_watch *w);

/* What the queue of deadlines grows with; NULL, as at first: none is made to fail. */
void loop_use_mem(struct loop *l, struct mem *m);

/* at: microseconds as loop_now(); TIMERQ_NEVER cancels.  False: no memory (setting a queued timer again cannot fail). */
bool loop_timer_set(struct loop *l, struct loop_timer *t, int64_t at);

void loop_reap_later(struct loop *l, struct loop_reap *r, void (*fn)(struct loop_reap *r));

/* Something was done from outside a turn (a connection dropped, a datagram queued): run a turn soon.  Callable from the loop's thread. */
void loop_kick(struct loop *l);

/* rx() of the link has work, which its descriptor does not say. */
void loop_link_ready(struct loop *l);
/* The same for an application's loop, and one turn at once, which looks at the link and at no descriptor: cheaper than to wait for loop_run()
 * when the frame is alone.  From inside a turn: loop_link_ready(). */
void loop_link_now(struct loop *l);
bool loop_in_turn(const struct loop *l);

int64_t loop_now(const struct loop *l); /* microseconds on the loop's clock; NULL: CLOCK_MONOTONIC */
uint64_t loop_turns(const struct loop *l);

#endif
