/* dns_relay.c - DNS queries of the guest, carried to the host's name servers.
 *
 * What it is: one object per query in flight: the message, one connected socket that is its alone, one deadline.  The kernel lets only
 * the asked server's datagrams through; id (16 random bits), source port (the kernel's random choice, new where the guest's is new) and
 * question are what a forger must guess.
 *
 *	asked --answer--> guest    asked --silence, error--> next server asked    all in error, or 5 s --> SERVFAIL
 *
 * What it is not: see dns_relay.h.
 * Finding: a query by its socket, by the guest's tuple and id (hash table: repeated queries), the oldest (list).
 * System calls: sendto recvfrom getrandom; dns_sock.c has the others.
 * Messages: slirp/wire/dns_wire.h.  RFC 5452 (forgery), 5625 (a relay changes nothing it need not).
 */
#include "gateway/dns_relay.h"
#include "gateway/dns_sock.h"
#include "slirp/base/bytes.h"
#include "slirp/base/htab.h"
#include "slirp/base/siphash.h"
#include "slirp/wire/dns_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

enum {
	DNS_QUERY_MAX = 4096, /* no real query is near it: at most 271 bytes, then one OPT or a signature */
	DNS_READS = 4,	      /* datagrams per event */
	DNS_PORT = 53,
	DNS_TRY_US = 2000000,
	DNS_TOTAL_US = 5000000, /* what resolvers wait before they ask again */
	DNS_PENALTY_US = 30000000,
	DNS_IDLE_US = 10000000,
};

/* Until when a server stands behind the others because it failed; 0 or past: healthy. */
struct dns_health {
	int64_t udp, tcp;
};

struct dns_relay {
	struct loop *loop;
	struct dns_relay_config cfg;
	struct dns_health health[DNS_RELAY_SERVERS];
	struct htab by_guest;
	struct siphash_key key;
	struct list inflight; /* oldest first */
	unsigned generation; /* of the servers */
	uint64_t queries, answers;
	uint16_t random[64]; /* ids, used from the end */
	unsigned n_random;
	struct dns_sock_set socks;
	uint8_t buf[65536]; /* one message, valid within one call */
};

struct dns_query {
	struct dns_relay *relay;
	struct dns_sock *sock; /* NULL: nobody is being asked */
	struct loop_timer timer;
	struct loop_reap reap;
	struct list node;
	struct htab_node by_guest;
	struct tuple tuple;
	int64_t next_try, give_up;
	unsigned generation;  /* of the servers that the next two lines count */
	unsigned server;      /* the one being asked, while there is a socket */
	unsigned tried, dead; /* bits: asked in this round; refused or unreachable, not to be asked again */
	uint32_t limit; /* the largest answer that the guest can take */
	uint32_t len;
	struct dns_wire_query asked;
	uint8_t msg[]; /* under our id */
};

/* --- one query --- */

static void dns_query_reap(struct loop_reap *r)
{
	g_free(container_of(r, struct dns_query, reap));
}

static void dns_query_hang_up(struct dns_query *q)
{
	if (q->sock)
		dns_sock_drop(q->sock);
	q->sock = NULL;
}

static void dns_query_end(struct dns_query *q)
{
	struct dns_relay *r = q->relay;

	dns_query_hang_up(q);
	loop_timer_set(r->loop, &q->timer, TIMERQ_NEVER);
	list_unlink(&q->node);
	htab_remove(&r->by_guest, &q->by_guest);
	loop_reap_later(r->loop, &q->reap, dns_query_reap);
}

/* Ends q with the message in m, which is changed to fit the guest. */
static void dns_query_deliver(struct dns_query *q, uint8_t *m, uint32_t len)
{
	struct dns_relay *r = q->relay;

	bytes_put16(m, q->asked.id);
	if (len > q->limit)
		len = dns_wire_put_opt(m, dns_wire_truncate(m, q->asked.end), &q->asked, DNS_QUERY_MAX);
	r->cfg.answer(r->cfg.arg, &q->tuple, m, len);
	dns_query_end(q);
}

