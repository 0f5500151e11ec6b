/* loop_test.c - the turn: its order, removal during a batch, timers, reaping, sleeping and waking.
 *
 * Contract C10: what has ended is skipped for the rest of the batch, and freed at the end of the turn.
 * Below: gateway/loop.h, loop_fake.h.
 */
#include "tests/unit/gateway/loop_fake.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Runs the context until it has nothing to do. */
static void settle(struct fixture *f)
{
	while (g_main_context_iteration(f->ctx, FALSE))
		;
}

static void set_up(struct fixture *f, gconstpointer data)
{
	GError *err = NULL;

	f->journal = g_string_new(NULL);
	f->ctx = g_main_context_new();
	f->loop = loop_new(f->ctx, &err);
	g_assert_no_error(err);
	f->stack = (struct stack){ .journal = f->journal, .deadline = TIMERQ_NEVER };
	f->link = (struct link){ .ops = &fake_ops, .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
	if (data)
		loop_drive(f->loop, &f->link, &f->stack, on_gone, f);
	settle(f);
	g_string_truncate(f->journal, 0);
}

static void tear_down(struct fixture *f, gconstpointer data)
{
	loop_free(f->loop);
	g_main_context_unref(f->ctx);
	if (f->link.fd >= 0)
		close(f->link.fd);
	g_string_free(f->journal, TRUE);
}

/* --- watches --- */

enum { CROWD = 100 };

/* Descriptors that are all ready, one more each time they are asked; edge-triggered, so that each is reported once. */
struct member {
	struct loop_watch w;
	struct loop_reap reap;
	struct crowd *crowd;
	unsigned calls;
	bool freed;
};

struct crowd {
	struct loop *loop;
	struct member m[CROWD];
	int n;
	bool remove_all; /* the first one called takes everyone out and has them reaped */
	unsigned calls;
};

static void member_reap(struct loop_reap *r)
{
	struct member *m = container_of(r, struct member, reap);

	g_assert_false(m->freed);
	m->freed = true;
}

static void member_event(struct loop_watch *w, uint32_t events, int64_t now)
{
	struct member *m = container_of(w, struct member, w);
	struct crowd *c = m->crowd;

	g_assert_cmpuint(events & EPOLLIN, ==, EPOLLIN);
	g_assert_cmpint(now, <=, loop_now(NULL));
	g_assert_false(m->freed);
	m->calls++;
	c->calls++;
	for (int i = 0; c->remove_all && i < c->n; i++) {
		loop_watch_remove(c->loop, &c->m[i].w);
		loop_watch_remove(c->loop, &c->m[i].w); /* harmless */
		loop_reap_later(c->loop, &c->m[i].reap, member_reap);
		g_assert_false(c->m[i].freed);
	}
}

static void crowd_open(struct crowd *c, struct loop *l, int n)
{
	c->loop = l;
	c->n = n;
	for (int i = 0; i < n; i++) {
		c->m[i].crowd = c;
		c->m[i].w.fn = member_event;
		g_assert_cmpint(loop_watch_add(l, &c->m[i].w, eventfd(1, EFD_NONBLOCK), EPOLLIN | EPOLLET), ==, 0);
	}
}

static void crowd_close(struct crowd *c)
{
	for (int i = 0; i < c->n; i++) {
		loop_watch_remove(c->loop, &c->m[i].w);
		close(c->m[i].w.fd);
	}
}

static void watch_batch(struct fixture *f, gconstpointer data)
{
	struct crowd c = { 0 };

	crowd_open(&c, f->loop, CROWD);
	settle(f);
	g_assert_cmpuint(c.calls, ==, CROWD); /* more than one batch, each once */
	for (int i = 0; i < CROWD; i++)
		g_assert_cmpuint(c.m[i].calls, ==, 1);
	crowd_close(&c);
}

static void watch_remove_in_batch(struct fixture *f, gconstpointer data)
{
	struct crowd c = { .remove_all = true };

	crowd_open(&c, f->loop, 10);
	settle(f);
	g_assert_cmpuint(c.calls, ==, 1);
	for (int i = 0; i < c.n; i++)
		g_assert_true(c.m[i].freed);
	crowd_close(&c);
}

static void watch_add_fails(struct fixture *f, gconstpointer data)
{
	struct loop_watch w = { 0 };

	g_assert_cmpint(loop_watch_add(f->loop, &w, -1, EPOLLIN), ==, -EBADF);
	g_assert_false(w.active);
	loop_watch_rearm(f->loop, &w, EPOLLIN);
	loop_watch_remove(f->loop, &w);
}

static void watch_rearm(struct fixture *f, gconstpointer data)
{
	struct crowd c = { 0 };

	crowd_open(&c, f->loop, 1);
	settle(f);
	settle(f);
	g_assert_cmpuint(c.calls, ==, 1); /* an edge is one event */
	loop_watch_rearm(f->loop, &c.m[0].w, EPOLLIN | EPOLLET);
	settle(f);
	g_assert_cmpuint(c.calls, ==, 2);
	crowd_close(&c);
}

/* A descriptor number that the first callback closes and opens again: the old event must not reach the new watch. */
struct reuse {
	struct loop_watch old[2], fresh;
	struct loop *loop;
	unsigned fresh_calls;
};

static void reuse_fresh(struct loop_watch *w, uint32_t events, int64_t now)
{
	container_of(w, struct reuse, fresh)->fresh_calls++;
}

static void reuse_swap(struct reuse *r, struct loop_watch *victim)
{
	int fd = victim->fd;

	loop_watch_remove(r->loop, victim);
	close(fd);
	fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	g_assert_cmpint(fd, ==, victim->fd);
	r->fresh.fn = reuse_fresh;
	g_assert_cmpint(loop_watch_add(r->loop, &r->fresh, fd, EPOLLIN), ==, 0);
}

static void reuse_first(struct loop_watch *w, uint32_t events, int64_t now)
{
	struct reuse *r = container_of(w, struct reuse, old[0]);

	loop_watch_remove(r->loop, w);
	reuse_swap(r, &r->old[1]);
}

static void reuse_second(struct loop_watch *w, uint32_t events, int64_t now)
{
	struct reuse *r = container_of(w, struct reuse, old[1]);

	loop_watch_remove(r->loop, w);
	reuse_swap(r, &r->old[0]);
}

static void watch_reused_number(struct fixture *f, gconstpointer data)
{
	struct reuse r = { .loop = f->loop, .old = { { .fn = reuse_first }, { .fn = reuse_second } } };

	for (int i = 0; i < 2; i++)
		g_assert_cmpint(loop_watch_add(f->loop, &r.old[i], eventfd(1, EFD_NONBLOCK), EPOLLIN), ==, 0);
	settle(f);
	g_assert_cmpuint(r.fresh_calls, ==, 0);
	loop_watch_remove(f->loop, &r.fresh);
	close(r.old[0].fd);
	close(r.old[1].fd);
}

/* --- timers --- */

struct alarm {
	struct loop_timer t;
	struct fixture *f;
	struct alarm *cancels;
	int64_t again; /* set anew for now + this */
	char name;
};

static void alarm_fn(struct loop_timer *t, int64_t now)
{
	struct alarm *a = container_of(t, struct alarm, t);

	g_string_append_c(a->f->journal, a->name);
	if (a->cancels)
		g_assert_true(loop_timer_set(a->f->loop, &a->cancels->t, TIMERQ_NEVER));
	if (a->again)
		g_assert_true(loop_timer_set(a->f->loop, t, now + a->again));
}

static void alarms_init(struct fixture *f, struct alarm *a, int n)
{
	for (int i = 0; i < n; i++)
		a[i] = (struct alarm){ .f = f, .t = { .fn = alarm_fn }, .name = (char)('A' + i) };
}

static void timer_order(struct fixture *f, gconstpointer data)
{
	struct alarm a[6];
	int64_t now = loop_now(NULL);

	alarms_init(f, a, 6);
	a[1].cancels = &a[3];
	loop_timer_set(f->loop, &a[0].t, now + 2000);
	loop_timer_set(f->loop, &a[1].t, now + 1000);
	loop_timer_set(f->loop, &a[2].t, now + 1000); /* equal: in the order of setting */
	loop_timer_set(f->loop, &a[3].t, now + 1500); /* cancelled by B in the same turn */
	loop_timer_set(f->loop, &a[4].t, now + 3600000000);
	loop_timer_set(f->loop, &a[5].t, now);
	loop_timer_set(f->loop, &a[5].t, TIMERQ_NEVER);
	g_usleep(3000);
	settle(f);
	g_assert_cmpstr(f->journal->str, ==, "BCA");
	loop_timer_set(f->loop, &a[4].t, TIMERQ_NEVER);
}

/* A sleeping context wakes for a timer that was set from outside a turn, not before and not over and over. */
static void timer_wakes(struct fixture *f, gconstpointer data)
{
	struct alarm a[1];
	int64_t start = loop_now(NULL);
	uint64_t turns;

	alarms_init(f, a, 1);
	loop_timer_set(f->loop, &a[0].t, start + 20000);
	settle(f);
	turns = loop_turns(f->loop);
	while (!f->journal->len)
		g_main_context_iteration(f->ctx, TRUE);
	g_assert_cmpint(loop_now(NULL) - start, >=, 20000);
	g_assert_cmpuint(loop_turns(f->loop) - turns, ==, 1);
	settle(f);
	g_assert_cmpuint(loop_turns(f->loop) - turns, ==, 1);
}

/* A timer that is always due again does not keep the rest waiting. */
static void timer_storm(struct fixture *f, gconstpointer data)
{
	struct alarm a[1];
	struct crowd c = { 0 };

	alarms_init(f, a, 1);
	a[0].again = -1;
	loop_timer_set(f->loop, &a[0].t, loop_now(NULL));
	crowd_open(&c, f->loop, 3);
	for (int i = 0; i < 10 && c.calls < 3; i++)
		g_main_context_iteration(f->ctx, FALSE);
	g_assert_cmpuint(c.calls, ==, 3);
	loop_timer_set(f->loop, &a[0].t, TIMERQ_NEVER);
	crowd_close(&c);
}

/* --- the turn --- */

struct reaped {
	struct loop_reap r;
	struct loop_watch w;
	struct fixture *f;
};

static void reaped_fn(struct loop_reap *r)
{
	g_string_append_c(container_of(r, struct reaped, r)->f->journal, 'x');
}

static void reaped_event(struct loop_watch *w, uint32_t events, int64_t now)
{
	struct reaped *d = container_of(w, struct reaped, w);

	g_string_append_c(d->f->journal, 's');
	loop_watch_remove(d->f->loop, w);
	loop_reap_later(d->f->loop, &d->r, reaped_fn);
}

static void turn_order(struct fixture *f, gconstpointer data)
{
	struct reaped d = { .f = f, .w.fn = reaped_event };
	struct alarm a[1];

	alarms_init(f, a, 1);
	eventfd_write(f->link.fd, 3);
	g_assert_cmpint(loop_watch_add(f->loop, &d.w, eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC), EPOLLIN), ==, 0);
	loop_timer_set(f->loop, &a[0].t, 1);
	f->stack.deadline = 1;
	settle(f);
	/* link rx, sockets, the core's deadlines, ours, flush, rx_done, tx_flush, reap */
	g_assert_cmpstr(f->journal->str, ==, "rseAfdtx");
	close(d.w.fd);
}

