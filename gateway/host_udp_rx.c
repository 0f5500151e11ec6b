/* host_udp_rx.c - datagrams from the network, many per call.  See host_udp.h.
 *
 * One recvmmsg() takes up to 64 of them, each possibly a run that the kernel has merged (UDP_GRO).  Equal datagrams of one peer that
 * arrived one by one are handed on as a run too: where the link carries runs that is one frame instead of many.
 * A socket that is found full is given a larger buffer: what arrives while somebody else has the CPU for a few milliseconds is not lost.
 * Busy sockets only, and at most 64 MiB in all; idle ones cannot be filled with more than they begin with.
 * System calls: setsockopt recvmmsg.
 */
#include "gateway/host_udp_rx.h"

#include "gateway/host_udp_err.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

enum {
	RX_BATCH = HOST_UDP_RUN,
	RX_SIZE = 65536,
	RX_STRIDE = RX_SIZE + 25 * 64, /* so that the heads of the messages do not share a set of a cache */
	RX_TURN = 256 << 10, /* bytes of one socket and turn, more or less: a batch of runs is 4 MiB */
	RX_CTL = 128,
	RX_RCVBUF = 512 << 10, /* D8; the kernel takes what net.core.rmem_max allows */
	RX_RCVBUF_MAX = 2 << 20,
	RX_RCVBUF_POOL = 64 << 20, /* what the sockets of a pool may have beyond RX_RCVBUF in sum */
};

/* One message as it came. */
struct rx_item {
	struct endpoint from;
	uint32_t len;
	uint16_t gso;
	uint8_t tos;
	bool usable;
};

struct host_udp_rx {
	struct mmsghdr mm[RX_BATCH];
	struct iovec iov[RX_BATCH];
	struct sockaddr_storage from[RX_BATCH];
	struct rx_item items[RX_BATCH];
	union {
		struct cmsghdr align;
		uint8_t b[RX_CTL];
	} ctl[RX_BATCH];
	uint8_t buf[RX_BATCH][RX_STRIDE]; /* pages that no datagram has reached cost nothing */
};

/* The kernel has written what it used of these. */
static void rx_ready(struct host_udp_rx *rx, int i)
{
	rx->mm[i].msg_hdr.msg_namelen = sizeof(rx->from[i]);
	rx->mm[i].msg_hdr.msg_controllen = sizeof(rx->ctl[i]);
}

struct host_udp_rx *host_udp_rx_new(void)
{
	struct host_udp_rx *rx = g_try_new0(struct host_udp_rx, 1);

	if (!rx)
		return NULL;
	for (int i = 0; i < RX_BATCH; i++) {
		rx->iov[i] = (struct iovec){ rx->buf[i], RX_SIZE };
		rx->mm[i].msg_hdr = (struct msghdr){ .msg_name = &rx->from[i], .msg_iov = &rx->iov[i], .msg_iovlen = 1,
						     .msg_control = &rx->ctl[i] };
		rx_ready(rx, i);
	}
	return rx;
}

void host_udp_rx_free(struct host_udp_rx *rx)
{
	g_free(rx);
}

/* s was found with as much as one call takes. */
static void rx_grow(struct host_udp *s)
{
	uint32_t more = RX_RCVBUF + s->raised;
	int size = (int)(more * 2);

	if (more * 2 > RX_RCVBUF_MAX || s->pool->stats.raised + more > RX_RCVBUF_POOL ||
	    setsockopt(s->watch.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0)
		return;
	s->raised += more;
	s->pool->stats.raised += more;
}

void host_udp_rx_prepare(struct host_udp *s)
{
	int fd = s->watch.fd, on = 1, size = RX_RCVBUF;

	s->batch = RX_BATCH;
	/* each is a saving or a nicety: a kernel that refuses one does without */
	setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (s->v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof(on));
	else
		setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
}

static void rx_parse(struct host_udp_rx *rx, int i)
{
	struct rx_item *it = &rx->items[i];
	struct msghdr *h = &rx->mm[i].msg_hdr;

	*it = (struct rx_item){ .len = rx->mm[i].msg_len };
	it->usable = hostsock_endpoint(&rx->from[i], &it->from) && !(h->msg_flags & MSG_TRUNC);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		int value = 0;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
			it->tos = *CMSG_DATA(c);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
			memcpy(&value, CMSG_DATA(c), sizeof(value));
			it->tos = (uint8_t)value;
		} else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&value, CMSG_DATA(c), sizeof(value));
			it->gso = it->len > (uint32_t)value ? (uint16_t)value : 0;
		}
	}
}

/* May b follow a, in a run whose datagrams have a's size?  Called only while all before b have that size. */
static bool rx_follows(const struct rx_item *a, const struct rx_item *b)
{
	return b->usable && !b->gso && b->len && b->len <= a->len && b->tos == a->tos && endpoint_eq(&a->from, &b->from);
}

/* The run that begins at message i; returns how many messages it is. */
static int rx_deliver(struct host_udp *s, int i, int n, int64_t now)
{
	struct host_udp_rx *rx = s->pool->rx;
	const struct rx_item *a = &rx->items[i];
	struct iovec iov[RX_BATCH];
	struct dgram_meta m = { .tos = a->tos, .gso_size = a->gso };
	uint32_t total = a->len;
	int k = 1;

	iov[0] = (struct iovec){ rx->buf[i], a->len };
	if (!a->gso && a->len && a->len <= s->pool->run_each) {
		for (bool full = true; full && i + k < n && rx_follows(a, &rx->items[i + k]); k++) {
			const struct rx_item *b = &rx->items[i + k];

			if (total + b->len > HOST_UDP_RUN_LEN)
				break;
			iov[k] = (struct iovec){ rx->buf[i + k], b->len };
			total += b->len;
			full = b->len == a->len;
		}
		m.gso_size = k > 1 ? (uint16_t)a->len : 0;
	}
	s->pool->ops->got(s, &a->from, &m, iov, k, total, now);
	return k;
}

/* Messages for the next call, if they are as long as the last ones were.  The rest stays for the next turn: the descriptor is
 * level-triggered. */
static unsigned rx_next(const struct host_udp_rx *rx, int n)
{
	uint32_t bytes = 1;

	for (int i = 0; i < n; i++)
		bytes += rx->items[i].len;
	return CLAMP(RX_TURN / (bytes / (uint32_t)n + 1), 1, RX_BATCH);
}

void host_udp_rx_read(struct host_udp *s, int64_t now)
{
	struct host_udp_rx *rx = s->pool->rx;
	int n;

	s->pool->stats.receives++;
	n = recvmmsg(s->watch.fd, rx->mm, s->batch, MSG_DONTWAIT, NULL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		host_udp_err_drain(s, now);
	if (n == (int)s->batch)
		rx_grow(s);
	for (int i = 0; i < n; i++)
		rx_parse(rx, i);
	if (n > 0)
		s->batch = rx_next(rx, n);
	for (int i = 0; i < n;)
		i += rx->items[i].usable ? rx_deliver(s, i, n, now) : 1;
	for (int i = 0; i < n; i++)
		rx_ready(rx, i);
}
