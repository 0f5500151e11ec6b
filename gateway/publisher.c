/* publisher.c - published ports at work.  See publisher.h.
 *
 * A listener is watched level-triggered, with a budget for each event, so that a flood of clients stops nobody else.  When descriptors run out
 * it leaves the epoll set until its pause is over.
 */
#include "gateway/publisher.h"

#include "gateway/gateway.h"
#include "gateway/inbound.h"
#include "gateway/journal.h"
#include "gateway/loop.h"
#include "gateway/udp_publish.h"
#include "publish/proxy_header.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/random.h>

enum {
	PUBLISHER_BATCH = 64, /* clients taken in for one event */
	/* Guests asked at once, of all ports: well below the cap per destination (D2), which would reset the oldest.  Further clients
	 * wait in their port's queue, where they lose nothing. */
	PUBLISHER_OPENING_MAX = 128,
};

struct publisher {
	struct publish_host host;
	struct publish *registry;
	struct listener_spare spare;
	struct reason_tally refusals;
	const struct journal *journal;
	uint32_t opening;    /* guests that have not answered yet */
	struct list waiting; /* struct watched: ports whose clients wait for one of these */
	struct loop *loop;   /* NULL: no gateway */
	struct inbound *inbound;
	struct udp_publish *udp;
	const struct gateway_config *cfg;
};

/* A port's place in the loop. */
struct watched {
	struct loop_watch watch;
	struct udp_publish_port udp; /* instead of watch */
	struct loop_timer pause;
	struct loop_reap reap;
	struct list waiting; /* while it is out of the epoll set for want of places */
	struct publish_port *port; /* NULL: removed */
	struct publisher *publisher;
};

struct publish *publisher_registry(struct publisher *p)
{
	return p->registry;
}

const struct reason_tally *publisher_refusals(const struct publisher *p)
{
	return &p->refusals;
}

uint64_t publisher_shed(const struct publisher *p)
{
	return p->spare.shed;
}

/* The first IPv6 address of a guest that it has shown; false: none has yet. */
static bool publisher_learned(const struct publisher *p, struct addr *ret)
{
	struct mac mac;

	for (unsigned i = 0; stack_neighbour(p->inbound->stack, i, ret, &mac); i++)
		if (!addr_is_v4(ret) && !addr_is_linklocal(ret))
			return true;
	return false;
}

/* Whom a port leads to: where its rule says ("::": whichever guest there is), else the guest's address of the family that the client came
 * by, else the other one (C33).  False: that guest is not known. */
static bool publisher_guest(const struct publisher *p, const struct portspec_rule *rule, const struct endpoint *local, struct addr *ret)
{
	const struct gateway_config *cfg = p->cfg;
	bool want4 = addr_is_v4(&local->addr) || (rule->path[0] && cfg->v4);

	*ret = rule->to;
	if (rule->has_to)
		return !addr_eq(&rule->to, &addr_any) || publisher_learned(p, ret);
	if (want4 ? !cfg->v4 : !cfg->v6)
		want4 = !want4;
	*ret = want4 ? cfg->guest4 : cfg->guest6;
	return true;
}

/* Puts a port (back) into the epoll set. */
static void publisher_listen(struct watched *w, int64_t now)
{
	struct publisher *p = w->publisher;

	if (loop_watch_add(p->loop, &w->watch, w->port->listener.fd, EPOLLIN))
		loop_timer_set(p->loop, &w->pause, now + LISTENER_PAUSE_MAX_US);
}

/* A guest has answered: clients of a port that had to wait are next. */
static void publisher_settled(void *arg)
{
	struct publisher *p = container_of(publish_owner(arg), struct publisher, host);
	struct list *next;

	p->opening--;
	next = list_pop_head(&p->waiting);
	if (next)
		publisher_listen(container_of(next, struct watched, waiting), loop_now(p->loop));
}

static void publisher_client_gone(void *arg, const struct endpoint *from, enum reason why)
{
	(void)why; /* the flow table has counted it */
	publish_leave(arg, from);
}