static void turn_reap_outside(struct fixture *f, gconstpointer data)
{
	struct reaped d = { .f = f };

	loop_reap_later(f->loop, &d.r, reaped_fn);
	g_assert_cmpstr(f->journal->str, ==, "");
	settle(f);
	g_assert_cmpstr(f->journal->str, ==, "ftx");
	loop_reap_later(f->loop, &d.r, reaped_fn);
	loop_free(f->loop); /* runs the reaper first */
	f->loop = NULL;
	g_assert_cmpstr(f->journal->str, ==, "ftxx");
}

static gboolean count_up(gpointer data)
{
	++*(unsigned *)data;
	return G_SOURCE_CONTINUE;
}

static GSource *every(struct fixture *f, unsigned ms, unsigned *count)
{
	GSource *s = g_timeout_source_new(ms);

	g_source_set_callback(s, count_up, count, NULL);
	g_source_attach(s, f->ctx);
	return s;
}

static void turn_idle(struct fixture *f, gconstpointer data)
{
	uint64_t turns = loop_turns(f->loop);
	unsigned ticks = 0;
	GSource *s = every(f, 1, &ticks);

	while (ticks < 10)
		g_main_context_iteration(f->ctx, TRUE);
	g_assert_cmpuint(loop_turns(f->loop), ==, turns);
	g_source_destroy(s);
	g_source_unref(s);
}

