/* flow_dgram.c - UDP of the guest.  See flow_dgram.h.
 *
 * Two keys per session: (guest, far as the guest names it) for what leaves, (guest, far as the host names it) for what comes.
 */
#include "gateway/flow_dgram.h"

#include "gateway/dial.h"
#include "gateway/host_udp.h"
#include "slirp/base/htab.h"
#include "slirp/base/siphash.h"

#include <errno.h>
#include <net/if.h>
#include <sys/random.h>

enum dgram_class { DGRAM_UNREPLIED, DGRAM_DNS, DGRAM_REPLIED, DGRAM_CLASSES }; /* in the order in which the cap evicts them */

enum {
	DGRAM_EXPIRE = 1024, /* sessions ended per call */
	DGRAM_DNS_PORT = 53,
	DGRAM_SHARE = 4, /* of the descriptor limit: the part that is ours at most */
};

/* One endpoint of the guest. */
struct dgram_sock {
	struct host_udp udp;
	struct flow_dgram *table;
	struct htab_node node; /* in table.socks by guest */
	struct endpoint guest;
	struct list lru;   /* in table.lru */
	struct list peers; /* dgram_peer.sibling */
	bool closed;
	unsigned ifindex; /* of the outbound interface when it was opened */
	struct loop_reap reap;
};

/* One session. */
struct dgram_peer {
	struct htab_node by_far, by_mapped;
	struct list age;     /* in table.ages[class] */
	struct list sibling; /* in sock.peers */
	struct dgram_sock *sock;
	struct endpoint far, mapped;
	int64_t used;
	uint8_t class;
};

struct flow_dgram {
	struct flow_dgram_env env;
	struct host_udp_pool pool;
	struct siphash_key key;
	struct htab socks, by_far, by_mapped;
	struct list ages[DGRAM_CLASSES]; /* least recently used first */
	struct list lru;
	struct loop_timer timer; /* set while there are sessions; may be early */
	unsigned ifindex;	 /* of the outbound interface; 0: none, or it is not there */
	int64_t share;		 /* descriptors that are ours at most */
	struct flow_dgram_stats stats;
};

void flow_dgram_env_init(struct flow_dgram_env *env)
{
	*env = (struct flow_dgram_env){ .tune = &gateway_tunable_defaults };
}

/* ------------------------------------------------------------------ finding */

static uint32_t dgram_hash(const struct flow_dgram *d, const struct endpoint *guest, const struct endpoint *far)
{
	struct tuple t = { *guest, *far };

	return (uint32_t)siphash(&d->key, &t, sizeof(t));
}

static struct dgram_peer *dgram_find_far(const struct flow_dgram *d, const struct tuple *t)
{
	struct htab_node *n = htab_first(&d->by_far, dgram_hash(d, &t->guest, &t->far));

	for (; n; n = htab_next(&d->by_far, n)) {
		struct dgram_peer *p = container_of(n, struct dgram_peer, by_far);

		if (endpoint_eq(&p->far, &t->far) && endpoint_eq(&p->sock->guest, &t->guest))
			return p;
	}
	return NULL;
}

static struct dgram_peer *dgram_find_mapped(const struct dgram_sock *s, const struct endpoint *mapped)
{
	const struct htab *h = &s->table->by_mapped;
	struct htab_node *n = htab_first(h, dgram_hash(s->table, &s->guest, mapped));

	for (; n; n = htab_next(h, n)) {
		struct dgram_peer *p = container_of(n, struct dgram_peer, by_mapped);

		if (p->sock == s && endpoint_eq(&p->mapped, mapped))
			return p;
	}
	return NULL;
}

static struct dgram_sock *dgram_find_sock(const struct flow_dgram *d, const struct endpoint *guest)
{
	struct htab_node *n = htab_first(&d->socks, (uint32_t)siphash(&d->key, guest, sizeof(*guest)));

	for (; n; n = htab_next(&d->socks, n)) {
		struct dgram_sock *s = container_of(n, struct dgram_sock, node);

		if (endpoint_eq(&s->guest, guest))
			return s;
	}
	return NULL;
}

/* ------------------------------------------------------------------ ageing */

static int64_t dgram_due(const struct flow_dgram *d, const struct dgram_peer *p)
{
	const struct gateway_tunables *tune = d->env.tune;

	return p->used + (p->class == DGRAM_REPLIED ? tune->udp_replied : p->class == DGRAM_DNS ? tune->udp_dns : tune->udp_unreplied);
}