/* Nobody answered. */
static void dns_query_fail(struct dns_query *q)
{
	struct dns_relay *r = q->relay;
	uint32_t len;

	if (r->cfg.n_servers)
		reason_count(r->cfg.drops, R_DNS_TIMEOUT);
	len = dns_wire_put_servfail(r->buf, q->msg, q->asked.end);
	dns_query_deliver(q, r->buf, dns_wire_put_opt(r->buf, len, &q->asked, DNS_QUERY_MAX));
}

/* The best server outside `skip`: healthy ones as configured, then those whose penalty ends first.  -1: none.  tcp: for a flow over TCP. */
static int dns_relay_pick(const struct dns_relay *r, unsigned skip, bool tcp, int64_t now)
{
	int64_t best_bad = INT64_MAX;
	int best = -1;

	for (unsigned i = 0; i < r->cfg.n_servers; i++) {
		const struct dns_health *h = &r->health[i];
		int64_t until = tcp ? MAX(h->udp, h->tcp) : h->udp, bad = until > now ? until : 0;

		if (!(skip & 1u << i) && bad < best_bad) {
			best = (int)i;
			best_bad = bad;
		}
	}
	return best;
}

static bool dns_relay_random(struct dns_relay *r, uint16_t *ret)
{
	if (!r->n_random) {
		if (getrandom(r->random, sizeof(r->random), 0) != (ssize_t)sizeof(r->random))
			return false;
		r->n_random = G_N_ELEMENTS(r->random);
	}
	*ret = r->random[--r->n_random];
	return true;
}

/* A socket that is connected to q->server, and a fresh id.  0 or -errno. */
static int dns_query_dial(struct dns_query *q)
{
	struct dns_relay *r = q->relay;
	struct endpoint to = { .addr = r->cfg.servers[q->server], .port = r->cfg.port };
	uint16_t id;
	int err;

	if (!dns_relay_random(r, &id))
		return -ENOMEM;
	err = dns_sock_take(&r->socks, &q->tuple.guest, &to, q, &q->sock);
	if ((err == -EMFILE || err == -ENFILE) && r->cfg.give_way && r->cfg.give_way(r->cfg.arg))
		err = dns_sock_take(&r->socks, &q->tuple.guest, &to, q, &q->sock);
	if (err < 0)
		return err;
	bytes_put16(q->msg, id);
	return 0;
}

/* 0 or -errno.  The server being asked already is asked again from the same socket, any other from another one.  An error on a kept socket is
 * about what was before (an address of this host that is gone, a late word of the network): nobody's fault, and there are others. */
