/* gate_udp.c - datagram and ping sockets as Linux's, and the network behind them: peers that answer, are silent, or refuse; strangers;
 * name servers.  An ICMP error fails the next call on its socket, whomever that is about.
 *
 * Below: gate.h.  Above: gate_sys.c.  udp(7), ip(7) IP_RECVERR.
 *
 * prefixes: gate_udp_ gate_net_
 */
#include "gateway/hostsock.h"
#include "slirp/base/bytes.h"
#include "tests/sim/gate.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

enum {
	NET_DELAY = 50 * SIM_MS,
	NET_STRANGERS = 30, /* chance per thousand datagrams */
	NET_DNS_PORT = 53,
	NET_ICMP = 8,	    /* an echo's header */
	NET_MERGE = 20,
};

uint32_t gate_udp_poll(const struct gate_fd *f)
{
	return EPOLLOUT | (f->rx.length ? EPOLLIN : 0) | (f->err || f->errors.length ? EPOLLERR : 0);
}

/* ---- under way */

static struct gate_dgram *net_push(struct gate_fd *f, const struct endpoint *from, const void *data, uint32_t len)
{
	struct gate *g = f->gate;
	struct gate_dgram *d = g_malloc(sizeof(*d) + len);
	GList *l = g->net.tail;

	*d = (struct gate_dgram){ .at = g->s->now + sim_time(g->s, 0, NET_DELAY), .to = f, .from = *from, .len = len };
	memcpy(d->data, data, len);
	while (l && ((struct gate_dgram *)l->data)->at > d->at)
		l = l->prev;
	if (l)
		g_queue_insert_after(&g->net, l, d);
	else
		g_queue_push_head(&g->net, d);
	return d;
}

int64_t gate_net_next(const struct gate *g)
{
	const struct gate_dgram *d = g_queue_peek_head((GQueue *)&g->net);

	return d ? d->at : SIM_NEVER;
}

void gate_net_tick(struct gate *g)
{
	while (gate_net_next(g) <= g->s->now) {
		struct gate_dgram *d = g_queue_pop_head(&g->net);
		struct gate_fd *f = d->to;

		g_queue_push_tail(d->error ? &f->errors : &f->rx, d);
		if (d->error)
			f->err = ECONNREFUSED;
		gate_wake(f, d->error ? EPOLLERR : EPOLLIN);
	}
}

void gate_net_clear(struct gate *g)
{
	g_queue_clear_full(&g->net, g_free);
}

/* What is under way to a socket does not arrive any more: its port is gone. */
void gate_udp_part(struct gate_fd *f)
{
	for (GList *l = f->gate->net.head, *next; l; l = next) {
		next = l->next;
		if (((struct gate_dgram *)l->data)->to == f) {
			g_free(l->data);
			g_queue_delete_link(&f->gate->net, l);
		}
	}
}

void gate_udp_close(struct gate_fd *f)
{
	gate_udp_part(f);
	g_queue_clear_full(&f->rx, g_free);
	g_queue_clear_full(&f->errors, g_free);
}

/* ---- who receives */

static void net_name_server(struct gate_fd *f, const uint8_t *p, uint32_t len)
{
	struct gate *g = f->gate;
	uint8_t answer[600];
	unsigned which = f->to.addr.b[15] % 2;

	if (len > sizeof(answer) || (g->dns_dead[which] && !g->dns_refuses) || sim_chance(g->s, 50))
		return;
	if (g->dns_dead[which]) {
		net_push(f, &f->to, p, len)->error = true;
		return;
	}
	memcpy(answer, p, len);
	answer[2] |= 0x80;
	if (sim_chance(g->s, 100)) { /* a forger who does not know the number */
		answer[1] ^= 1;
		net_push(f, &f->to, answer, len);
		answer[1] ^= 1;
	}
	net_push(f, &f->to, answer, len);
}

static void net_answer(struct gate_fd *f, struct talk *t, const uint8_t *p, uint32_t len)
{
	struct sim *s = f->gate->s;
	static uint8_t buf[65536];
	struct talk as = *t;
	uint32_t n = sim_chance(s, 300) ? 1 + sim_rand(s, NET_MERGE) : 1;

	if (sim_chance(s, NET_STRANGERS))
		net_push(f, &(struct endpoint){ sim_addr(f->v6 ? "2001:db8::666" : "203.0.113.66"), 666 }, "stranger", 8);
	if (t->peer == PEER_REFUSES)
		net_push(f, &t->far, p, len)->error = true;
	if (t->peer != PEER_ANSWERS)
		return;
	if (s->broken == SIM_MISLEADS_DATAGRAM)
		as.nr = (t->nr + 1) % GATE_TALKS;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t size = n > 1 ? 12 + 1000 : len;

		talk_fill(&as, true, t->answered, size, buf);
		if (s->broken == SIM_ALTERS_DATAGRAM)
			buf[size - 1] ^= 1;
		net_push(f, &t->far, buf, size);
		t->answered++;
	}
}

static void net_take(struct gate_fd *f, const struct endpoint *to, const uint8_t *p, uint32_t len)
{
	struct gate *g = f->gate;
	struct talk *t;

	if (to->port == NET_DNS_PORT) {
		net_name_server(f, p, len);
		return;
	}
	t = talk_check(g, p, len, false);
	if (!t || t->kind != TALK_UDP || !endpoint_eq(&t->far, to)) {
		sim_fail(g->s, "a datagram of %u bytes reached the network altered, or somebody else", len);
		return;
	}
	if (f->owner && f->owner != t->port)
		sim_fail(g->s, "the guest's ports %d and %u share a socket", f->owner, t->port);
	f->owner = t->port;
	t->arrived++;
	net_answer(f, t, p, len);
}