static uint8_t publisher_header(enum publish_source source, const struct endpoint *from, const struct endpoint *local, uint8_t *buf)
{
	switch (source) {
	case PUBLISH_SOURCE_PROXY1:
		return (uint8_t)proxy_header_v1(buf, from, local);
	case PUBLISH_SOURCE_PROXY2:
		return (uint8_t)proxy_header_v2(buf, from, local);
	default:
		return 0;
	}
}

static void publisher_take(struct publisher *p, struct publish_port *port, int fd, const struct endpoint *from, const struct endpoint *local)
{
	const struct publish_set *set = port->set;
	uint8_t header[PROXY_HEADER_MAX];
	struct inbound_client c = {
		.fd = fd,
		.local = set->rule.path[0] != '\0',
		.hide = set->policy.source != PUBLISH_SOURCE_CLIENT,
		.from = *from,
		.guest.port = port->to_port,
		.head = header,
		.head_len = publisher_header(set->policy.source, from, local, header),
		.settled = publisher_settled,
		.gone = publisher_client_gone,
		.arg = port,
	};

	if (!publisher_guest(p, &set->rule, local, &c.guest.addr)) {
		reason_count(&p->refusals, R_HOST_UNREACHABLE);
		listener_reset(fd);
		return;
	}
	if (publish_admit(port, from)) {
		listener_reset(fd);
		return;
	}
	p->opening++;
	if (!inbound_open(p->inbound, &c))
		return;
	p->opening--;
	publish_leave(port, from);
}

static void publisher_accept(struct watched *w, int64_t now)
{
	struct publisher *p = w->publisher;

	for (int i = 0; i < PUBLISHER_BATCH && w->port; i++) {
		struct endpoint from, local;
		int fd;

		if (p->opening >= PUBLISHER_OPENING_MAX) {
			loop_watch_remove(p->loop, &w->watch);
			list_push_tail(&p->waiting, &w->waiting);
			return;
		}
		fd = listener_accept(&w->port->listener, &p->spare, &from, &local);
		if (fd == -EBUSY) {
			loop_watch_remove(p->loop, &w->watch);
			loop_timer_set(p->loop, &w->pause, now + w->port->listener.pause);
		}
		if (fd < 0)
			return;
		publisher_take(p, w->port, fd, &from, &local);
	}
}

static void publisher_event(struct loop_watch *watch, uint32_t events, int64_t now)
{
	(void)events;
	publisher_accept(container_of(watch, struct watched, watch), now);
}

static void publisher_resume(struct loop_timer *t, int64_t now)
{
	publisher_listen(container_of(t, struct watched, pause), now);
}

static void publisher_reap(struct loop_reap *r)
{
	g_free(container_of(r, struct watched, reap));
}

static enum reason publisher_admit_udp(struct udp_publish_port *u, const struct endpoint *client)
{
	return publish_admit(container_of(u, struct watched, udp)->port, client);
}

static void publisher_left_udp(struct udp_publish_port *u, const struct endpoint *client)
{
	publish_leave(container_of(u, struct watched, udp)->port, client);
}

/* 0 or -errno. */
static int publisher_watch_udp(struct publisher *p, const struct publish_port *port, struct watched *w)
{
	const struct portspec_rule *rule = &port->set->rule;
	struct endpoint any4 = { .addr = addr_from_v4((const uint8_t[4]){ 0 }) };
	struct endpoint guest = { .port = port->to_port }, other = guest;
	int r;

	if (!publisher_guest(p, rule, &port->listener.bound, &guest.addr) || !publisher_guest(p, rule, &any4, &other.addr))
		return -EHOSTUNREACH; /* datagrams wait for nobody */
	r = udp_publish_add(p->udp, &w->udp, port->listener.fd, &guest, port->listener.dual ? &other : NULL);
	w->udp.hide = port->set->policy.source != PUBLISH_SOURCE_CLIENT;
	w->udp.admit = publisher_admit_udp;
	w->udp.left = publisher_left_udp;
	return r;
}