static struct dgram_peer *dgram_oldest(const struct flow_dgram *d, int class)
{
	const struct list *l = &d->ages[class];

	return list_empty(l) ? NULL : container_of(l->next, struct dgram_peer, age);
}

/* The timer is never moved for a datagram: it may find that its session was used since, and is set again then. */
static bool dgram_arm(struct flow_dgram *d)
{
	int64_t at = TIMERQ_NEVER;

	for (int class = 0; class < DGRAM_CLASSES; class++) {
		struct dgram_peer *p = dgram_oldest(d, class);

		if (p)
			at = MIN(at, dgram_due(d, p));
	}
	return loop_timer_set(d->env.loop, &d->timer, at);
}

static void dgram_touch(struct dgram_peer *p, bool from_host, int64_t now)
{
	struct dgram_sock *s = p->sock;

	if (from_host && p->class == DGRAM_UNREPLIED)
		p->class = DGRAM_REPLIED;
	p->used = now;
	list_unlink(&p->age);
	list_push_tail(&s->table->ages[p->class], &p->age);
	list_unlink(&s->lru);
	list_push_tail(&s->table->lru, &s->lru);
}

/* ------------------------------------------------------------------ ends */

static void dgram_sock_free(struct loop_reap *r)
{
	g_free(container_of(r, struct dgram_sock, reap));
}

/* Once the socket has no session and nothing gathered. */
static void dgram_sock_close(struct dgram_sock *s)
{
	struct flow_dgram *d = s->table;

	if (s->closed || !list_empty(&s->peers) || host_udp_busy(&s->udp))
		return;
	s->closed = true;
	list_unlink(&s->lru);
	htab_remove(&d->socks, &s->node);
	host_udp_close(&s->udp);
	d->stats.sockets--;
	loop_reap_later(d->env.loop, &s->reap, dgram_sock_free);
}

static void dgram_peer_end(struct flow_dgram *d, struct dgram_peer *p)
{
	list_unlink(&p->age);
	list_unlink(&p->sibling);
	htab_remove(&d->by_far, &p->by_far);
	htab_remove(&d->by_mapped, &p->by_mapped);
	d->stats.now--;
	g_free(p);
}

void flow_dgram_expire(struct flow_dgram *d, int64_t now)
{
	int left = DGRAM_EXPIRE;

	for (int class = 0; class < DGRAM_CLASSES; class++) {
		struct dgram_peer *p;

		while ((p = dgram_oldest(d, class)) && dgram_due(d, p) <= now && left--) {
			struct dgram_sock *s = p->sock;

			dgram_peer_end(d, p);
			dgram_sock_close(s);
		}
	}
	dgram_arm(d);
}

static void dgram_timer(struct loop_timer *t, int64_t now)
{
	flow_dgram_expire(container_of(t, struct flow_dgram, timer), now);
}

bool flow_dgram_give_way(struct flow_dgram *d)
{
	struct dgram_sock *s;

	if (list_empty(&d->lru))
		return false;
	s = container_of(d->lru.next, struct dgram_sock, lru);
	if (host_udp_busy(&s->udp)) /* then all are in use in this very turn */
		return false;
	while (!list_empty(&s->peers)) {
		dgram_peer_end(d, container_of(s->peers.next, struct dgram_peer, sibling));
		d->stats.evicted++;
	}
	dgram_sock_close(s);
	return true;
}

/* Room for one more session: the least recently used unanswered one goes first. */
static bool dgram_make_room(struct flow_dgram *d, const struct dgram_sock *keep)
{
	struct dgram_peer *p = NULL;
	struct dgram_sock *s;

	for (int class = 0; class < DGRAM_CLASSES && !p; class++)
		p = dgram_oldest(d, class);
	if (!p)
		return false;
	s = p->sock;
	dgram_peer_end(d, p);
	d->stats.evicted++;
	if (s != keep)
		dgram_sock_close(s);
	return true;
}

/* ------------------------------------------------------------------ beginnings */

static enum reason dgram_sock_make(struct flow_dgram *d, const struct endpoint *guest, const struct dgram_meta *m, struct dgram_sock **ret)
{
	struct dgram_sock *s;
	int err;

