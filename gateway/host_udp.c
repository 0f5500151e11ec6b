/* host_udp.c - datagram sockets: opening, gathering, sending.  See host_udp.h.
 *
 * Trap: an ICMP error about one peer fails the next send to any other with ECONNREFUSED, and that datagram is not sent.  So a send that
 * fails is made once more after the error queue was read (udp_send_all); only the second failure is about this datagram.
 * Trap: a run (UDP_SEGMENT) whose datagrams do not fit the path MTU fails with EINVAL, not EMSGSIZE: its datagrams are then sent one by one.
 * System calls: socket setsockopt bind sendmmsg close, and those of host_udp_rx.c and host_udp_err.c.
 */
#include "gateway/host_udp.h"

#include "gateway/host_udp_err.h"
#include "gateway/host_udp_rx.h"
#include "slirp/payload.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/epoll.h>

enum {
	UDP_IOV = HOST_UDP_RUN, /* pieces of one message */
	UDP_CALL = 64,		/* messages in one system call */
	UDP_CTL = CMSG_SPACE(sizeof(int)) * 2 + CMSG_SPACE(sizeof(uint16_t)),
};

/* One datagram or run that waits for the flush. */
struct host_udp_msg {
	struct host_udp_msg *next; /* of the same socket */
	struct endpoint to;
	struct sockaddr_storage ss;
	socklen_t ss_len;
	uint8_t hop_limit, tos;
	bool df;
	uint32_t len, each; /* each: of all its datagrams but the last, which may be shorter */
	unsigned count;	    /* of datagrams */
	int n_iov;
	struct iovec iov[UDP_IOV];
	union {
		struct cmsghdr align;
		uint8_t b[UDP_CTL];
	} ctl;
};

bool host_udp_pool_init(struct host_udp_pool *pool)
{
	list_init(&pool->dirty);
	pool->msgs = g_try_new(struct host_udp_msg, HOST_UDP_QUEUE);
	pool->rx = host_udp_rx_new();
	return pool->msgs && pool->rx;
}

void host_udp_pool_clear(struct host_udp_pool *pool)
{
	g_free(pool->msgs);
	host_udp_rx_free(pool->rx);
	pool->msgs = NULL;
	pool->rx = NULL;
}

/* ------------------------------------------------------------------ life */

static void udp_event(struct loop_watch *w, uint32_t events, int64_t now)
{
	struct host_udp *s = container_of(w, struct host_udp, watch);

	if (events & EPOLLERR)
		host_udp_err_drain(s, now);
	if (events & EPOLLIN)
		host_udp_rx_read(s, now);
}

static void udp_set(const struct host_udp *s, int opt4, int opt6, int value)
{
	if (s->v6)
		setsockopt(s->watch.fd, IPPROTO_IPV6, opt6, &value, sizeof(value));
	else
		setsockopt(s->watch.fd, IPPROTO_IP, opt4, &value, sizeof(value));
}

