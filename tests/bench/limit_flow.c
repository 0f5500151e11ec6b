/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * limit_flow.c - the relay of the bench's upper bound: a table of flows, a
 * segment becomes send(), what a socket receives becomes a segment.  See
 * limit.c for what it leaves out.
 */
#include "tests/bench/limit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static struct flow *bucket[BUCKETS];
static struct flow *owed, *dead;
static uint32_t send_buffer;	/* what the kernel granted */
static uint8_t data_out[SUPER];

/* ---- flows ---- */

unsigned int key_bucket(const struct key *k)
{
	uint32_t last, h;

	memcpy(&last, k->six ? k->guest + 12 : k->guest, 4);
	h = (last ^ ((uint32_t)k->gport << 16 | k->fport)) * 2654435761u;
	return h >> 17;
}

static struct flow *flow_find(const struct key *k)
{
	struct flow *f = bucket[key_bucket(k)];

	while (f && memcmp(&f->key, k, sizeof(*k)))
		f = f->chain;
	return f;
}

/* Takes it out of the table now; the memory lives until the turn ends. */
static void flow_end(struct flow *f)
{
	struct flow **p = &bucket[key_bucket(&f->key)];

	if (f->dead)
		return;
	while (*p != f)
		p = &(*p)->chain;
	*p = f->chain;
	close(f->fd);
	f->dead = true;
	f->next_dead = dead;
	dead = f;
}

static void flow_want(struct flow *f, uint32_t interest)
{
	struct epoll_event e = { .events = interest, .data.ptr = f };

	if (f->dead || f->interest == interest)
		return;
	f->interest = interest;
	epoll_ctl(ep, EPOLL_CTL_MOD, f->fd, &e);
}

static void flow_owe(struct flow *f)
{
	if (f->owed)
		return;
	f->owed = true;
	f->next_owed = owed;
	owed = f;
}

static uint32_t flow_room(const struct flow *f)
{
	uint32_t flying = f->snd_nxt - f->snd_una;

	return f->window > flying ? f->window - flying : 0;
}

/* ---- to the guest ---- */

/*
 * Three quarters of the send buffer: the kernel calls a socket writable while
 * less than two thirds are in use, so a window that has run low never meets a
 * socket that is writable already, and EPOLLOUT tells when to reopen it.
 */
static uint32_t our_window(const struct flow *f)
{
	uint32_t most = send_buffer / 4 * 3;
	int queued = 0;

	ioctl(f->fd, SIOCOUTQ, &queued);
	return (uint32_t)queued < most ? most - queued : 0;
}

static size_t put_tcp(uint8_t *at, struct flow *f, unsigned int flags)
{
	struct tcphdr tcp = {
		.source = f->key.fport,
		.dest = f->key.gport,
		.seq = htonl(f->snd_nxt),
		.ack_seq = htonl(f->rcv_nxt),
		.doff = TCP_LEN / 4,
	};
	unsigned int mss = mtu - TCP_LEN - (f->key.six ? 40 : 20);
	const uint8_t opts[SYN_OPTS] = {
		TCPOPT_MAXSEG, 4, mss >> 8, mss & 0xff,
		TCPOPT_NOP, TCPOPT_WINDOW, 3, OUR_SCALE
	};
	uint32_t window;

	tcp.th_flags = flags;
	if (flags & SYN) {
		tcp.doff += SYN_OPTS / 4;
		tcp.window = htons(65535);
		memcpy(at + TCP_LEN, opts, SYN_OPTS);
		f->edge = f->rcv_nxt + 65535;
	} else if (!(flags & RST)) {
		window = our_window(f) >> OUR_SCALE;
		tcp.window = htons(window);
		f->edge = f->rcv_nxt + (window << OUR_SCALE);
	}
	memcpy(at, &tcp, TCP_LEN);
	return tcp.doff * 4;
}

/* One segment, up to 64 KiB of data; the kernel cuts it if offload is on. */
static void tell_guest(struct flow *f, unsigned int flags, const void *data,
		       size_t len)
{
	struct virtio_net_hdr vnet = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM };
	uint8_t head[ETH_LEN + 40 + TCP_LEN + SYN_OPTS];
	size_t ip_len = f->key.six ? 40 : 20;
	size_t l4 = ETH_LEN + ip_len;
	size_t tcp_len = put_tcp(head + l4, f, flags);
	size_t mss = mtu - ip_len - TCP_LEN;
	uint64_t sum = sum_pseudo(&f->key, IPPROTO_TCP, tcp_len + len);
	uint16_t check;
	struct iovec iov[3] = {
		{ &vnet, sizeof(vnet) },
		{ head, l4 + tcp_len },
		{ (void *)data, len },
	};

	put_eth(head, f->key.six);
	put_ip(head + ETH_LEN, &f->key, IPPROTO_TCP, tcp_len + len);

	if (offload) {
		check = sum_fold(sum);
	} else {
		sum = sum_bytes(head + l4, tcp_len, sum);
		check = ~sum_fold(sum_bytes(data, len, sum));
	}
	memcpy(head + l4 + 16, &check, 2);
	vnet.csum_start = l4;
	vnet.csum_offset = 16;
	if (len > mss) {
		vnet.gso_type = f->key.six ? VIRTIO_NET_HDR_GSO_TCPV6
					   : VIRTIO_NET_HDR_GSO_TCPV4;
		vnet.gso_size = mss;
		vnet.hdr_len = l4 + tcp_len;
	}
	if (writev(tap, offload ? iov : iov + 1, offload ? 3 : 2) < 0)
		fprintf(stderr, "bench-limit: tap write: %s\n", strerror(errno));
	f->snd_nxt += len + !!(flags & (SYN | FIN));
}

