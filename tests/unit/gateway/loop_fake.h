/* loop_fake.h - a core and a link of a few lines; what they are asked to do is kept in a journal, one letter each.
 *
 * e the core's deadline, f flush, R link ready; r link rx, d rx_done, t tx_flush.
 * Below: gateway/loop.h.  Above: loop_test.c and loop_driven_test.c.
 */
#ifndef TESTS_LOOP_FAKE_H
#define TESTS_LOOP_FAKE_H

#include "gateway/loop.h"

#include <sys/eventfd.h>

/* The fake core; its functions take the place of slirp/stack.c in this program. */
struct stack {
	GString *journal;
	int64_t deadline;
	unsigned pending; /* flushes that leave work over */
	unsigned expired;
};

struct fixture {
	GMainContext *ctx;
	struct loop *loop;
	struct stack stack;
	struct link link;
	int link_rc; /* what rx() returns; if 0, the number of frames is read from the descriptor */
	unsigned link_more;
	bool link_room;
	int gone;
	bool free_on_gone;
	GString *journal;
};

void stack_flush(struct stack *st, int64_t now)
{
	g_string_append_c(st->journal, 'f');
	if (st->pending)
		st->pending--;
}

void stack_expire(struct stack *st, int64_t now)
{
	if (st->deadline <= now) {
		st->deadline = TIMERQ_NEVER;
		st->expired++;
		g_string_append_c(st->journal, 'e');
	}
}

int64_t stack_deadline(const struct stack *st)
{
	return st->deadline;
}

bool stack_pending(const struct stack *st)
{
	return st->pending > 0;
}

void stack_link_ready(struct stack *st)
{
	g_string_append_c(st->journal, 'R');
}

static int fake_rx(struct link *l, struct stack *st, unsigned budget, int64_t now, bool *more)
{
	struct fixture *f = container_of(l, struct fixture, link);
	eventfd_t n = 0;

	g_assert_cmpuint(budget, ==, 256);
	g_string_append_c(f->journal, 'r');
	if (f->link_rc)
		return f->link_rc;
	eventfd_read(l->fd, &n); /* from now on only *more tells */
	*more = f->link_more > 0;
	if (f->link_more) {
		f->link_more--;
		return (int)budget;
	}
	return (int)n;
}

static void fake_rx_done(struct link *l)
{
	g_string_append_c(container_of(l, struct fixture, link)->journal, 'd');
}

static bool fake_tx_flush(struct link *l)
{
	struct fixture *f = container_of(l, struct fixture, link);
	bool room = f->link_room;

	g_string_append_c(f->journal, 't');
	f->link_room = false;
	return room;
}

static const struct link_ops fake_ops = { .rx = fake_rx, .rx_done = fake_rx_done, .tx_flush = fake_tx_flush };

static void on_gone(void *arg, int err)
{
	struct fixture *f = arg;

	g_assert_cmpint(f->gone, ==, 0);
	f->gone = err;
	if (f->free_on_gone) {
		loop_free(f->loop);
		f->loop = NULL;
	}
}

#endif
