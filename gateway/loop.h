/* loop.h - the turn: one epoll set, one timer queue, one GSource.
 *
 * What it is: where events become calls.  The epoll descriptor is registered once as a GSource in the gateway's own GMainContext; all
 * data-path descriptors stand in it, edge-triggered or not as their owner asks, and never change their mask.
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

struct loop *loop_new(GMainContext *ctx, GError **err); /* takes a reference on ctx */
/* Runs the reaper first; NULL is a no-op.  Not from a callback of a watch, timer or reaper; from on_gone it is legal. */
void loop_free(struct loop *l);

/* What a turn drives, besides watches and timers; once.  on_gone: rx() returned -err (so err is a positive errno), or the
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

/* at: microseconds as loop_now(); TIMERQ_NEVER cancels.  False: no memory (setting a queued timer again cannot fail). */
bool loop_timer_set(struct loop *l, struct loop_timer *t, int64_t at);

void loop_reap_later(struct loop *l, struct loop_reap *r, void (*fn)(struct loop_reap *r));

/* Something was done from outside a turn (a connection dropped, a datagram queued): run a turn soon.  Callable from the loop's thread. */
void loop_kick(struct loop *l);

int64_t loop_now(void); /* CLOCK_MONOTONIC, microseconds */
uint64_t loop_turns(const struct loop *l);

#endif
