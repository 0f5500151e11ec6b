/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * limit_dgram.c - the bench's upper bound for datagrams.
 *
 * A connected socket per flow.  From the guest: the frames of one turn are sent
 * by flow, runs of equal size as one UDP_SEGMENT send, anything else by
 * sendmmsg().  To the guest: recvmmsg() with UDP_GRO, and equal datagrams of a
 * flow become one USO super-frame.  Without batching (-u): one send() per
 * frame, one recv() and one write() per datagram.
 *
 * It looks at nothing else: no TTL, no TOS, no checksum, no error, no age.
 */
#include "tests/bench/limit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	DGRAM_BATCH = 64,	/* of a flow in one turn; UDP_MAX_SEGMENTS of old */
	DGRAM_RUN = 65000,	/* bytes */
	DGRAM_SIZE = 65536,
	DGRAM_BUFFER = 4 << 20,
	GSO_UDP_L4 = 5,		/* VIRTIO_NET_HDR_GSO_UDP_L4 of newer headers */
};

struct dflow {
	bool is_dgram;		/* first, see limit.h */
	struct key key;
	struct dflow *chain;
	struct dflow *next_full;
	int fd;
	bool waits;		/* in the list of those with something gathered */
	int n;			/* gathered in this turn */
	size_t len;
	bool equal;		/* all as long as the first, or the last shorter */
	struct iovec iov[DGRAM_BATCH];
};

static struct dflow *bucket[BUCKETS];
static struct dflow *full;
static uint8_t rx_buf[DGRAM_BATCH][DGRAM_SIZE];
static struct mmsghdr rx[DGRAM_BATCH];
static struct iovec rx_iov[DGRAM_BATCH];
static union {
	struct cmsghdr align;
	uint8_t b[CMSG_SPACE(sizeof(int))];
} rx_ctl[DGRAM_BATCH];

/* ---- flows ---- */

