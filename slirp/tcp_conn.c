/* tcp_conn.c - the connection table, state changes, touch and death.  See tcp_conn.h. */
#include "slirp/tcp_conn.h"

#include "slirp/stack_state.h"
#include "slirp/tcp_bare.h"
#include "slirp/tcp_state.h"

const char *tcp_conn_state_name(enum tcp_state s)
{
	static const char *const names[] = {
		[TCP_CLOSED] = "CLOSED",	 [TCP_HELD] = "HELD",		  [TCP_SYN_RECEIVED] = "SYN_RECEIVED",
		[TCP_SYN_SENT] = "SYN_SENT",
		[TCP_ESTABLISHED] = "ESTABLISHED", [TCP_CLOSE_WAIT] = "CLOSE_WAIT", [TCP_FIN_WAIT_1] = "FIN_WAIT_1",
		[TCP_FIN_WAIT_2] = "FIN_WAIT_2", [TCP_CLOSING] = "CLOSING",	  [TCP_LAST_ACK] = "LAST_ACK",
	};

	return names[s];
}

struct tcp_conn *tcp_conn_find(const struct stack *st, const struct tuple *t)
{
	uint32_t hash = stack_hash(st, t);

	for (struct htab_node *n = htab_first(&st->conns, hash); n; n = htab_next(&st->conns, n)) {
		struct tcp_conn *c = container_of(n, struct tcp_conn, node);

		if (tuple_eq(&c->tuple, t))
			return c;
	}
	return NULL;
}

struct conn_each {
	void (*fn)(void *arg, const struct tcp_conn *c);
	void *arg;
};

static void conn_each_one(struct htab_node *n, void *arg)
{
	const struct conn_each *e = arg;

	e->fn(e->arg, container_of(n, struct tcp_conn, node));
}

void tcp_conn_each(struct stack *st, void (*fn)(void *arg, const struct tcp_conn *c), void *arg)
{
	struct conn_each e = { fn, arg };

	htab_each(&st->conns, conn_each_one, &e);
}

void tcp_conn_enter(struct tcp_conn *c, enum tcp_state s)
{
	c->state = s;
}

void tcp_conn_touch(struct tcp_conn *c)
{
	if (c->state == TCP_HELD)
		return;
	if (!list_empty(&c->touched)) {
		/* what the guest sent this turn is gone after it, full link or not */
		if (!c->stalled || (!c->rx_len && !tcp_rx_fin_next(c)))
			return;
		list_unlink(&c->touched);
	}
	c->stalled = false;
	list_push_tail(&c->st->touched, &c->touched);
}

void tcp_conn_stall(struct tcp_conn *c, bool sent)
{
	list_unlink(&c->touched);
	c->stalled = true;
	list_push_tail(sent ? &c->st->stalled_sent : &c->st->stalled, &c->touched);
}

void tcp_conn_gone(struct tcp_conn *c, enum reason why)
{
	struct stack *st = c->st;

	htab_remove(&st->conns, &c->node);
	timerq_cancel(&st->timers, &c->timer);
	tcp_ooo_clear(&c->ooo, &st->ooo);
	list_unlink(&c->touched);
	list_unlink(&c->alive);
	tcp_conn_enter(c, TCP_CLOSED);
	st->host->tcp_gone(st->host, c, why);
}

void tcp_conn_reset(struct tcp_conn *c, enum reason why, int64_t now)
{
	tcp_bare_reset(c);
	tcp_conn_gone(c, why);
}

void tcp_conn_drop(struct tcp_conn *c, enum reason why, int64_t now)
{
	if (c->up)
		c->up->ops->abort(c->up);
	tcp_conn_reset(c, why, now);
}

struct conn_drop_all {
	enum reason why;
	int64_t now;
};

static void conn_drop_one(struct htab_node *n, void *arg)
{
	const struct conn_drop_all *all = arg;

	tcp_conn_drop(container_of(n, struct tcp_conn, node), all->why, all->now);
}

void tcp_conn_drop_all(struct stack *st, enum reason why, int64_t now)
{
	struct conn_drop_all all = { why, now };

	htab_each(&st->conns, conn_drop_one, &all);
}
