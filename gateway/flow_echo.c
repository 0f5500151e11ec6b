/* flow_echo.c - pings of the guest.  See flow_echo.h.
 *
 * Finding: by (guest, id) in a hash table; by watch, which is embedded; the least recently used stands first in a list, and one timer looks at it.
 * Trap: an ICMP error fails the next call on the socket, whomever that pings; so a request is sent once more (the failed call took the
 * error; a local one comes again), and the queue (IP_RECVERR) tells who was meant and which request.
 * Trap: the filter is ours: the kernel hands a ping socket every reply with its id, whoever sent it, also when it is connected.
 * System calls: socket setsockopt bind sendmsg recvmsg close getrandom getsockopt; if_nametoindex() makes its own.
 */
#include "gateway/flow_echo.h"

#include "gateway/dial.h"
#include "gateway/host_udp_err.h"
#include "slirp/base/bytes.h"
#include "slirp/base/htab.h"
#include "slirp/base/siphash.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	ECHO_READS = 32,	/* packets per event; the watch is level-triggered */
	ECHO_PEER_BITS = 2048,	/* a stranger passes with probability (pinged addresses) / this, and must know the id besides */
	ECHO_PACKET_MAX = 65536,
	ECHO_SHARE = 8,		/* of the descriptor limit: the part that is ours at most */
	ECHO_PIECES = 24,	/* ICMP header and what the core hands over */
};

/* Ancillary data of one packet: an error and its offender, hop limit, DSCP. */
union echo_ctl {
	struct cmsghdr align;
	uint8_t b[256];
};

struct echo_sock {
	struct flow_echo *table;
	struct htab_node node; /* by guest and id */
	struct list lru;
	struct loop_watch watch;
	struct loop_reap reap;
	struct endpoint guest; /* port: the guest's id */
	int64_t used;
	unsigned ifindex; /* what it was bound to, as flow_echo's */
	bool v6, dont_fragment;
	struct echo too_big; /* the last request that this host would not send whole */
	uint64_t peers[ECHO_PEER_BITS / 64];
};

struct flow_echo {
	struct flow_echo_env env;
	struct htab socks;
	struct list lru; /* least recently used first */
	struct loop_timer timer; /* set while there are sockets; may be early */
	struct siphash_key key;
	struct flow_echo_stats stats;
	int64_t share; /* descriptors that are ours at most */
	unsigned ifindex; /* of --outbound-if; 0: none is given, or it has never been there */
	bool warned;
	uint8_t buf[ECHO_PACKET_MAX]; /* one packet, valid within one call */
};

/* ------------------------------------------------------------------ the table */

static uint32_t echo_hash(const struct flow_echo *t, const struct endpoint *guest)
{
	return (uint32_t)siphash(&t->key, guest, sizeof(*guest));
}

static struct echo_sock *echo_find(const struct flow_echo *t, const struct endpoint *guest)
{
	for (struct htab_node *n = htab_first(&t->socks, echo_hash(t, guest)); n; n = htab_next(&t->socks, n)) {
		struct echo_sock *s = container_of(n, struct echo_sock, node);

		if (endpoint_eq(&s->guest, guest))
			return s;
	}
	return NULL;
}

static struct echo_sock *echo_oldest(const struct flow_echo *t)
{
	return list_empty(&t->lru) ? NULL : container_of(t->lru.next, struct echo_sock, lru);
}

static void echo_touch(struct echo_sock *s, int64_t now)
{
	s->used = now;
	list_unlink(&s->lru);
	list_push_tail(&s->table->lru, &s->lru);
}

static void echo_reap(struct loop_reap *r)
{
	g_free(container_of(r, struct echo_sock, reap));
}

static void echo_end(struct echo_sock *s)
{
	struct flow_echo *t = s->table;

	loop_watch_close(t->env.loop, &s->watch);
	list_unlink(&s->lru);
	htab_remove(&t->socks, &s->node);
	t->stats.now--;
	loop_reap_later(t->env.loop, &s->reap, echo_reap);
}

/* The timer is never moved for a packet: it may find that its socket was used since. */
static void echo_timer(struct loop_timer *timer, int64_t now)
{
	struct flow_echo *t = container_of(timer, struct flow_echo, timer);
	struct echo_sock *s;

	while ((s = echo_oldest(t)) && s->used + t->env.tune->ping_idle <= now)
		echo_end(s);
	loop_timer_set(t->env.loop, &t->timer, s ? s->used + t->env.tune->ping_idle : TIMERQ_NEVER);
}

static bool echo_give_way(struct flow_echo *t)
{
	struct echo_sock *s = echo_oldest(t);

	if (!s)
		return false;
	echo_end(s);
	t->stats.evicted++;
	return true;
}

/* ------------------------------------------------------------------ whom a socket pings */

