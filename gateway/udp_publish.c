/* udp_publish.c - clients of published UDP ports.  See udp_publish.h.
 *
 * Two keys per session: (guest, far as the guest names it) for what leaves, (client, port) for what comes.
 * System calls: recvfrom sendmsg.
 */
#include "gateway/udp_publish.h"

#include "gateway/dial.h"
#include "gateway/hostsock.h"
#include "slirp/base/htab.h"
#include "slirp/base/siphash.h"

#include <errno.h>
#include <glib.h>
#include <netinet/in.h>
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
	struct endpoint client, far;
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

		if (endpoint_eq(&s->far, &t->far) && endpoint_eq(&s->port->guest, &t->guest))
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
	u->n--;
	g_free(s);
}

static void pub_arm(struct udp_publish *u)
{
	const struct pub_session *s = pub_oldest(u);

	loop_timer_set(u->env.loop, &u->timer, s ? s->used + u->env.idle : TIMERQ_NEVER);
}

static void pub_expire(struct loop_timer *t, int64_t now)
{
	struct udp_publish *u = container_of(t, struct udp_publish, timer);
	struct pub_session *s;

	while ((s = pub_oldest(u)) && s->used + u->env.idle <= now)
		pub_end(u, s);
	pub_arm(u);
}

static void pub_touch(struct udp_publish *u, struct pub_session *s, int64_t now)
{
	s->used = now;
	list_unlink(&s->age);
	list_push_tail(&u->ages, &s->age);
}

/* What the guest sees of a client: itself, where the guest's answer would come to us. */
static struct endpoint pub_far(const struct udp_publish_port *p, const struct endpoint *client)
{
	const struct stack_config *cfg = stack_cfg(p->all->env.stack);
	bool v4 = addr_is_v4(&p->guest.addr);
	const struct addr *a = &client->addr;

	if (addr_is_v4(a) == v4 && !addr_is_loopback(a) && !addr_is_linklocal(a) && !addr_is_unspecified(a) &&
	    !prefix_contains(v4 ? &cfg->net4 : &cfg->net6, a))
		return *client;
	return (struct endpoint){ v4 ? cfg->gw4 : cfg->gw6, client->port };
}

static struct pub_session *pub_begin(struct udp_publish_port *p, const struct endpoint *client, int64_t now)
{
	struct udp_publish *u = p->all;
	struct tuple t = { p->guest, pub_far(p, client) };
	struct pub_session *s = pub_find_far(u, &t);

	if (s) /* of another client that the guest cannot tell from this one */
		pub_end(u, s);
	if (u->n == UDP_PUBLISH_SESSIONS)
		pub_end(u, pub_oldest(u));
	s = g_try_new0(struct pub_session, 1);
	if (!s)
		return NULL;
	s->port = p;
	s->client = *client;
	s->far = t.far;
	list_init(&s->age);
	list_init(&s->sibling);
	list_push_tail(&p->sessions, &s->sibling);
	htab_insert(&u->by_far, &s->by_far, pub_hash_far(u, &t));
	htab_insert(&u->by_client, &s->by_client, pub_hash_client(u, client));
	u->n++;
	pub_touch(u, s, now);
	if (!u->timer.timer.slot)
		pub_arm(u);
	return s;
}

/* ---- datagrams */

static void pub_got(struct udp_publish_port *p, const struct endpoint *client, uint32_t len, int64_t now)
{
	struct udp_publish *u = p->all;
	struct pub_session *s = pub_find_client(p, client);
	struct tuple t;

	if (s)
		pub_touch(u, s, now);
	else
		s = pub_begin(p, client, now);
	if (!s) {
		reason_count(u->env.drops, R_NO_MEMORY);
		return;
	}
	t = (struct tuple){ p->guest, s->far };
	stack_dgram(u->env.stack, &t, &(struct dgram_meta){ 0 }, &(struct iovec){ u->buf, len }, 1, len); /* counts what it drops */
}

static void pub_event(struct loop_watch *w, uint32_t events, int64_t now)
{
	struct udp_publish_port *p = container_of(w, struct udp_publish_port, watch);

	for (int i = 0; i < PUB_BATCH; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		struct endpoint client;
		ssize_t n = recvfrom(w->fd, p->all->buf, PUB_DATAGRAM, MSG_DONTWAIT, (struct sockaddr *)&ss, &len);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n >= 0 && hostsock_endpoint(&ss, &client)) /* an error here is an earlier answer's that nobody took */
			pub_got(p, &client, (uint32_t)n, now);
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

bool udp_publish_send(struct udp_publish *u, const struct tuple *t, const struct dgram_meta *m, const struct iovec *iov, int n, uint32_t len,
		      int64_t now, enum reason *why)
{
	struct pub_session *s = u->n ? pub_find_far(u, t) : NULL;
	struct sockaddr_storage ss;
	struct msghdr msg = { .msg_name = &ss, .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };

	if (!s)
		return false;
	pub_touch(u, s, now);
	*why = R_ACCEPTED;
	if (m->gso_size) { /* a run of datagrams: a guest of ours never sends one where the link does not carry them */
		*why = R_BAD_GSO;
		return true;
	}
	msg.msg_namelen = pub_sockaddr(s->port->watch.fd, &s->client, &ss);
	if (sendmsg(s->port->watch.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		*why = errno == EAGAIN || errno == ENOBUFS ? R_NO_MEMORY : dial_reason(errno);
	return true;
}

/* ---- life */

int udp_publish_add(struct udp_publish *u, struct udp_publish_port *p, int fd, const struct endpoint *guest)
{
	*p = (struct udp_publish_port){ .watch.fn = pub_event, .all = u, .guest = *guest };
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