static bool publisher_watch(struct publish_host *h, struct publish_port *port, GError **err)
{
	struct publisher *p = container_of(h, struct publisher, host);
	struct watched *w = g_new0(struct watched, 1);
	int r;

	w->watch.fn = publisher_event;
	w->pause.fn = publisher_resume;
	w->port = port;
	w->publisher = p;
	list_init(&w->waiting);
	if (port->listener.proto == PORTSPEC_UDP)
		r = publisher_watch_udp(p, port, w);
	else
		r = loop_watch_add(p->loop, &w->watch, port->listener.fd, EPOLLIN);
	if (r) {
		g_set_error(err, LISTENER_ERROR, LISTENER_ERROR_RESOURCES, "Cannot wait for clients: %s", g_strerror(-r));
		g_free(w);
		return false;
	}
	port->watch = w;
	return true;
}

static void publisher_unwatch(struct publish_host *h, struct publish_port *port)
{
	struct publisher *p = container_of(h, struct publisher, host);
	struct watched *w = port->watch;

	if (port->listener.proto == PORTSPEC_UDP)
		udp_publish_remove(&w->udp);
	else
		loop_watch_remove(p->loop, &w->watch);
	loop_timer_set(p->loop, &w->pause, TIMERQ_NEVER);
	list_unlink(&w->waiting);
	w->port = NULL;
	loop_reap_later(p->loop, &w->reap, publisher_reap);
}

struct publisher *publisher_new(const struct journal *journal, GError **err)
{
	struct publisher *p = g_new0(struct publisher, 1);
	struct siphash_key key;

	p->host = (struct publish_host){ .watch = publisher_watch, .unwatch = publisher_unwatch };
	p->journal = journal;
	p->spare.fd = -1;
	list_init(&p->waiting);
	if (getrandom(&key, sizeof(key), 0) == sizeof(key))
		p->registry = publish_new(&p->host, &key, &p->refusals);
	if (!p->registry) {
		g_set_error_literal(err, LISTENER_ERROR, LISTENER_ERROR_RESOURCES, "out of memory");
		g_free(p);
		return NULL;
	}
	listener_spare_open(&p->spare);
	return p;
}

void publisher_free(struct publisher *p)
{
	if (!p)
		return;
	publish_free(p->registry);
	listener_spare_close(&p->spare);
	g_free(p);
}

void publisher_begin(struct publisher *p, struct loop *loop, struct inbound *in, struct udp_publish *udp, const struct gateway_config *cfg)
{
	p->loop = loop;
	p->udp = udp;
	p->inbound = in;
	p->cfg = cfg;
}

void publisher_end(struct publisher *p)
{
	struct publish_set *s;

	while ((s = publish_next(p->registry, NULL)))
		publish_remove(s);
	p->loop = NULL;
}

/* "published: TCP [*]:8080 => 80", with the ports the kernel has chosen. */
static void publisher_say(const struct publisher *p, const struct publish_set *s)
{
	struct portspec_rule r = s->rule;
	char text[PORTSPEC_TEXT_MAX];

	if (!r.first && !list_empty(&s->ports))
		r.first = r.last = container_of(s->ports.next, struct publish_port, node)->listener.bound.port;
	journal_say(p->journal, JOURNAL_INFO, "published: %s", portspec_format(&r, text));
	if (s->left_out)
		journal_say(p->journal, JOURNAL_INFO, "published: %u ports of these are somebody else's", s->left_out);
}

bool publisher_start(struct publisher *p, GError **err)
{
	struct publish_set *next;

	for (struct publish_set *s = publish_next(p->registry, NULL); s; s = next) {
		next = publish_next(p->registry, s);
		if (s->started)
			continue;
		if (!publish_start(s, err))
			return false;
		publisher_say(p, s);
	}
	return true;
}