static int dial(const struct key *k)
{
	struct sockaddr_in in4 = {
		.sin_family = AF_INET, .sin_port = k->fport,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6, .sin6_port = k->fport,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	int fd = socket(k->six ? AF_INET6 : AF_INET,
			SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int size = DGRAM_BUFFER, one = batching;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(one));
	if (k->six ? connect(fd, (struct sockaddr *)&in6, sizeof(in6))
		   : connect(fd, (struct sockaddr *)&in4, sizeof(in4)))
		die("connect");
	return fd;
}

static struct dflow *dflow_of(const struct key *k)
{
	struct dflow **at = &bucket[key_bucket(k)], *f = *at;
	struct epoll_event e = { .events = EPOLLIN };

	while (f && memcmp(&f->key, k, sizeof(*k)))
		f = f->chain;
	if (f)
		return f;
	f = calloc(1, sizeof(*f));
	if (!f)
		die("calloc");
	f->is_dgram = true;
	f->key = *k;
	f->fd = dial(k);
	f->chain = *at;
	*at = f;
	e.data.ptr = f;
	epoll_ctl(ep, EPOLL_CTL_ADD, f->fd, &e);
	return f;
}

/* ---- from the guest ---- */

static void send_run(struct dflow *f)
{
	union {
		struct cmsghdr c;
		uint8_t b[CMSG_SPACE(sizeof(uint16_t))];
	} ctl = { .c = { .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT,
			 .cmsg_len = CMSG_LEN(sizeof(uint16_t)) } };
	uint16_t each = f->iov[0].iov_len;
	struct msghdr h = {
		.msg_iov = f->iov, .msg_iovlen = f->n,
		.msg_control = f->n > 1 ? ctl.b : NULL,
		.msg_controllen = f->n > 1 ? sizeof(ctl) : 0,
	};

	memcpy(CMSG_DATA(&ctl.c), &each, sizeof(each));
	sendmsg(f->fd, &h, MSG_DONTWAIT);
}

static void send_singly(struct dflow *f)
{
	struct mmsghdr m[DGRAM_BATCH] = { 0 };

	for (int i = 0; i < f->n; i++) {
		m[i].msg_hdr.msg_iov = &f->iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	sendmmsg(f->fd, m, f->n, MSG_DONTWAIT);
}

static void dflow_send(struct dflow *f)
{
	if (f->n && f->equal)
		send_run(f);
	else if (f->n)
		send_singly(f);
	f->n = 0;
	f->len = 0;
}

/* The frames' memory stays until settle_dgrams(). */
static void gather(struct dflow *f, const uint8_t *p, size_t len)
{
	if (f->n == DGRAM_BATCH || f->len + len > DGRAM_RUN)
		dflow_send(f);
	if (!f->waits) {
		f->waits = true;
		f->next_full = full;
		full = f;
	}
	if (!f->n)
		f->equal = true;
	else if (len > f->iov[0].iov_len ||
		 f->iov[f->n - 1].iov_len != f->iov[0].iov_len)
		f->equal = false;
	f->iov[f->n++] = (struct iovec){ (void *)p, len };
	f->len += len;
}

/* each: the size of the datagrams of a super-frame, 0: there is one. */
void dgram_from_guest(const struct key *k, const uint8_t *p, size_t len,
		      size_t each)
{
	struct dflow *f = dflow_of(k);

	if (!each)
		each = len;
	for (size_t n; len; p += n, len -= n) {
		n = len < each ? len : each;
		if (batching)
			gather(f, p, n);
		else
			send(f->fd, p, n, MSG_DONTWAIT);
	}
}

void settle_dgrams(void)
{
	while (full) {
		struct dflow *f = full;

		full = f->next_full;
		f->waits = false;
		dflow_send(f);
	}
}

/* ---- to the guest ---- */

static void tell_guest(struct dflow *f, const struct iovec *data, int n,
		       size_t len, size_t each)
{
	struct virtio_net_hdr vnet = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM };
	uint8_t head[ETH_LEN + 40 + sizeof(struct udphdr)];
	size_t l4 = ETH_LEN + (f->key.six ? 40 : 20);
	size_t udp_len = sizeof(struct udphdr) + len;
	struct udphdr udp = {
		.source = f->key.fport, .dest = f->key.gport,
		.len = htons(udp_len),
	};
	struct iovec iov[DGRAM_BATCH + 2] = {
		{ &vnet, sizeof(vnet) },
		{ head, l4 + sizeof(udp) },
	};
	uint64_t sum = sum_pseudo(&f->key, IPPROTO_UDP, udp_len);

	put_eth(head, f->key.six);
	put_ip(head + ETH_LEN, &f->key, IPPROTO_UDP, udp_len);
	udp.check = sum_fold(sum);
	if (!offload) {
		sum = sum_bytes(&udp, sizeof(udp), sum_pseudo(&f->key, IPPROTO_UDP,
							      udp_len));
		sum -= udp.check;
		for (int i = 0; i < n; i++)
			sum = sum_bytes(data[i].iov_base, data[i].iov_len, sum);
		udp.check = ~sum_fold(sum);
	}
	memcpy(head + l4, &udp, sizeof(udp));
	vnet.csum_start = l4;
	vnet.csum_offset = 6;
	vnet.hdr_len = l4 + sizeof(udp);
	if (len > each) {
		vnet.gso_type = GSO_UDP_L4;
		vnet.gso_size = each;
	}
	memcpy(iov + 2, data, n * sizeof(*iov));
	if (writev(tap, offload ? iov : iov + 1, n + (offload ? 2 : 1)) < 0)
		fprintf(stderr, "bench-limit: tap write: %s\n", strerror(errno));
}

static size_t rx_each(int i)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(&rx[i].msg_hdr);
	int value;

	if (!c || c->cmsg_type != UDP_GRO)
		return 0;
	memcpy(&value, CMSG_DATA(c), sizeof(value));
	return value;
}

static void dflow_batch(struct dflow *f)
{
	int n;

	for (int i = 0; i < DGRAM_BATCH; i++) {
		rx_iov[i] = (struct iovec){ rx_buf[i], DGRAM_SIZE };
		rx[i].msg_hdr = (struct msghdr){
			.msg_iov = &rx_iov[i], .msg_iovlen = 1,
			.msg_control = &rx_ctl[i],
			.msg_controllen = sizeof(rx_ctl[i]),
		};
	}
	n = recvmmsg(f->fd, rx, DGRAM_BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0, k; i < n; i = k) {
		size_t first = rx[i].msg_len, each = rx_each(i), len = 0;

		rx_iov[i].iov_len = first;
		len = first;
		for (k = i + 1; !each && uso && k < n && rx[k].msg_len == first &&
		     !rx_each(k) && len + first <= DGRAM_RUN; k++) {
			rx_iov[k].iov_len = first;
			len += first;
		}
		tell_guest(f, rx_iov + i, k - i, len, each ? each : first);
	}
}

void dgram_event(void *flow)
{
	struct dflow *f = flow;
	ssize_t n;

	if (batching) {
		dflow_batch(f);
		return;
	}
	for (int i = 0; i < SOCK_TURN; i++) {
		n = recv(f->fd, rx_buf[0], DGRAM_SIZE, MSG_DONTWAIT);
		if (n < 0)
			return;
		rx_iov[0] = (struct iovec){ rx_buf[0], n };
		tell_guest(f, rx_iov, 1, n, n);
	}
}
