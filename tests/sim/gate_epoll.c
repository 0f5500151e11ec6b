/* gate_epoll.c - an epoll set as Linux's: what is ready is a list in order, entries come onto it by an event that the mask asks for (or by
 * being added or changed while something holds), level-triggered ones stay, edge-triggered ones leave.
 *
 * Below: gate.h.  Above: gate_sys.c.
 *
 * prefixes: gate_
 */
#include "tests/sim/gate.h"

#include <errno.h>

enum { GATE_ALWAYS = EPOLLERR | EPOLLHUP };

uint32_t gate_poll(struct gate_fd *f)
{
	struct sim *s = f->gate->s;

	switch (f->kind) {
	case GATE_EPOLL:
		return gate_set_ready(f) ? EPOLLIN : 0;
	case GATE_LINK:
		return f->gate->link_gone || wire_next(&s->to_core) <= s->now || (s->was_full && s->to_guest.frames.length < s->queue_max) ? EPOLLIN : 0;
	case GATE_TCP:
		return gate_tcp_poll(f);
	case GATE_UDP:
	case GATE_PING:
		return gate_udp_poll(f);
	default:
		return 0;
	}
}

void gate_wake(struct gate_fd *f, uint32_t events)
{
	if (!f || !f->set || f->queued || !(events & (f->mask | GATE_ALWAYS)))
		return;
	f->queued = true;
	g_queue_push_tail(&f->set->ready, f);
}

bool gate_set_ready(struct gate_fd *set)
{
	for (GList *l = set->ready.head; l; l = l->next) {
		struct gate_fd *f = l->data;

		if (gate_poll(f) & (f->mask | GATE_ALWAYS))
			return true;
	}
	return false;
}

int gate_epoll_ctl(struct gate_fd *set, int op, struct gate_fd *f, const struct epoll_event *e)
{
	if (op == EPOLL_CTL_ADD ? f->set != NULL : f->set != set)
		return sim_fail(set->gate->s, "epoll_ctl %d of descriptor %d, which is %s the set", op, f->fd, f->set ? "in" : "not in"), -EEXIST;
	if (op == EPOLL_CTL_DEL) {
		g_queue_remove(&set->ready, f);
		f->queued = false;
		f->set = NULL;
		return 0;
	}
	if (op == EPOLL_CTL_ADD && f->kind == GATE_TCP)
		f->gate->begun++;
	f->set = set;
	f->mask = e->events;
	f->data = e->data.ptr;
	if (gate_poll(f) & (f->mask | GATE_ALWAYS))
		gate_wake(f, EPOLLERR);
	return 0;
}

int gate_epoll_take(struct gate_fd *set, struct epoll_event *out, int max)
{
	guint all = set->ready.length;
	int n = 0;

	for (guint i = 0; i < all && n < max; i++) {
		struct gate_fd *f = g_queue_pop_head(&set->ready);
		uint32_t events = gate_poll(f) & (f->mask | GATE_ALWAYS);

		f->queued = false;
		if (!events)
			continue;
		out[n].events = events;
		out[n++].data.ptr = f->data;
		if (!(f->mask & EPOLLET))
			gate_wake(f, EPOLLERR);
	}
	return n;
}