static void turn_kick(struct fixture *f, gconstpointer data)
{
	uint64_t turns = loop_turns(f->loop);

	loop_kick(f->loop);
	loop_kick(f->loop);
	g_main_context_iteration(f->ctx, TRUE);
	g_assert_cmpuint(loop_turns(f->loop), ==, turns + 1);
	settle(f);
	g_assert_cmpuint(loop_turns(f->loop), ==, turns + 1);
}

/* A callback that iterates the context does not start a turn within the turn. */
struct nester {
	struct loop_watch w;
	struct fixture *f;
	unsigned calls;
};

static void nester_event(struct loop_watch *w, uint32_t events, int64_t now)
{
	struct nester *n = container_of(w, struct nester, w);
	uint64_t turns = loop_turns(n->f->loop);

	n->calls++;
	g_main_context_iteration(n->f->ctx, FALSE); /* the descriptor is still readable */
	g_assert_cmpuint(loop_turns(n->f->loop), ==, turns);
	loop_watch_remove(n->f->loop, w);
}

static void turn_nested(struct fixture *f, gconstpointer data)
{
	struct nester n = { .w.fn = nester_event, .f = f };

	g_assert_cmpint(loop_watch_add(f->loop, &n.w, eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC), EPOLLIN), ==, 0);
	settle(f);
	g_assert_cmpuint(n.calls, ==, 1);
	close(n.w.fd);
}