int host_udp_open(struct host_udp *s, struct host_udp_pool *pool, const struct addr *like, const struct dgram_meta *first)
{
	int fd = hostsock_open(like, SOCK_DGRAM, pool->origin), on = 1, r;

	if (fd < 0)
		return fd;
	*s = (struct host_udp){ .pool = pool, .watch = { .fn = udp_event, .fd = fd }, .v6 = !addr_is_v4(like), .df = -1,
				.hop_limit = first->hop_limit, .tos = first->tos };
	list_init(&s->dirty);
	if (s->v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	udp_set(s, IP_TTL, IPV6_UNICAST_HOPS, s->hop_limit);
	udp_set(s, IP_TOS, IPV6_TCLASS, s->tos);
	host_udp_err_prepare(s);
	host_udp_rx_prepare(s);
	r = loop_watch_add(pool->loop, &s->watch, fd, EPOLLIN);
	if (r)
		loop_watch_close(pool->loop, &s->watch);
	return r;
}

void host_udp_close(struct host_udp *s)
{
	list_unlink(&s->dirty);
	s->pool->stats.raised -= s->raised;
	loop_watch_close(s->pool->loop, &s->watch);
}

/* ------------------------------------------------------------------ gathering */

/* Can the last message gathered become (a longer part of) a run with this datagram, or run of `each`? */
static bool udp_joins(const struct host_udp_msg *m, const struct endpoint *to, const struct dgram_meta *meta, uint32_t len, uint32_t each)
{
	unsigned count = each ? (len + each - 1) / each : 1;

	return m && len && m->each && m->len == m->each * m->count && (each == m->each || (count == 1 && len < m->each)) &&
	       m->count + count <= HOST_UDP_RUN && m->len + len <= HOST_UDP_RUN_LEN && m->hop_limit == meta->hop_limit &&
	       m->tos == meta->tos && m->df == meta->dont_fragment && endpoint_eq(&m->to, to);
}

static struct host_udp_msg *udp_new_msg(struct host_udp *s, const struct endpoint *to, const struct dgram_meta *meta, uint32_t each)
{
	struct host_udp_pool *pool = s->pool;
	struct host_udp_msg *m;

	if (pool->n_msgs == HOST_UDP_QUEUE)
		return NULL;
	m = &pool->msgs[pool->n_msgs++];
	m->next = NULL;
	m->to = *to;
	m->ss_len = hostsock_sockaddr(to, &m->ss);
	m->hop_limit = meta->hop_limit;
	m->tos = meta->tos;
	m->df = meta->dont_fragment;
	m->each = each;
	m->len = m->count = 0;
	m->n_iov = 0;
	if (s->last)
		s->last->next = m;
	else
		s->first = m;
	s->last = m;
	if (list_empty(&s->dirty))
		list_push_tail(&pool->dirty, &s->dirty);
	return m;
}

/* The bytes [skip, skip + len) as one message, or the tail of one. */
static enum reason udp_gather(struct host_udp *s, const struct endpoint *to, const struct dgram_meta *meta, const struct payload *p,
			      uint32_t skip, uint32_t len, uint32_t each)
{
	struct host_udp_msg *m = s->last;
	int n = -1;

	if (udp_joins(m, to, meta, len, each))
		n = payload_pieces(p, skip, len, m->iov + m->n_iov, UDP_IOV - m->n_iov);
	if (n < 0) {
		m = udp_new_msg(s, to, meta, each);
		if (!m)
			return R_TURN_FULL;
		n = payload_pieces(p, skip, len, m->iov, UDP_IOV);
	}
	m->n_iov += n;
	m->len += len;
	m->count += each ? (len + each - 1) / each : 1;
	return R_ACCEPTED;
}

enum reason host_udp_send(struct host_udp *s, const struct endpoint *to, const struct dgram_meta *meta, const struct iovec *iov, int n,
			  uint32_t len)
{
	struct payload p = { .rest = iov, .n_rest = n, .len = len };
	uint32_t each = meta->gso_size && meta->gso_size < len ? meta->gso_size : len, at = 0;
	enum reason r;

	do {
		uint32_t most = each < len ? MIN(each * HOST_UDP_RUN, HOST_UDP_RUN_LEN / each * each) : len;
		uint32_t part = MIN(most, len - at);

		r = udp_gather(s, to, meta, &p, at, part, each);
		at += part;
	} while (at < len && !r);
	return r;
}

/* ------------------------------------------------------------------ sending */

static size_t udp_put_ctl(struct host_udp_msg *m, size_t at, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)(m->ctl.b + at);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	return at + CMSG_SPACE(len);
}