static int dns_query_send_to(struct dns_query *q, unsigned server)
{
	if (q->sock && q->server == server)
		q->sock->dirty = true; /* two answers may come */
	else
		dns_query_hang_up(q);
	q->server = server;
	for (;;) {
		int err = q->sock ? 0 : dns_query_dial(q);

		if (err < 0)
			return err;
		if (send(q->sock->watch.fd, q->msg, q->len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		err = -errno;
		if (!q->sock->kept || err == -EAGAIN)
			return err;
		dns_query_hang_up(q);
	}
}

/* What this query found out about the server it asks, unless that is none of the relay's any more. */
static void dns_query_judge(struct dns_query *q, int64_t bad_until)
{
	if (q->generation == q->relay->generation)
		q->relay->health[q->server].udp = bad_until;
}

static void dns_query_blame(struct dns_query *q, int64_t now)
{
	dns_query_judge(q, now + q->relay->cfg.penalty);
	dns_sock_drop_idle(&q->relay->socks); /* what leads there leads nowhere */
}

/* The servers may be others than at the last try. */
static void dns_query_catch_up(struct dns_query *q)
{
	if (q->generation == q->relay->generation)
		return;
	dns_query_hang_up(q);
	q->generation = q->relay->generation;
	q->tried = q->dead = 0;
}

/* Asks the best server that is left.  0; -EHOSTUNREACH: there is none; -EMFILE and the like: not a server's fault. */
static int dns_query_ask(struct dns_query *q, int64_t now)
{
	dns_query_catch_up(q);
	for (;;) {
		int server = dns_relay_pick(q->relay, q->tried | q->dead, false, now), err;

		if (server < 0) { /* everyone was asked: begin again */
			q->tried = 0;
			server = dns_relay_pick(q->relay, q->dead, false, now);
		}
		if (server < 0)
			return -EHOSTUNREACH;
		q->tried |= 1u << server;
		err = dns_query_send_to(q, (unsigned)server);
		if (err == 0 || err == -EAGAIN || err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -ENOBUFS)
			return err == -EAGAIN ? 0 : err;
		q->dead |= 1u << server;
		dns_query_blame(q, now);
	}
}

/* Asks, and sets the deadline.  A query that nobody is left for fails at once. */
static void dns_query_go_on(struct dns_query *q, int64_t now)
{
	if (dns_query_ask(q, now) == -EHOSTUNREACH) {
		dns_query_fail(q);
		return;
	}
	q->next_try = now + q->relay->cfg.try_timeout;
	if (!loop_timer_set(q->relay->loop, &q->timer, MIN(q->next_try, q->give_up)))
		dns_query_fail(q);
}

static void dns_query_timer(struct loop_timer *t, int64_t now)
{
	struct dns_query *q = container_of(t, struct dns_query, timer);

	if (now >= q->give_up) {
		dns_query_fail(q);
		return;
	}
	if (q->sock)
		dns_query_blame(q, now);
	dns_query_go_on(q, now);
}

/* The answer is in r->buf: it goes to the guest, and the socket waits for the guest's next query. */
static void dns_query_answered(struct dns_query *q, uint32_t len, int64_t now)
{
	struct dns_relay *r = q->relay;

	dns_query_judge(q, 0);
	r->answers++;
	if (q->generation == r->generation)
		dns_sock_keep(q->sock, now);
	else
		dns_sock_drop(q->sock); /* that server is none of ours any more */
	q->sock = NULL;
	dns_query_deliver(q, r->buf, len);
}

static void dns_query_event(struct dns_sock *s, uint32_t events, int64_t now)
{
	struct dns_query *q = s->query;
	struct dns_relay *r = q->relay;

	(void)events;
	for (int i = 0; i < DNS_READS; i++) {
		ssize_t n = recv(s->watch.fd, r->buf, sizeof(r->buf), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) { /* ECONNREFUSED, EHOSTUNREACH, ENETUNREACH: an ICMP error */
			q->dead |= 1u << q->server;
			dns_query_blame(q, now);
			dns_query_hang_up(q);
			dns_query_go_on(q, now);
			return;
		}
		if (dns_wire_is_answer(r->buf, (uint32_t)n, q->msg, q->asked.end)) {
			dns_query_answered(q, (uint32_t)n, now);
			return;
		}
		s->dirty = true;
		reason_count(r->cfg.drops, R_DNS_MISMATCH);
	}
}

/* --- the relay --- */

static uint32_t dns_relay_hash(const struct dns_relay *r, const struct tuple *t, uint16_t id)
{
	uint8_t key[2 * (16 + 2) + 2];

	memcpy(key, t->guest.addr.b, 16);
	bytes_put16(key + 16, t->guest.port);
	memcpy(key + 18, t->far.addr.b, 16);
	bytes_put16(key + 34, t->far.port);
	bytes_put16(key + 36, id);
	return (uint32_t)siphash(&r->key, key, sizeof(key));
}

/* The query in flight that says the same from the same place. */
static struct dns_query *dns_relay_find(const struct dns_relay *r, uint32_t hash, const struct tuple *t, uint32_t len)
{
	for (struct htab_node *n = htab_first(&r->by_guest, hash); n; n = htab_next(&r->by_guest, n)) {
		struct dns_query *q = container_of(n, struct dns_query, by_guest);

		if (q->asked.id == bytes_get16(r->buf) && q->len == len && tuple_eq(&q->tuple, t) &&
		    !memcmp(q->msg + 2, r->buf + 2, len - 2))
			return q;
	}
	return NULL;
}

/* From r->buf. */
static struct dns_query *dns_query_new(struct dns_relay *r, const struct tuple *t, uint32_t len, uint32_t hash,
				       int64_t now)
{
	struct dns_query *q = mem_new0(r->cfg.mem, sizeof(*q) + len);

	if (!q)
		return NULL;
	q->timer.fn = dns_query_timer;
	q->give_up = now + (r->cfg.n_servers ? r->cfg.total_timeout : 0); /* no server: answered in this very turn */
	if (!loop_timer_set(r->loop, &q->timer, q->give_up)) {
		g_free(q);
		return NULL;
	}
	if (htab_count(&r->by_guest) >= DNS_RELAY_INFLIGHT) {
		dns_query_end(container_of(r->inflight.next, struct dns_query, node));
		reason_count(r->cfg.drops, R_DNS_FULL);
	}
	q->relay = r;
	q->generation = r->generation;
	q->tuple = *t;
	q->len = len;
	memcpy(q->msg, r->buf, len);
	list_init(&q->node);
	list_push_tail(&r->inflight, &q->node);
	htab_insert(&r->by_guest, &q->by_guest, hash);
	return q;
}

/* The first try.  No answer may leave from here, so what has failed already waits for its timer in this turn. */
static enum reason dns_query_start(struct dns_query *q, int64_t now)
{
	struct dns_relay *r = q->relay;
	int err;

	if (!r->cfg.n_servers) {
		reason_count(r->cfg.drops, R_NO_DNS);
		return R_ACCEPTED;
	}
	err = dns_query_ask(q, now);
	if (err == -EHOSTUNREACH) {
		q->give_up = now;
	} else if (err < 0) {
		dns_query_end(q);
		return err == -EMFILE || err == -ENFILE ? R_NO_DESCRIPTOR : R_NO_MEMORY;
	}
	q->next_try = now + r->cfg.try_timeout;
	loop_timer_set(r->loop, &q->timer, MIN(q->next_try, q->give_up)); /* is queued: cannot fail */
	return R_ACCEPTED;
}

enum reason dns_relay_query(struct dns_relay *r, const struct tuple *t, const struct iovec *data, int n, uint32_t len,
			    int64_t now)
{
	uint32_t hash, at = 0;
	struct dns_wire_query m;
	struct dns_query *q;

	if (len > DNS_QUERY_MAX)
		return R_DNS_MALFORMED;
	for (int i = 0; i < n && at < len; i++) { /* guest memory is read once */
		uint32_t piece = (uint32_t)MIN(data[i].iov_len, len - at);

		if (piece)
			memcpy(r->buf + at, data[i].iov_base, piece);
		at += piece;
	}
	if (at < len || dns_wire_query_parse(r->buf, len, &m))
		return R_DNS_MALFORMED;
	hash = dns_relay_hash(r, t, m.id);
	if (dns_relay_find(r, hash, t, len))
		return R_ACCEPTED;
	q = dns_query_new(r, t, len, hash, now);
	if (!q)
		return R_NO_MEMORY;
	q->asked = m;
	q->limit = MIN(m.udp, r->cfg.max_answer);
	r->queries++;
	return dns_query_start(q, now);
}

struct dns_relay *dns_relay_new(struct loop *loop, const struct dns_relay_config *cfg)
{
	struct dns_relay *r = g_try_new0(struct dns_relay, 1);

	if (!r)
		return NULL;
	r->cfg = *cfg;
	r->cfg.n_servers = MIN(cfg->n_servers, DNS_RELAY_SERVERS);
	r->cfg.max_answer = MAX(cfg->max_answer, DNS_WIRE_UDP_MIN);
	r->cfg.port = cfg->port ? cfg->port : DNS_PORT;
	r->cfg.try_timeout = cfg->try_timeout ? cfg->try_timeout : DNS_TRY_US;
	r->cfg.total_timeout = cfg->total_timeout ? cfg->total_timeout : DNS_TOTAL_US;
	r->cfg.penalty = cfg->penalty ? cfg->penalty : DNS_PENALTY_US;
	list_init(&r->inflight);
	r->loop = r->socks.loop = loop;
	r->socks.key = &r->key;
	r->socks.drops = cfg->drops;
	r->socks.idle = cfg->idle ? cfg->idle : DNS_IDLE_US;
	r->socks.event = dns_query_event;
	if (dns_sock_set_init(&r->socks) && htab_init(&r->by_guest) && getrandom(&r->key, sizeof(r->key), 0) == (ssize_t)sizeof(r->key))
		return r;
	dns_relay_free(r);
	return NULL;
}

void dns_relay_free(struct dns_relay *r)
{
	if (!r)
		return;
	while (!list_empty(&r->inflight))
		dns_query_end(container_of(r->inflight.next, struct dns_query, node));
	htab_clear(&r->by_guest);
	dns_sock_set_clear(&r->socks);
	g_free(r);
}

bool dns_relay_server(const struct dns_relay *r, struct addr *ret)
{
	int server = dns_relay_pick(r, 0, true, loop_now(r->loop));

	if (server < 0)
		return false;
	*ret = r->cfg.servers[server];
	return true;
}

bool dns_relay_server_failed(struct dns_relay *r, const struct addr *failed, unsigned tries, int64_t age, struct addr *ret)
{
	int64_t now = loop_now(r->loop);

	for (unsigned i = 0; i < r->cfg.n_servers; i++) {
		if (addr_eq(&r->cfg.servers[i], failed))
			r->health[i].tcp = now + r->cfg.penalty;
	}
	return tries < r->cfg.n_servers && age < r->cfg.total_timeout && dns_relay_server(r, ret);
}

void dns_relay_host_changed(struct dns_relay *r, int64_t now)
{
	memset(r->health, 0, sizeof(r->health));
	dns_sock_drop_idle(&r->socks);
	for (struct list *n = r->inflight.next; n != &r->inflight; n = n->next) {
		struct dns_query *q = container_of(n, struct dns_query, node);

		dns_query_hang_up(q);
		q->tried = q->dead = 0;
		loop_timer_set(r->loop, &q->timer, now); /* is queued: cannot fail */
	}
}

bool dns_relay_set_servers(struct dns_relay *r, const struct addr *servers, unsigned n)
{
	struct dns_health health[DNS_RELAY_SERVERS] = { 0 };

	n = MIN(n, DNS_RELAY_SERVERS);
	if (n == r->cfg.n_servers && (!n || !memcmp(servers, r->cfg.servers, n * sizeof(*servers))))
		return false;
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; k < r->cfg.n_servers; k++) {
			if (addr_eq(&servers[i], &r->cfg.servers[k]))
				health[i] = r->health[k];
		}
	}
	if (n)
		memcpy(r->cfg.servers, servers, n * sizeof(*servers));
	memcpy(r->health, health, sizeof(health));
	r->cfg.n_servers = n;
	r->generation++;
	dns_sock_drop_idle(&r->socks);
	return true;
}

bool dns_relay_give_way(struct dns_relay *r)
{
	return dns_sock_give_way(&r->socks);
}

void dns_relay_stats(const struct dns_relay *r, uint64_t *queries, uint64_t *answers)
{
	*queries = r->queries;
	*answers = r->answers;
}
