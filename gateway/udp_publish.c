/* udp_publish.c - clients of published UDP ports.  See udp_publish.h.
 *
 * Two keys per session: (guest, far as the guest names it) for what leaves, (client, port) for what comes.
 * System calls: recvmsg sendmsg getsockname.
 */
#include "gateway/udp_publish.h"

#include "gateway/dial.h"
#include "gateway/hostsock.h"
#include "slirp/base/htab.h"
#include "slirp/base/siphash.h"

#include <errno.h>
#include <glib.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

enum {
	PUB_BATCH = 64, /* datagrams per turn and port */
	PUB_DATAGRAM = 65536,
};

struct pub_session {
	struct htab_node by_far, by_client;
	struct list age;     /* in udp_publish.ages */
	struct list sibling; /* in port.sessions */
	struct udp_publish_port *port;
	struct endpoint client, guest, far;
	struct addr local; /* what the client has called; addr_any: not told */
	int64_t used;
};

struct udp_publish {
	struct udp_publish_env env;
	struct siphash_key key;
	struct htab by_far, by_client;
	struct list ages; /* least recently used first */
	uint32_t n;
	struct loop_timer timer; /* set while there are sessions; may be early */
	uint8_t buf[PUB_DATAGRAM];
};

/* Room for the control messages of one datagram. */
union pub_control {
	struct cmsghdr align;
	uint8_t room[2 * CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(uint16_t))];
};

/* ---- sessions */

static uint32_t pub_hash_far(const struct udp_publish *u, const struct tuple *t)
{
	return (uint32_t)siphash(&u->key, t, sizeof(*t));
}

static uint32_t pub_hash_client(const struct udp_publish *u, const struct endpoint *client)
{
	return (uint32_t)siphash(&u->key, client, sizeof(*client));
}

static struct pub_session *pub_find_far(const struct udp_publish *u, const struct tuple *t)
{
	struct htab_node *n = htab_first(&u->by_far, pub_hash_far(u, t));

	for (; n; n = htab_next(&u->by_far, n)) {
		struct pub_session *s = container_of(n, struct pub_session, by_far);

		if (endpoint_eq(&s->far, &t->far) && endpoint_eq(&s->guest, &t->guest))
			return s;
	}
	return NULL;
}

static struct pub_session *pub_find_client(const struct udp_publish_port *p, const struct endpoint *client)
{
	struct htab *h = &p->all->by_client;
	struct htab_node *n = htab_first(h, pub_hash_client(p->all, client));

	for (; n; n = htab_next(h, n)) {
		struct pub_session *s = container_of(n, struct pub_session, by_client);

		if (s->port == p && endpoint_eq(&s->client, client))
			return s;
	}
	return NULL;
}

static struct pub_session *pub_oldest(const struct udp_publish *u)
{
	return list_empty(&u->ages) ? NULL : container_of(u->ages.next, struct pub_session, age);
}

static void pub_end(struct udp_publish *u, struct pub_session *s)
{
	htab_remove(&u->by_far, &s->by_far);
	htab_remove(&u->by_client, &s->by_client);
	list_unlink(&s->age);
	list_unlink(&s->sibling);
	s->port->n--;
	if (s->port->left)
		s->port->left(s->port, &s->client);
	u->n--;
	g_free(s);
}

static void pub_arm(struct udp_publish *u)
{
	const struct pub_session *s = pub_oldest(u);

	loop_timer_set(u->env.loop, &u->timer, s ? s->used + *u->env.idle : TIMERQ_NEVER);
}

static void pub_expire(struct loop_timer *t, int64_t now)
{
	struct udp_publish *u = container_of(t, struct udp_publish, timer);
	struct pub_session *s;

	while ((s = pub_oldest(u)) && s->used + *u->env.idle <= now)
		pub_end(u, s);
	pub_arm(u);
}

static void pub_touch(struct udp_publish *u, struct pub_session *s, int64_t now)
{
	s->used = now;
	list_unlink(&s->age);
	list_push_tail(&u->ages, &s->age);
	list_unlink(&s->sibling);
	list_push_tail(&s->port->sessions, &s->sibling);
}

/* What the guest sees of a client: itself, where the guest's answer would come to us. */
static struct endpoint pub_far(const struct udp_publish_port *p, const struct endpoint *guest, const struct endpoint *client)
{
	const struct stack_config *cfg = stack_cfg(p->all->env.stack);
	bool v4 = addr_is_v4(&guest->addr);
	const struct addr *a = &client->addr;