	while (d->stats.sockets >= (uint64_t)MIN(d->env.tune->udp_sockets_max, d->share))
		if (!flow_dgram_give_way(d))
			return R_NO_DESCRIPTOR;
	s = mem_new0(d->env.mem, sizeof(*s));
	if (!s)
		return R_NO_MEMORY;
	err = host_udp_open(&s->udp, &d->pool, &guest->addr, m);
	if ((err == -EMFILE || err == -ENFILE) && ((d->env.give_way && d->env.give_way(d->env.arg)) || flow_dgram_give_way(d)))
		err = host_udp_open(&s->udp, &d->pool, &guest->addr, m);
	if (err) {
		g_free(s);
		return dial_reason(-err);
	}
	s->table = d;
	s->guest = *guest;
	s->ifindex = d->ifindex;
	list_init(&s->lru);
	list_init(&s->peers);
	list_push_tail(&d->lru, &s->lru);
	htab_insert(&d->socks, &s->node, (uint32_t)siphash(&d->key, guest, sizeof(*guest)));
	d->stats.sockets++;
	*ret = s;
	return R_ACCEPTED;
}

static struct dgram_peer *dgram_peer_make(struct dgram_sock *s, const struct endpoint *far, const struct endpoint *mapped)
{
	struct flow_dgram *d = s->table;
	struct dgram_peer *p;

	while (d->stats.now >= (uint64_t)d->env.tune->udp_sessions_max && dgram_make_room(d, s)) /* several, where the row was lowered */
		continue;
	p = mem_new0(d->env.mem, sizeof(*p));
	if (!p)
		return NULL;
	p->sock = s;
	p->far = *far;
	p->mapped = *mapped;
	p->class = far->port == DGRAM_DNS_PORT ? DGRAM_DNS : DGRAM_UNREPLIED;
	list_init(&p->age);
	list_init(&p->sibling);
	list_push_tail(&s->peers, &p->sibling);
	htab_insert(&d->by_far, &p->by_far, dgram_hash(d, &s->guest, far));
	htab_insert(&d->by_mapped, &p->by_mapped, dgram_hash(d, &s->guest, mapped));
	d->stats.now++;
	d->stats.opened++;
	return p;
}

/* A socket that is bound to an interface that is no longer there is of no use: it goes with its sessions, unless it has gathered something. */
static bool dgram_stale(struct flow_dgram *d, struct dgram_sock *s)
{
	if (s->ifindex == d->ifindex || host_udp_busy(&s->udp))
		return false;
	while (!list_empty(&s->peers))
		dgram_peer_end(d, container_of(s->peers.next, struct dgram_peer, sibling));
	dgram_sock_close(s);
	return true;
}

/* The first datagram to a far endpoint. */
static enum reason dgram_open(struct flow_dgram *d, const struct tuple *t, const struct dgram_meta *m, int64_t now, struct dgram_peer **ret)
{
	struct dgram_sock *s = dgram_find_sock(d, &t->guest);
	struct endpoint mapped;
	enum reason r;

	if (s && dgram_stale(d, s))
		s = NULL;
	r = d->env.map(d->env.arg, &t->far, &mapped);

	if (!r && !s)
		r = dgram_sock_make(d, &t->guest, m, &s);
	if (r)
		return r;
	*ret = dgram_peer_make(s, &t->far, &mapped);
	if (!*ret) {
		dgram_sock_close(s);
		return R_NO_MEMORY;
	}
	dgram_touch(*ret, false, now);
	if ((d->timer.timer.slot && d->timer.timer.at <= dgram_due(d, *ret)) || dgram_arm(d))
		return R_ACCEPTED;
	dgram_peer_end(d, *ret); /* a session that nobody times would stay for ever */
	dgram_sock_close(s);
	return R_NO_MEMORY;
}

/* ------------------------------------------------------------------ datagrams */

static uint32_t dgram_count(const struct dgram_meta *m, uint32_t len)
{
	return m->gso_size && len ? (len + m->gso_size - 1u) / m->gso_size : 1;
}

enum reason flow_dgram_send(struct flow_dgram *d, const struct tuple *t, const struct dgram_meta *meta, const struct iovec *iov, int n,
			    uint32_t len, int64_t now)
{
	struct dgram_peer *p = dgram_find_far(d, t);
	struct dgram_meta m = *meta;
	enum reason r;

	m.hop_limit = m.hop_limit > 1 ? m.hop_limit - 1 : 1; /* we are a router; the core has answered those that end here */
	if (p && dgram_stale(d, p->sock))
		p = NULL;
	if (p)
		dgram_touch(p, false, now);
	r = p ? R_ACCEPTED : dgram_open(d, t, &m, now, &p);
	if (!r)
		r = host_udp_send(&p->sock->udp, &p->mapped, &m, iov, n, len);
	if (!r)
		d->stats.to_host += dgram_count(meta, len);
	return r;
}