/* Without end of work, other sources of the same context are still served. */
static void turn_shares(struct fixture *f, gconstpointer data)
{
	unsigned ticks = 0;
	GSource *s = every(f, 1, &ticks);
	uint64_t turns = loop_turns(f->loop);

	f->stack.pending = 1000000;
	loop_kick(f->loop);
	while (ticks < 5)
		g_main_context_iteration(f->ctx, TRUE);
	g_assert_cmpuint(loop_turns(f->loop) - turns, >, 5);
	g_assert_true(stack_pending(&f->stack));
	f->stack.pending = 0;
	g_source_destroy(s);
	g_source_unref(s);
}

/* Work that is left over is done without an event. */
static void turn_pending(struct fixture *f, gconstpointer data)
{
	f->stack.pending = 70;
	loop_kick(f->loop);
	settle(f);
	g_assert_cmpuint(f->stack.pending, ==, 0);
	g_assert_cmpuint(f->journal->len, ==, 2 * 70);
}

static void turn_stack_deadline(struct fixture *f, gconstpointer data)
{
	int64_t start = loop_now(NULL);

	f->stack.deadline = start + 5000;
	loop_kick(f->loop);
	while (!f->stack.expired)
		g_main_context_iteration(f->ctx, TRUE);
	g_assert_cmpint(loop_now(NULL) - start, >=, 5000);
	g_assert_cmpstr(f->journal->str, ==, "fteft");
}

/* --- the link --- */

static void link_more(struct fixture *f, gconstpointer data)
{
	f->link_more = 2;
	eventfd_write(f->link.fd, 1);
	settle(f);
	g_assert_cmpstr(f->journal->str, ==, "rfdtrfdtrfdt");
}

static void link_room(struct fixture *f, gconstpointer data)
{
	f->link_room = true;
	loop_kick(f->loop);
	settle(f);
	g_assert_cmpstr(f->journal->str, ==, "ftR");
}

static void link_gone(struct fixture *f, gconstpointer data)
{
	f->free_on_gone = data && !strcmp(data, "free");
	f->link_rc = -ENODEV;
	eventfd_write(f->link.fd, 1);
	settle(f);
	g_assert_cmpint(f->gone, ==, ENODEV);
	g_assert_cmpstr(f->journal->str, ==, "rfdt"); /* the turn is completed; no other follows */
	if (f->loop) {
		loop_kick(f->loop);
		settle(f);
		g_assert_cmpstr(f->journal->str, ==, "rfdt");
	}
}

static void link_bad_descriptor(struct fixture *f, gconstpointer data)
{
	close(f->link.fd);
	f->link.fd = 1 << 20;
	loop_drive(f->loop, &f->link, &f->stack, on_gone, f);
	g_assert_cmpint(f->gone, ==, 0); /* told by the loop, not from within the call */
	settle(f);
	g_assert_cmpint(f->gone, ==, EBADF);
}

int main(int argc, char **argv)
{
	static const char *driven = "driven", *gone_free = "free";

	g_test_init(&argc, &argv, NULL);
#define TEST(path, data, fn) g_test_add("/loop/" path, struct fixture, data, set_up, fn, tear_down)
	TEST("watch/batch", NULL, watch_batch);
	TEST("watch/remove_in_batch", NULL, watch_remove_in_batch);
	TEST("watch/add_fails", NULL, watch_add_fails);
	TEST("watch/rearm", NULL, watch_rearm);
	TEST("watch/reused_number", NULL, watch_reused_number);
	TEST("timer/order", NULL, timer_order);
	TEST("timer/wakes", NULL, timer_wakes);
	TEST("timer/storm", NULL, timer_storm);
	TEST("turn/order", driven, turn_order);
	TEST("turn/reap_outside", driven, turn_reap_outside);
	TEST("turn/idle", driven, turn_idle);
	TEST("turn/kick", driven, turn_kick);
	TEST("turn/nested", driven, turn_nested);
	TEST("turn/shares", driven, turn_shares);
	TEST("turn/pending", driven, turn_pending);
	TEST("turn/stack_deadline", driven, turn_stack_deadline);
	TEST("link/more", driven, link_more);
	TEST("link/room", driven, link_room);
	TEST("link/gone", driven, link_gone);
	TEST("link/gone_free", gone_free, link_gone);
	TEST("link/bad_descriptor", NULL, link_bad_descriptor);
#undef TEST
	return g_test_run();
}