	if (!p->hide && addr_is_v4(a) == v4 && !addr_is_loopback(a) && !addr_is_linklocal(a) && !addr_is_unspecified(a) &&
	    !prefix_contains(v4 ? &cfg->net4 : &cfg->net6, a))
		return *client;
	return (struct endpoint){ v4 ? cfg->gw4 : cfg->gw6, client->port };
}

static void pub_evict(struct udp_publish *u, struct pub_session *s)
{
	s->port->evicted++;
	pub_end(u, s);
}

/* NULL: the client is turned away, or there is no memory; counted. */
static struct pub_session *pub_begin(struct udp_publish_port *p, const struct endpoint *client, int64_t now)
{
	struct udp_publish *u = p->all;
	bool other = p->other.port && addr_is_v4(&p->other.addr) == addr_is_v4(&client->addr);
	struct endpoint guest = other ? p->other : p->guest;
	struct tuple t = { guest, pub_far(p, &guest, client) };
	struct pub_session *s;

	if (p->admit && p->admit(p, client))
		return NULL;
	s = pub_find_far(u, &t);
	if (s) /* of another client that the guest cannot tell from this one */
		pub_end(u, s);
	if (p->n == UDP_PUBLISH_PORT_SESSIONS)
		pub_evict(u, container_of(p->sessions.next, struct pub_session, sibling));
	if (u->n == UDP_PUBLISH_SESSIONS)
		pub_evict(u, pub_oldest(u));
	s = g_try_new0(struct pub_session, 1);
	if (!s) {
		reason_count(u->env.drops, R_NO_MEMORY);
		if (p->left)
			p->left(p, client);
		return NULL;
	}
	s->port = p;
	s->client = *client;
	s->guest = guest;
	s->far = t.far;
	list_init(&s->age);
	list_init(&s->sibling);
	p->n++;
	htab_insert(&u->by_far, &s->by_far, pub_hash_far(u, &t));
	htab_insert(&u->by_client, &s->by_client, pub_hash_client(u, client));
	u->n++;
	pub_touch(u, s, now);
	if (!u->timer.timer.slot)
		pub_arm(u);
	return s;
}

/* ---- datagrams */

/* Which address of ours the datagram was sent to; addr_any: not told (listener.c asks for it). */
static struct addr pub_local(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			return addr_from_v4((const uint8_t *)&((const struct in_pktinfo *)CMSG_DATA(c))->ipi_spec_dst);
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			return addr_from_v6((const uint8_t *)&((const struct in6_pktinfo *)CMSG_DATA(c))->ipi6_addr);
	}
	return addr_any;
}

static void pub_got(struct udp_publish_port *p, const struct endpoint *client, const struct addr *local, uint32_t len, int64_t now)
{
	struct udp_publish *u = p->all;
	struct pub_session *s = pub_find_client(p, client);
	struct tuple t;

	if (s)
		pub_touch(u, s, now);
	else
		s = pub_begin(p, client, now);
	if (!s)
		return;
	s->local = *local;
	t = (struct tuple){ s->guest, s->far };
	stack_dgram(u->env.stack, &t, &(struct dgram_meta){ 0 }, &(struct iovec){ u->buf, len }, 1, len); /* counts what it drops */
}

static void pub_event(struct loop_watch *w, uint32_t events, int64_t now)
{
	struct udp_publish_port *p = container_of(w, struct udp_publish_port, watch);

	for (int i = 0; i < PUB_BATCH; i++) {
		union pub_control control;
		struct sockaddr_storage ss;
		struct iovec iov = { p->all->buf, PUB_DATAGRAM };
		struct msghdr msg = { .msg_name = &ss, .msg_namelen = sizeof(ss), .msg_iov = &iov, .msg_iovlen = 1,
				      .msg_control = &control, .msg_controllen = sizeof(control) };
		struct endpoint client;
		struct addr local;
		ssize_t n = recvmsg(w->fd, &msg, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 || !hostsock_endpoint(&ss, &client)) /* an error here is an earlier answer's that nobody took */
			continue;
		local = pub_local(&msg);
		pub_got(p, &client, &local, (uint32_t)n, now);
	}
}

