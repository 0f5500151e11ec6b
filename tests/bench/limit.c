/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * limit.c - how fast could any gateway on a tap be?  The bench's upper bound.
 *
 * What it is: the least a user-mode relay can do between a tap and host
 * sockets.  A guest's TCP segments become send() on a socket connected to the
 * host's loopback, same port; what that socket receives goes back as segments.
 * With IFF_VNET_HDR and TSO one read or write of the tap moves up to 64 KiB
 * whatever the MTU (-n: plain frames with software checksums instead).
 *
 * What it is not: a TCP.  It trusts the guest for everything, keeps no copy of
 * what it sent, never retransmits, has no timers, no congestion control, no
 * answer to ARP (give the guest a permanent neighbour), and takes segments in
 * order only.  What it leaves out is what a real gateway pays for.
 *
 * Run it in the host's namespace, with the right to open a tap in the guest's
 * (-N PID).  -m must be the MTU of the tap.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	ETH_LEN = 14,
	TCP_LEN = 20,
	SYN_OPTS = 8,		/* MSS, NOP, window scale */
	SUPER = 65535,		/* IP length of a super-frame */
	OUR_SCALE = 8,		/* window scale we announce */
	SEND_BUFFER = 4 << 20,	/* asked for per host socket, may get less */
	TAP_TURN = 32,		/* frames read before sockets get their turn */
	SOCK_TURN = 4,		/* reads of one socket per turn */
	BUCKETS = 1 << 15,
	EVENTS = 64,
};

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

struct key {
	uint8_t guest[16], far[16];	/* an IPv4 address fills the first 4 */
	uint16_t gport, fport;		/* network order */
	uint32_t six;			/* IPv6? */
};

/*
 *  SYN --connect()--> dialing --EPOLLOUT--> open --both ends closed--> gone
 *  Any RST or socket error ends it at once.
 */
struct flow {
	struct key key;
	struct flow *chain;	/* next in the bucket */
	struct flow *next_owed;	/* list of flows to acknowledge this turn */
	struct flow *next_dead;
	int fd;
	uint32_t rcv_nxt;	/* next byte expected from the guest */
	uint32_t snd_nxt;	/* next byte to send to it */
	uint32_t snd_una;	/* oldest it has not acknowledged */
	uint32_t window;	/* bytes it can take beyond snd_una */
	uint32_t edge;		/* right edge of the window we last announced */
	uint8_t scale;		/* its window scale */
	bool open, owed, dead;
	bool guest_fin, host_fin;	/* which ends have closed */
	uint32_t interest;	/* epoll mask set at present */
};

struct segment {
	struct key key;
	const struct tcphdr *tcp;
	const uint8_t *data;
	size_t len;
};

static struct flow *bucket[BUCKETS];
static struct flow *owed, *dead;
static int tap = -1, ep = -1;
static bool offload = true;
static uint32_t send_buffer;	/* what the kernel granted */
static unsigned int mtu = 65520;
static uint8_t guest_mac[6];
static const uint8_t our_mac[6] = { 0x02, 0, 0, 0, 0, 0x01 };
static uint8_t frame_in[sizeof(struct virtio_net_hdr) + ETH_LEN + SUPER + 64];
static uint8_t data_out[SUPER];