static void from_host(struct flow *f)
{
	size_t ip_len = f->key.six ? 40 : 20;
	size_t most = (offload ? SUPER : mtu) - ip_len - TCP_LEN;

	for (int i = 0; i < SOCK_TURN; i++) {
		uint32_t room = flow_room(f);
		size_t want = room < most ? room : most;
		ssize_t n;

		if (!want) {
			flow_want(f, f->interest & ~EPOLLIN);
			return;
		}
		n = recv(f->fd, data_out, want, MSG_DONTWAIT);
		if (n > 0)
			tell_guest(f, ACK | PSH, data_out, n);
		if (n > 0 && (size_t)n == want)
			continue;
		if (n == 0) {
			f->host_fin = true;
			tell_guest(f, ACK | FIN, NULL, 0);
			flow_want(f, 0);
		} else if (n < 0 && errno != EAGAIN) {
			tell_guest(f, RST | ACK, NULL, 0);
			flow_end(f);
		}
		return;
	}
}

/* ---- from the guest ---- */

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
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, size = SEND_BUFFER;
	socklen_t len = sizeof(send_buffer);
	int r;

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, &len);
	r = k->six ? connect(fd, (struct sockaddr *)&in6, sizeof(in6))
		   : connect(fd, (struct sockaddr *)&in4, sizeof(in4));
	if (r && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

static void on_syn(const struct segment *s)
{
	struct epoll_event e = { .events = EPOLLOUT };
	struct flow *f = calloc(1, sizeof(*f));

	if (!f)
		die("calloc");
	f->key = s->key;
	f->rcv_nxt = ntohl(s->tcp->seq) + 1;
	f->snd_nxt = f->snd_una = ~ntohl(s->tcp->seq);
	f->scale = syn_scale(s->tcp);
	f->window = ntohs(s->tcp->window);
	f->fd = dial(&s->key);
	if (f->fd < 0) {
		tell_guest(f, RST | ACK, NULL, 0);
		free(f);
		return;
	}
	f->chain = bucket[key_bucket(&f->key)];
	bucket[key_bucket(&f->key)] = f;
	f->interest = e.events;
	e.data.ptr = f;
	epoll_ctl(ep, EPOLL_CTL_ADD, f->fd, &e);
}

static void on_ack(struct flow *f, const struct segment *s)
{
	uint32_t ack = ntohl(s->tcp->ack_seq);

	if ((int32_t)(ack - f->snd_una) > 0)
		f->snd_una = ack;
	f->window = (uint32_t)ntohs(s->tcp->window) << f->scale;
	if (f->open && !f->host_fin && flow_room(f))
		flow_want(f, f->interest | EPOLLIN);
}

static void on_data(struct flow *f, const struct segment *s)
{
	uint32_t known = f->rcv_nxt - ntohl(s->tcp->seq);
	ssize_t n;

	flow_owe(f);
	if (!f->open || known >= s->len)
		return;		/* a repeat, or ahead of what we wait for */
	n = send(f->fd, s->data + known, s->len - known,
		 MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		f->rcv_nxt += n;
}

static void on_fin(struct flow *f, const struct segment *s)
{
	if (f->guest_fin || f->rcv_nxt != ntohl(s->tcp->seq) + s->len)
		return;
	f->guest_fin = true;
	f->rcv_nxt++;
	shutdown(f->fd, SHUT_WR);
	flow_owe(f);
}

void from_guest(const struct segment *s)
{
	struct flow *f = flow_find(&s->key);

	if (s->tcp->syn) {
		if (!f)
			on_syn(s);
		return;
	}
	if (!f)
		return;
	if (s->tcp->rst) {
		flow_end(f);
		return;
	}
	on_ack(f, s);
	if (s->len)
		on_data(f, s);
	if (s->tcp->fin)
		on_fin(f, s);
	if (f->guest_fin && f->host_fin && f->snd_una == f->snd_nxt) {
		if (f->owed)
			tell_guest(f, ACK, NULL, 0);
		flow_end(f);
	}
}

/* ---- events ---- */

void socket_event(struct flow *f, uint32_t events)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (f->dead)
		return;
	if (!f->open) {
		getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		if (err) {
			tell_guest(f, RST | ACK, NULL, 0);
			flow_end(f);
			return;
		}
		f->open = true;
		tell_guest(f, SYN | ACK, NULL, 0);
		f->snd_una = f->snd_nxt;
		flow_want(f, EPOLLIN);
		return;
	}
	if (events & EPOLLERR) {
		tell_guest(f, RST | ACK, NULL, 0);
		flow_end(f);
		return;
	}
	if (events & EPOLLOUT) {
		flow_want(f, f->interest & ~EPOLLOUT);
		flow_owe(f);
	}
	if ((events & (EPOLLIN | EPOLLHUP)) && !f->host_fin)
		from_host(f);
}

/* One ACK per flow and turn.  A window near its end is reopened by EPOLLOUT. */
void settle(void)
{
	while (owed) {
		struct flow *f = owed;

		owed = f->next_owed;
		f->owed = false;
		if (f->dead)
			continue;
		tell_guest(f, ACK, NULL, 0);
		if (f->edge - f->rcv_nxt < send_buffer / 12)
			flow_want(f, f->interest | EPOLLOUT);
	}
	while (dead) {
		struct flow *f = dead;

		dead = f->next_dead;
		free(f);
	}
}