static uint64_t *echo_peer(struct echo_sock *s, const struct addr *a, uint64_t *ret_bit)
{
	uint64_t h = siphash(&s->table->key, a, sizeof(*a)) % ECHO_PEER_BITS;

	*ret_bit = 1ull << (h % 64);
	return &s->peers[h / 64];
}

static void echo_peer_add(struct echo_sock *s, const struct addr *a)
{
	uint64_t bit, *word = echo_peer(s, a, &bit);

	*word |= bit;
}

static bool echo_peer_known(struct echo_sock *s, const struct addr *a)
{
	uint64_t bit, *word = echo_peer(s, a, &bit);

	return *word & bit;
}

/* The address by which the guest knows one of the host's side; false: by none. Only an address that leads to itself has a way back. */
static bool echo_visible(const struct flow_echo *t, const struct addr *a)
{
	struct addr to;

	return !t->env.map(t->env.arg, a, &to) && addr_eq(&to, a);
}

/* ------------------------------------------------------------------ from the host */

/* Hop limit (less one: we are a router) and DSCP of what came. */
static void echo_fields(struct msghdr *h, struct echo *e)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		int value = 0;

		memcpy(&value, CMSG_DATA(c), MIN(sizeof(value), c->cmsg_len - CMSG_LEN(0)));
		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) || (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT))
			e->hop_limit = (uint8_t)(value > 1 ? value - 1 : 1);
		else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
			e->tos = *CMSG_DATA(c); /* one byte */
		else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)
			e->tos = (uint8_t)value;
	}
}

static void echo_reply(struct echo_sock *s, uint32_t len, const struct sockaddr_storage *ss, struct msghdr *h, int64_t now)
{
	struct flow_echo *t = s->table;
	struct endpoint from;
	struct echo e = { .guest = s->guest.addr, .id = s->guest.port, .seq = bytes_get16(t->buf + 6) };
	enum reason r;

	if (len < ICMP_HDR_LEN || t->buf[0] != (s->v6 ? ICMP6_ECHO_REPLY : ICMP4_ECHO_REPLY) || !hostsock_endpoint(ss, &from) ||
	    !echo_peer_known(s, &from.addr)) {
		reason_count(t->env.drops, R_ECHO_STRANGER);
		return;
	}
	e.far = from.addr;
	echo_fields(h, &e);
	echo_touch(s, now);
	r = t->env.to_guest(t->env.arg, &e, &(struct iovec){ t->buf + ICMP_HDR_LEN, len - ICMP_HDR_LEN }, 1, len - ICMP_HDR_LEN);
	if (!r)
		t->stats.to_guest++;
	else if (r != R_LINK_FULL)
		reason_count(t->env.drops, r);
}

/* A request that this host would not send whole: the queue's entry knows the MTU, and nothing of the packet. */
static void echo_local_error(struct echo_sock *s, const struct sock_extended_err *ee)
{
	if (ee->ee_errno == EMSGSIZE && !addr_is_unspecified(&s->too_big.far))
		s->table->env.error(s->table->env.arg, &s->too_big, ICMP_UNREACH_SIZE, ee->ee_info, NULL);
}

static void echo_error(struct echo_sock *s, const struct sock_extended_err *ee, uint32_t len, const struct sockaddr_storage *to, int64_t now)
{
	struct flow_echo *t = s->table;
	struct echo e = { .guest = s->guest.addr, .id = s->guest.port };
	const struct addr *from = NULL; /* the gateway */
	struct endpoint peer, who;
	enum icmp_unreach why;

	if (ee->ee_origin == SO_EE_ORIGIN_LOCAL)
		return echo_local_error(s, ee);
	if (!host_udp_err_icmp(ee, &why))
		return;
	if (!hostsock_endpoint(to, &peer) || !echo_peer_known(s, &peer.addr) || len < ICMP_HDR_LEN) {
		reason_count(t->env.drops, R_ECHO_STRANGER);
		return;
	}
	e.far = peer.addr;
	e.seq = bytes_get16(t->buf + 6); /* of the request that the error quotes */
	if (hostsock_endpoint((const struct sockaddr_storage *)SO_EE_OFFENDER(ee), &who) && addr_is_v4(&who.addr) == !s->v6 &&
	    echo_visible(t, &who.addr))
		from = &who.addr;
	echo_touch(s, now);
	t->env.error(t->env.arg, &e, why, why == ICMP_UNREACH_SIZE ? ee->ee_info : 0, from);
}

/* One packet, or one entry of the error queue, into the table's buffer.  Its length, or -1: there is none. */
static ssize_t echo_read(struct echo_sock *s, int flags, struct sockaddr_storage *from, void *ctl, size_t ctl_size, struct msghdr *h)
{
	struct iovec iov = { s->table->buf, sizeof(s->table->buf) };
	ssize_t n;

	memset(from, 0, sizeof(*from));
	*h = (struct msghdr){ .msg_name = from, .msg_namelen = sizeof(*from), .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl,
			      .msg_controllen = ctl_size };
	n = recvmsg(s->watch.fd, h, flags | MSG_DONTWAIT);
	h->msg_iov = NULL;
	return n;
}