static void die(const char *what)
{
	fprintf(stderr, "bench-limit: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- checksums ---- */

static uint64_t sum_bytes(const void *data, size_t len, uint64_t sum)
{
	const uint8_t *p = data;
	uint32_t word;

	for (; len >= 4; p += 4, len -= 4) {
		memcpy(&word, p, 4);
		sum += word;
	}
	if (len) {
		word = 0;
		memcpy(&word, p, len);
		sum += word;
	}
	return sum;
}

static uint16_t sum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint64_t sum_pseudo(const struct key *k, size_t l4_len)
{
	size_t alen = k->six ? 16 : 4;
	uint64_t sum = htons(IPPROTO_TCP) + htons(l4_len);

	return sum_bytes(k->guest, alen, sum_bytes(k->far, alen, sum));
}

/* ---- flows ---- */

static unsigned int key_bucket(const struct key *k)
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

static size_t put_ip(uint8_t *at, const struct key *k, size_t l4_len)
{
	static uint16_t id;

	if (k->six) {
		struct ip6_hdr ip6 = {
			.ip6_flow = htonl(6u << 28),
			.ip6_plen = htons(l4_len),
			.ip6_nxt = IPPROTO_TCP,
			.ip6_hlim = 64,
		};

		memcpy(&ip6.ip6_src, k->far, 16);
		memcpy(&ip6.ip6_dst, k->guest, 16);
		memcpy(at, &ip6, sizeof(ip6));
		return sizeof(ip6);
	} else {
		struct iphdr ip = {
			.version = 4, .ihl = 5, .ttl = 64,
			.protocol = IPPROTO_TCP,
			.tot_len = htons(sizeof(ip) + l4_len),
			.id = htons(id++),
			.frag_off = htons(IP_DF),
		};

		memcpy(&ip.saddr, k->far, 4);
		memcpy(&ip.daddr, k->guest, 4);
		ip.check = ~sum_fold(sum_bytes(&ip, sizeof(ip), 0));
		memcpy(at, &ip, sizeof(ip));
		return sizeof(ip);
	}
}

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
	uint64_t sum = sum_pseudo(&f->key, tcp_len + len);
	uint16_t check;
	struct iovec iov[3] = {
		{ &vnet, sizeof(vnet) },
		{ head, l4 + tcp_len },
		{ (void *)data, len },
	};

	memcpy(head, guest_mac, 6);
	memcpy(head + 6, our_mac, 6);
	head[12] = f->key.six ? 0x86 : 0x08;
	head[13] = f->key.six ? 0xdd : 0x00;
	put_ip(head + ETH_LEN, &f->key, tcp_len + len);

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

static uint8_t syn_scale(const struct tcphdr *tcp)
{
	const uint8_t *o = (const uint8_t *)(tcp + 1);
	const uint8_t *end = (const uint8_t *)tcp + tcp->doff * 4;

	while (o + 1 < end && *o != TCPOPT_EOL) {
		if (*o == TCPOPT_NOP) {
			o++;
			continue;
		}
		if (*o == TCPOPT_WINDOW)
			return o[2];
		if (o[1] < 2)
			break;
		o += o[1];
	}
	return 0;
}

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

static void from_guest(const struct segment *s)
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

/* Trusting as it is, it does not read beyond the frame. */
static bool parse(const uint8_t *p, size_t len, struct segment *s)
{
	size_t ip_len, total, doff;

	memset(s, 0, sizeof(*s));
	memcpy(guest_mac, p + 6, 6);
	if (p[12] == 0x08 && p[13] == 0x00 && p[ETH_LEN + 9] == IPPROTO_TCP) {
		ip_len = (p[ETH_LEN] & 15) * 4;
		total = p[ETH_LEN + 2] << 8 | p[ETH_LEN + 3];
		memcpy(s->key.guest, p + ETH_LEN + 12, 4);
		memcpy(s->key.far, p + ETH_LEN + 16, 4);
	} else if (p[12] == 0x86 && p[13] == 0xdd &&
		   p[ETH_LEN + 6] == IPPROTO_TCP) {
		ip_len = 40;
		total = 40 + (p[ETH_LEN + 4] << 8 | p[ETH_LEN + 5]);
		memcpy(s->key.guest, p + ETH_LEN + 8, 16);
		memcpy(s->key.far, p + ETH_LEN + 24, 16);
		s->key.six = 1;
	} else {
		return false;
	}
	if (total > len - ETH_LEN || total < ip_len + TCP_LEN)
		return false;
	s->tcp = (const void *)(p + ETH_LEN + ip_len);
	doff = s->tcp->doff * 4;
	if (doff < TCP_LEN || total < ip_len + doff)
		return false;
	s->key.gport = s->tcp->source;
	s->key.fport = s->tcp->dest;
	s->data = (const uint8_t *)s->tcp + doff;
	s->len = total - ip_len - doff;
	return true;
}

static void tap_turn(void)
{
	size_t skip = offload ? sizeof(struct virtio_net_hdr) : 0;

	for (int i = 0; i < TAP_TURN; i++) {
		struct segment s;
		ssize_t n = read(tap, frame_in, sizeof(frame_in));

		if (n <= 0)
			return;
		if ((size_t)n < skip + ETH_LEN + 20 + TCP_LEN)
			continue;
		if (parse(frame_in + skip, n - skip, &s))
			from_guest(&s);
	}
}

/* ---- the turn ---- */

static void socket_event(struct flow *f, uint32_t events)
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
static void settle(void)
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

static int open_tap(pid_t pid, const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	unsigned int features = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	char path[64];
	int guest, fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	guest = open(path, O_RDONLY | O_CLOEXEC);
	if (home < 0 || guest < 0 || setns(guest, CLONE_NEWNET))
		die(path);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		die("/dev/net/tun");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (offload)
		ifr.ifr_flags |= IFF_VNET_HDR;
	if (ioctl(fd, TUNSETIFF, &ifr))
		die("TUNSETIFF");
	if (offload && ioctl(fd, TUNSETOFFLOAD, features))
		die("TUNSETOFFLOAD");
	if (setns(home, CLONE_NEWNET))
		die("setns back");
	close(home);
	close(guest);
	return fd;
}

static void loop(void)
{
	struct epoll_event e = { .events = EPOLLIN }, ev[EVENTS];

	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, tap, &e))
		die("epoll");
	for (;;) {
		int n = epoll_wait(ep, ev, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr)
				socket_event(ev[i].data.ptr, ev[i].events);
			else
				tap_turn();
		}
		settle();
	}
}

int main(int argc, char **argv)
{
	struct rlimit rl;
	pid_t pid = 0;
	int o;

	while ((o = getopt(argc, argv, "N:m:n")) != -1) {
		switch (o) {
		case 'N': pid = atoi(optarg); break;
		case 'm': mtu = atoi(optarg); break;
		case 'n': offload = false; break;
		default: pid = 0; optind = argc + 1;
		}
	}
	if (optind != argc || pid <= 0 || mtu < 576 || mtu > SUPER) {
		fputs("usage: bench-limit -N PID [-m MTU] [-n]\n", stderr);
		return 2;
	}
	if (!getrlimit(RLIMIT_NOFILE, &rl)) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	signal(SIGPIPE, SIG_IGN);
	tap = open_tap(pid, "tap0");
	puts("ready");
	fflush(stdout);
	loop();
	return 0;
}