static void udp_header(const struct host_udp *s, struct host_udp_msg *m, struct msghdr *h)
{
	int hop = m->hop_limit, tos = m->tos, level = s->v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	uint16_t each = (uint16_t)m->each;
	size_t at = 0;

	if (m->hop_limit != s->hop_limit)
		at = udp_put_ctl(m, at, level, s->v6 ? IPV6_HOPLIMIT : IP_TTL, &hop, sizeof(hop));
	if (m->tos != s->tos)
		at = udp_put_ctl(m, at, level, s->v6 ? IPV6_TCLASS : IP_TOS, &tos, sizeof(tos));
	if (m->count > 1)
		at = udp_put_ctl(m, at, SOL_UDP, UDP_SEGMENT, &each, sizeof(each));
	*h = (struct msghdr){ .msg_name = &m->ss, .msg_namelen = m->ss_len, .msg_iov = m->iov, .msg_iovlen = (size_t)m->n_iov,
			      .msg_control = at ? m->ctl.b : NULL, .msg_controllen = at };
}

/* One call for as many messages as have the same DF.  Messages sent or -errno. */
static int udp_send_some(struct host_udp *s, struct host_udp_msg *m)
{
	struct mmsghdr mm[UDP_CALL];
	bool df = m->df;
	unsigned n = 0;
	int r;

	if (s->df != df) {
		udp_set(s, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, df ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT); /* the same numbers for IPv6 */
		s->df = df;
	}
	for (; m && m->df == df && n < UDP_CALL; m = m->next)
		udp_header(s, m, &mm[n++].msg_hdr);
	s->pool->stats.sends++;
	r = sendmmsg(s->watch.fd, mm, n, MSG_DONTWAIT);
	return r < 0 ? -errno : r;
}

static void udp_send_all(struct host_udp *s, struct host_udp_msg *m, int64_t now);

/* The datagrams of a run one by one. */
static void udp_send_singly(struct host_udp *s, const struct host_udp_msg *run, int64_t now)
{
	struct payload p = { .rest = run->iov, .n_rest = run->n_iov, .len = run->len };
	struct host_udp_msg one = *run;

	one.next = NULL;
	one.count = 1;
	for (uint32_t at = 0; at < run->len; at += one.len) {
		one.len = MIN(run->each, run->len - at);
		one.n_iov = payload_pieces(&p, at, one.len, one.iov, UDP_IOV);
		udp_send_all(s, &one, now);
	}
}

/* m was refused twice, which is about m. */
static void udp_failed(struct host_udp *s, const struct host_udp_msg *m, int err, int64_t now)
{
	struct host_udp_error e;

	if (m->count > 1 && (err == EINVAL || err == EIO || err == EMSGSIZE)) {
		udp_send_singly(s, m, now);
		return;
	}
	s->pool->drops->n[R_HOST_ERROR] += m->count;
	if (host_udp_err_local(s, err, &e))
		s->pool->ops->error(s, &m->to, &e, now);
}

static void udp_send_all(struct host_udp *s, struct host_udp_msg *m, int64_t now)
{
	bool again = false;

	while (m) {
		int n = udp_send_some(s, m);

		if (n > 0) {
			while (n--)
				m = m->next;
			again = false;
		} else if (n == -EAGAIN) { /* the send buffer is full: UDP loses */
			for (; m; m = m->next)
				s->pool->drops->n[R_HOST_ERROR] += m->count;
		} else if (!again) {
			host_udp_err_drain(s, now); /* the error may be about an earlier datagram: see the top */
			again = true;
		} else {
			udp_failed(s, m, -n, now);
			m = m->next;
			again = false;
		}
	}
}

void host_udp_forget(struct host_udp_pool *pool)
{
	struct list *node;

	while ((node = list_pop_head(&pool->dirty))) {
		struct host_udp *s = container_of(node, struct host_udp, dirty);

		s->first = s->last = NULL;
	}
	pool->n_msgs = 0;
}

void host_udp_flush(struct host_udp_pool *pool, int64_t now)
{
	struct list *node;

	while ((node = list_pop_head(&pool->dirty))) {
		struct host_udp *s = container_of(node, struct host_udp, dirty);
		struct host_udp_msg *m = s->first;

		s->first = s->last = NULL;
		udp_send_all(s, m, now);
		pool->ops->sent(s);
	}
	pool->n_msgs = 0;
}
