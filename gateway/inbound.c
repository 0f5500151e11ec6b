/* inbound.c - clients toward the guest.  See inbound.h.  System calls: close, setsockopt (through hostsock.c). */
#include "gateway/inbound.h"

#include "slirp/tcp_connect.h"

void inbound_init(struct inbound *in, struct flow_tcp_env *tcp, struct stack *st)
{
	*in = (struct inbound){ .tcp = tcp, .stack = st };
}

/* Can the guest send its answer to this address, and will the answer come here?  Loopback and link-local addresses mean another host to it. */
static bool inbound_visible(const struct stack_config *cfg, const struct inbound_client *c)
{
	const struct addr *from = &c->from.addr, *guest = &c->guest.addr;
	bool v4 = addr_is_v4(guest);

	if (c->hide || c->local || addr_is_v4(from) != v4 || !c->from.port)
		return false;
	if (addr_eq(from, guest) || addr_is_loopback(from) || addr_is_linklocal(from) || addr_is_multicast(from) || addr_is_unspecified(from) ||
	    addr_is_broadcast4(from))
		return false;
	/* our own addresses answer for themselves, and the guest may have more than one of net6 */
	return !prefix_contains(v4 ? &cfg->net4 : &cfg->net6, from);
}

/* The gateway's address with the next port that is free, in the pool and in the core.  R_ACCEPTED, or R_NO_PORT. */
static enum reason inbound_place(struct inbound *in, struct tuple *t, int64_t now)
{
	const struct stack_config *cfg = stack_cfg(in->stack);

	t->far.addr = addr_is_v4(&t->guest.addr) ? cfg->gw4 : cfg->gw6;
	for (int i = 0; i < PORTPOOL_SIZE; i++) { /* usually once: time-wait of less than a second is passed over */
		t->far.port = portpool_take(&in->ports);
		if (!t->far.port)
			return R_NO_PORT;
		if (tcp_connect_free(in->stack, t, now))
			return R_ACCEPTED;
		portpool_give(&in->ports, t->far.port);
	}
	return R_NO_PORT;
}

static void inbound_ended(const struct flow_tcp_opener *o, enum reason why)
{
	struct inbound *in = o->inbound;

	if (o->port)
		portpool_give(&in->ports, o->port);
	if (o->gone)
		o->gone(o->arg, &o->from, why);
}

enum reason inbound_open(struct inbound *in, const struct inbound_client *c)
{
	int64_t now = loop_now(in->tcp->pool->loop);
	struct flow_tcp_opener o = { .ended = inbound_ended, .inbound = in, .from = c->from, .head = c->head,
				    .head_len = c->head_len, .settled = c->settled, .gone = c->gone, .arg = c->arg };
	struct tuple t = { .guest = c->guest, .far = c->from };
	enum reason r = R_ACCEPTED;

	if (!inbound_visible(stack_cfg(in->stack), c)) {
		r = inbound_place(in, &t, now);
		o.port = r ? 0 : t.far.port;
	}
	if (!r)
		r = flow_tcp_connect(in->tcp, in->stack, &t, c->fd, c->local, &o, now);
	if (!r)
		return r;
	hostsock_reset(c->fd);
	if (o.port)
		portpool_give(&in->ports, o.port);
	return reason_count(&in->tcp->table->closes, r);
}