/* The client's address as the socket names it: an IPv6 socket for both families names IPv4 ones in the mapped form. */
static socklen_t pub_sockaddr(int fd, const struct endpoint *client, struct sockaddr_storage *ss)
{
	socklen_t len = hostsock_sockaddr(client, ss), own = sizeof(struct sockaddr_storage);
	struct sockaddr_storage mine;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ss;

	if (ss->ss_family == AF_INET6 || getsockname(fd, (struct sockaddr *)&mine, &own) || mine.ss_family == AF_INET)
		return len;
	*six = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(client->port) };
	memcpy(&six->sin6_addr, client->addr.b, sizeof(six->sin6_addr));
	return sizeof(*six);
}

static void pub_put(struct msghdr *msg, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)msg->msg_control + msg->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	msg->msg_controllen += CMSG_SPACE(len);
}

/* From which address it leaves, and where a run of datagrams is cut. */
static void pub_control(struct msghdr *msg, union pub_control *control, const struct pub_session *s, uint16_t gso_size)
{
	struct in6_pktinfo from6 = { 0 };
	struct in_pktinfo from4 = { 0 };

	memset(control, 0, sizeof(*control));
	msg->msg_control = control;
	msg->msg_controllen = 0;
	memcpy(&from4.ipi_spec_dst, addr_v4_bytes(&s->local), sizeof(from4.ipi_spec_dst));
	memcpy(&from6.ipi6_addr, s->local.b, sizeof(from6.ipi6_addr));
	if (addr_is_v4(&s->local))
		pub_put(msg, IPPROTO_IP, IP_PKTINFO, &from4, sizeof(from4));
	else if (!addr_eq(&s->local, &addr_any))
		pub_put(msg, IPPROTO_IPV6, IPV6_PKTINFO, &from6, sizeof(from6));
	if (gso_size)
		pub_put(msg, SOL_UDP, UDP_SEGMENT, &gso_size, sizeof(gso_size));
}

bool udp_publish_send(struct udp_publish *u, const struct tuple *t, const struct dgram_meta *m, const struct iovec *iov, int n, uint32_t len,
		      int64_t now, enum reason *why)
{
	struct pub_session *s = u->n ? pub_find_far(u, t) : NULL;
	struct sockaddr_storage ss;
	union pub_control control;
	struct msghdr msg = { .msg_name = &ss, .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };

	if (!s)
		return false;
	pub_touch(u, s, now);
	*why = R_ACCEPTED;
	pub_control(&msg, &control, s, m->gso_size);
	msg.msg_namelen = pub_sockaddr(s->port->watch.fd, &s->client, &ss);
	if (sendmsg(s->port->watch.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		*why = errno == EAGAIN || errno == ENOBUFS ? R_NO_MEMORY : dial_reason(errno);
	return true;
}

/* ---- life */

int udp_publish_add(struct udp_publish *u, struct udp_publish_port *p, int fd, const struct endpoint *guest, const struct endpoint *other)
{
	*p = (struct udp_publish_port){ .watch.fn = pub_event, .all = u, .guest = *guest };
	if (other)
		p->other = *other;
	list_init(&p->sessions);
	return loop_watch_add(u->env.loop, &p->watch, fd, EPOLLIN);
}

void udp_publish_remove(struct udp_publish_port *p)
{
	while (!list_empty(&p->sessions))
		pub_end(p->all, container_of(p->sessions.next, struct pub_session, sibling));
	loop_watch_remove(p->all->env.loop, &p->watch);
}

struct udp_publish *udp_publish_new(const struct udp_publish_env *env)
{
	struct udp_publish *u = g_try_new0(struct udp_publish, 1);

	if (!u)
		return NULL;
	u->env = *env;
	u->timer.fn = pub_expire;
	list_init(&u->ages);
	if (htab_init(&u->by_far) && htab_init(&u->by_client) && getrandom(&u->key, sizeof(u->key), 0) == sizeof(u->key))
		return u;
	udp_publish_free(u);
	return NULL;
}

void udp_publish_free(struct udp_publish *u)
{
	struct pub_session *s;

	if (!u)
		return;
	while ((s = pub_oldest(u)))
		pub_end(u, s);
	loop_timer_set(u->env.loop, &u->timer, TIMERQ_NEVER);
	htab_clear(&u->by_far);
	htab_clear(&u->by_client);
	g_free(u);
}