static void net_ping(struct gate_fd *f, const struct endpoint *to, uint8_t *p, uint32_t len)
{
	struct gate *g = f->gate;
	struct talk *t = len < NET_ICMP ? NULL : talk_check(g, p + NET_ICMP, len - NET_ICMP, false);

	if (!t || t->kind != TALK_PING || !addr_eq(&t->far.addr, &to->addr)) {
		sim_fail(g->s, "a ping of %u bytes reached the network altered, or somebody else", len);
		return;
	}
	t->arrived++;
	if (t->peer == PEER_REFUSES)
		net_push(f, to, p, len)->error = true;
	if (t->peer != PEER_ANSWERS)
		return;
	p[0] = f->v6 ? 129 : 0;
	net_push(f, to, p, len);
	t->answered++;
}

/* ---- calls */

static int udp_error(struct gate_fd *f)
{
	int err = f->err;

	f->err = 0;
	return -err;
}

ssize_t gate_udp_send(struct gate_fd *f, const struct msghdr *m)
{
	static uint8_t buf[1 << 17];
	struct endpoint to = f->to;
	uint32_t len = 0, each = 0;

	if (f->err)
		return udp_error(f);
	if (f->gate->started && !f->gate->over && sim_chance(f->gate->s, f->gate->eagain))
		return sim_chance(f->gate->s, 500) ? -EAGAIN : -ENOBUFS;
	for (size_t i = 0; i < m->msg_iovlen; i++) {
		memcpy(buf + len, m->msg_iov[i].iov_base, m->msg_iov[i].iov_len);
		len += (uint32_t)m->msg_iov[i].iov_len;
	}
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR((struct msghdr *)m, c)) {
		uint16_t size;

		memcpy(&size, CMSG_DATA(c), sizeof(size));
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_SEGMENT)
			each = size;
	}
	if (m->msg_name)
		hostsock_endpoint(m->msg_name, &to);
	if (f->kind == GATE_PING) {
		net_ping(f, &to, buf, len);
		return len;
	}
	each = each ? each : len;
	for (uint32_t at = 0; at < len || !at; at += MAX(each, 1))
		net_take(f, &to, buf + at, MIN(each, len - at));
	return len;
}

static void udp_ctl(struct msghdr *m, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = m->msg_control;

	if (!c || m->msg_controllen < CMSG_SPACE(len)) {
		m->msg_controllen = 0;
		return;
	}
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	m->msg_controllen = CMSG_SPACE(len);
}

static uint32_t udp_copy(struct msghdr *m, const struct gate_dgram *d, uint32_t at)
{
	uint32_t len = (uint32_t)MIN(d->len, m->msg_iov[0].iov_len - at);

	memcpy((uint8_t *)m->msg_iov[0].iov_base + at, d->data, len);
	if (m->msg_name)
		m->msg_namelen = hostsock_sockaddr(&d->from, m->msg_name);
	m->msg_flags = len < d->len ? MSG_TRUNC : 0;
	return len;
}

static ssize_t udp_recv_error(struct gate_fd *f, struct msghdr *m)
{
	struct gate_dgram *d = g_queue_pop_head(&f->errors);
	struct {
		struct sock_extended_err ee;
		struct sockaddr_storage offender;
	} e = { .ee = { .ee_errno = ECONNREFUSED, .ee_origin = f->v6 ? SO_EE_ORIGIN_ICMP6 : SO_EE_ORIGIN_ICMP,
			.ee_type = f->v6 ? 1 : 3, .ee_code = f->v6 ? 4 : 3 } };
	uint32_t len;

	if (!d)
		return -EAGAIN;
	hostsock_sockaddr(&d->from, &e.offender);
	len = udp_copy(m, d, 0);
	udp_ctl(m, f->v6 ? IPPROTO_IPV6 : IPPROTO_IP, f->v6 ? IPV6_RECVERR : IP_RECVERR, &e,
		sizeof(e.ee) + (f->v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)));
	g_free(d);
	return len;
}

ssize_t gate_udp_recv(struct gate_fd *f, struct msghdr *m, int flags)
{
	struct gate_dgram *d, *next;
	uint32_t len, each;
	int size;

	if (flags & MSG_ERRQUEUE)
		return udp_recv_error(f, m);
	if (f->err)
		return udp_error(f);
	d = g_queue_pop_head(&f->rx);
	if (!d)
		return -EAGAIN;
	each = d->len;
	len = udp_copy(m, d, 0);
	size = (int)each;
	while (f->kind == GATE_UDP && each && m->msg_control && (next = g_queue_peek_head(&f->rx)) && endpoint_eq(&next->from, &d->from) &&
	       next->len == each && len + each <= 60000 && sim_chance(f->gate->s, 700)) {
		len += udp_copy(m, next, len);
		g_free(g_queue_pop_head(&f->rx));
	}
	if (m->msg_control && len > each)
		udp_ctl(m, SOL_UDP, UDP_GRO, &size, sizeof(size));
	else
		m->msg_controllen = 0;
	g_free(d);
	return len;
}