static bool echo_error_one(struct echo_sock *s, int64_t now)
{
	union echo_ctl ctl;
	struct sockaddr_storage to;
	struct msghdr h;
	ssize_t n = echo_read(s, MSG_ERRQUEUE, &to, &ctl, sizeof(ctl), &h);

	if (n < 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
		    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
			echo_error(s, (const struct sock_extended_err *)CMSG_DATA(c), (uint32_t)n, &to, now);
	}
	return true;
}

static void echo_event(struct loop_watch *w, uint32_t events, int64_t now)
{
	struct echo_sock *s = container_of(w, struct echo_sock, watch);
	struct sockaddr_storage from;
	int err, left = ECHO_READS;
	union echo_ctl ctl;
	socklen_t len = sizeof(err);
	struct msghdr h;
	ssize_t n;

	while (events & EPOLLERR && left-- && echo_error_one(s, now))
		continue;
	if (events & EPOLLERR)
		(void)getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &err, &len); /* clears it */
	for (left = ECHO_READS; left; left--) {
		n = echo_read(s, 0, &from, &ctl, sizeof(ctl), &h);
		if (n < 0)
			return;
		echo_reply(s, (uint32_t)n, &from, &h, now);
	}
}

/* ------------------------------------------------------------------ from the guest */

static enum reason echo_refused(struct flow_echo *t, int err)
{
	if (err != -EACCES && err != -EPERM)
		return dial_reason(-err);
	if (!t->warned)
		journal_say(t->env.journal, JOURNAL_WARN,
			    "the guest pings, but the kernel gives this user no ping socket: as root, sysctl net.ipv4.ping_group_range=\"0 2147483647\"");
	t->warned = true;
	return R_PING_FORBIDDEN;
}

/* What the kernel is to tell of errors and replies; each a nicety that a kernel may refuse. */
static void echo_prepare(const struct echo_sock *s, int fd)
{
	static const int tell4[] = { IP_RECVERR, IP_RECVTTL, IP_RECVTOS }, tell6[] = { IPV6_RECVERR, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS };
	int on = 1, how = IP_PMTUDISC_DONT;

	for (size_t i = 0; i < G_N_ELEMENTS(tell4); i++)
		(void)setsockopt(fd, s->v6 ? IPPROTO_IPV6 : IPPROTO_IP, s->v6 ? tell6[i] : tell4[i], &on, sizeof(on));
	if (!s->v6)
		(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &how, sizeof(how));
}

static enum reason echo_open(struct flow_echo *t, const struct endpoint *guest, int64_t now, struct echo_sock **ret)
{
	struct echo_sock *s;
	int fd, err;

	while (t->stats.now >= MIN(t->env.tune->ping_sockets_max, t->share))
		echo_give_way(t);
	fd = hostsock_open_ping(&guest->addr, t->env.origin);
	if ((fd == -EMFILE || fd == -ENFILE) && echo_give_way(t))
		fd = hostsock_open_ping(&guest->addr, t->env.origin);
	if (fd < 0)
		return echo_refused(t, fd);
	t->warned = false;
	s = mem_new0(t->env.mem, sizeof(*s));
	if (!s) {
		close(fd);
		return R_NO_MEMORY;
	}
	s->table = t;
	s->guest = *guest;
	s->ifindex = t->ifindex;
	s->v6 = !addr_is_v4(&guest->addr);
	s->dont_fragment = s->v6; /* the kernel's default for IPv4 is set by the first request */
	s->watch.fn = echo_event;
	echo_prepare(s, fd);
	err = loop_watch_add(t->env.loop, &s->watch, fd, EPOLLIN);
	if (!err && !t->timer.timer.slot && !loop_timer_set(t->env.loop, &t->timer, now + t->env.tune->ping_idle)) {
		loop_watch_remove(t->env.loop, &s->watch);
		err = -ENOMEM;
	}
	if (err) {
		close(fd);
		g_free(s);
		return dial_reason(-err);
	}
	list_init(&s->lru);
	list_push_tail(&t->lru, &s->lru);
	htab_insert(&t->socks, &s->node, echo_hash(t, guest));
	t->stats.now++;
	*ret = s;
	return R_ACCEPTED;
}

/* IPv4 alone: whether the host may cut the request. IPv6 routers never do, and this host does as it must. */
static void echo_set_fragment(struct echo_sock *s, bool dont)
{
	int how = dont ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;

	if (s->v6 || s->dont_fragment == dont)
		return;
	if (!setsockopt(s->watch.fd, IPPROTO_IP, IP_MTU_DISCOVER, &how, sizeof(how)))
		s->dont_fragment = dont;
}