void flow_dgram_flush(struct flow_dgram *d, int64_t now)
{
	host_udp_flush(&d->pool, now);
}

/* May an address of the host's side be shown to the guest as it is? */
static bool dgram_visible(const struct flow_dgram *d, const struct endpoint *e)
{
	struct endpoint mapped;

	return !d->env.map(d->env.arg, e, &mapped) && endpoint_eq(e, &mapped);
}

static void dgram_got(struct host_udp *u, const struct endpoint *from, const struct dgram_meta *m, const struct iovec *iov, int n,
		      uint32_t len, int64_t now)
{
	struct dgram_sock *s = container_of(u, struct dgram_sock, udp);
	struct flow_dgram *d = s->table;
	struct dgram_peer *p = dgram_find_mapped(s, from);
	struct tuple t = { .guest = s->guest, .far = p ? p->far : *from };

	if (!p && !(d->env.open_filter && dgram_visible(d, from))) {
		d->env.drops->n[R_UDP_FILTERED] += dgram_count(m, len);
		return;
	}
	if (p)
		dgram_touch(p, true, now);
	if (!d->env.to_guest(d->env.arg, &t, m, iov, n, len))
		d->stats.to_guest += dgram_count(m, len);
}

static void dgram_error(struct host_udp *u, const struct endpoint *peer, const struct host_udp_error *e, int64_t now)
{
	struct dgram_sock *s = container_of(u, struct dgram_sock, udp);
	struct flow_dgram *d = s->table;
	struct dgram_peer *p = dgram_find_mapped(s, peer);
	const struct addr *from = NULL; /* the gateway */
	struct tuple t;

	(void)now;
	if (!p) {
		reason_count(d->env.drops, R_UDP_FILTERED);
		return;
	}
	t = (struct tuple){ .guest = s->guest, .far = p->far };
	if (e->has_from && addr_eq(&e->from, &p->mapped.addr))
		from = &t.far.addr;
	else if (e->has_from && addr_is_v4(&e->from) == addr_is_v4(&t.far.addr) && dgram_visible(d, &(struct endpoint){ e->from, t.far.port }))
		from = &e->from;
	d->env.error(d->env.arg, &t, e->why, e->mtu, from);
}

static void dgram_sent(struct host_udp *u)
{
	dgram_sock_close(container_of(u, struct dgram_sock, udp));
}

/* ------------------------------------------------------------------ the table */

struct flow_dgram *flow_dgram_new(const struct flow_dgram_env *env)
{
	static const struct host_udp_ops ops = { .got = dgram_got, .error = dgram_error, .sent = dgram_sent };
	struct flow_dgram *d = g_try_new0(struct flow_dgram, 1);

	if (!d)
		return NULL;
	d->env = *env;
	d->pool = (struct host_udp_pool){ .loop = env->loop, .origin = env->origin, .ops = &ops, .drops = env->drops,
					  .run_each = env->run_each };
	d->timer.fn = dgram_timer;
	list_init(&d->lru);
	for (int class = 0; class < DGRAM_CLASSES; class++)
		list_init(&d->ages[class]);
	d->share = hostsock_share(DGRAM_SHARE);
	flow_dgram_host_changed(d);
	if (host_udp_pool_init(&d->pool) && htab_init(&d->socks) && htab_init(&d->by_far) && htab_init(&d->by_mapped) &&
	    getrandom(&d->key, sizeof(d->key), 0) == sizeof(d->key))
		return d;
	flow_dgram_free(d);
	return NULL;
}

void flow_dgram_host_changed(struct flow_dgram *d)
{
	unsigned ifindex = *d->env.origin->outbound_if ? if_nametoindex(d->env.origin->outbound_if) : 0;

	if (ifindex) /* while it is away, the old sockets may as well wait for it */
		d->ifindex = ifindex;
}

void flow_dgram_free(struct flow_dgram *d)
{
	if (!d)
		return;
	host_udp_forget(&d->pool);
	while (flow_dgram_give_way(d))
		continue;
	loop_timer_set(d->env.loop, &d->timer, TIMERQ_NEVER);
	host_udp_pool_clear(&d->pool);
	htab_clear(&d->socks);
	htab_clear(&d->by_far);
	htab_clear(&d->by_mapped);
	g_free(d);
}

void flow_dgram_stats(const struct flow_dgram *d, struct flow_dgram_stats *ret)
{
	*ret = d->stats;
	ret->sends = d->pool.stats.sends;
	ret->receives = d->pool.stats.receives;
	ret->raised = d->pool.stats.raised;
}