static size_t echo_put_int(union echo_ctl *ctl, size_t at, int level, int type, int value)
{
	struct cmsghdr *c = (struct cmsghdr *)(ctl->b + at);

	c->cmsg_len = CMSG_LEN(sizeof(value));
	c->cmsg_level = level;
	c->cmsg_type = type;
	memcpy(CMSG_DATA(c), &value, sizeof(value));
	return at + CMSG_SPACE(sizeof(value));
}

/* 0 or -errno. */
static int echo_send(struct echo_sock *s, const struct addr *to, const struct echo *e, const struct iovec *iov, int n)
{
	int level = s->v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	struct sockaddr_storage ss;
	union echo_ctl ctl = { 0 };
	struct msghdr h = { .msg_name = &ss, .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n, .msg_control = &ctl };

	h.msg_namelen = hostsock_sockaddr(&(struct endpoint){ .addr = *to }, &ss);
	h.msg_controllen = echo_put_int(&ctl, 0, level, s->v6 ? IPV6_HOPLIMIT : IP_TTL, e->hop_limit - 1);
	h.msg_controllen = echo_put_int(&ctl, h.msg_controllen, level, s->v6 ? IPV6_TCLASS : IP_TOS, e->tos);
	for (int tries = 2; tries; tries--) {
		if (sendmsg(s->watch.fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EMSGSIZE || errno == EAGAIN)
			break;
	}
	return -errno;
}

enum reason flow_echo_send(struct flow_echo *t, const struct echo *e, const struct iovec *data, int n, uint32_t len, int64_t now)
{
	struct endpoint guest = { e->guest, e->id };
	struct echo_sock *s = echo_find(t, &guest);
	uint8_t head[ICMP_HDR_LEN] = { addr_is_v4(&e->guest) ? ICMP4_ECHO_REQUEST : ICMP6_ECHO_REQUEST };
	struct iovec iov[ECHO_PIECES] = { { head, sizeof(head) } };
	struct addr to;
	enum reason r;
	int err;

	(void)len;
	r = n < ECHO_PIECES ? t->env.map(t->env.arg, &e->far, &to) : R_L4_LENGTH;
	if (!r && !addr_eq(&to, &e->far))
		r = R_HOST_LOOPBACK; /* the gateway's own addresses are the core's to answer; nothing else leads elsewhere */
	if (!r && s && s->ifindex != t->ifindex) {
		echo_end(s); /* bound to an interface that is no more */
		s = NULL;
	}
	if (!r && !s)
		r = echo_open(t, &guest, now, &s);
	if (r)
		return r;
	bytes_put16(head + 6, e->seq); /* id and checksum are the kernel's */
	memcpy(iov + 1, data, sizeof(*iov) * (size_t)n);
	echo_touch(s, now);
	echo_peer_add(s, &to);
	echo_set_fragment(s, e->dont_fragment);
	err = echo_send(s, &to, e, iov, n + 1);
	if (err == -EMSGSIZE) {
		s->too_big = *e; /* the error queue says how big it may be */
		return R_ACCEPTED;
	}
	if (err)
		return dial_reason(-err);
	t->stats.to_host++;
	return R_ACCEPTED;
}

/* ------------------------------------------------------------------ life */

struct flow_echo *flow_echo_new(const struct flow_echo_env *env)
{
	struct flow_echo *t = g_try_new0(struct flow_echo, 1);

	if (!t)
		return NULL;
	t->env = *env;
	if (!env->tune)
		t->env.tune = &gateway_tunable_defaults;
	t->share = hostsock_share(ECHO_SHARE);
	t->timer.fn = echo_timer;
	list_init(&t->lru);
	flow_echo_host_changed(t);
	if (htab_init(&t->socks) && getrandom(&t->key, sizeof(t->key), 0) == sizeof(t->key))
		return t;
	htab_clear(&t->socks);
	g_free(t);
	return NULL;
}

void flow_echo_host_changed(struct flow_echo *t)
{
	unsigned ifindex = *t->env.origin->outbound_if ? if_nametoindex(t->env.origin->outbound_if) : 0;

	if (ifindex) /* while it is away, the old sockets may as well wait for it */
		t->ifindex = ifindex;
}

void flow_echo_free(struct flow_echo *t)
{
	if (!t)
		return;
	while (echo_oldest(t))
		echo_end(echo_oldest(t));
	loop_timer_set(t->env.loop, &t->timer, TIMERQ_NEVER);
	htab_clear(&t->socks);
	g_free(t);
}

void flow_echo_stats(const struct flow_echo *t, struct flow_echo_stats *ret)
{
	*ret = t->stats;
}
