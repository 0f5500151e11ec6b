/* fallback.c - the registry of fallback handlers.  See fallback.h.
 *
 * The walk holds no pointer to a handler across a call: the next one is the first whose id is higher than the last one asked.
 * prefixes: fallback_ count_
 */
#include "publish/fallback.h"

#include "slirp/base/list.h"

#include <glib.h>
#include <string.h>

struct fallback {
	struct siphash_key key;
	GArray *handlers; /* struct registered, by ascending id */
	uint64_t last_id;
	struct htab waiting;	/* struct fallback_ask, by token */
	struct timerq deadlines;
	uint64_t last_token;
	uint64_t in_ask;		/* the token a handler is being asked with right now */
	enum fallback_verdict answered; /* what was said about it meanwhile; FALLBACK_LATER: nothing */
	struct htab counts; /* struct count */
	struct fallback_stats stats;
};

struct registered {
	uint64_t id;
	struct fallback_handler h;
};

/* Flows of one destination port, or of one source address (port 0). */
struct count {
	struct htab_node node;
	struct endpoint key;
	uint32_t n;
};

struct fallback *fallback_new(const struct siphash_key *key)
{
	struct fallback *f = g_try_new0(struct fallback, 1);

	if (!f)
		return NULL;
	if (!htab_init(&f->counts) || !htab_init(&f->waiting)) {
		htab_clear(&f->counts);
		g_free(f);
		return NULL;
	}
	f->key = *key;
	f->handlers = g_array_new(false, false, sizeof(struct registered));
	timerq_init(&f->deadlines);
	return f;
}

void fallback_free(struct fallback *f)
{
	if (!f)
		return;
	while (f->handlers->len)
		fallback_remove(f, g_array_index(f->handlers, struct registered, 0).id, 0);
	g_array_free(f->handlers, true);
	timerq_clear(&f->deadlines);
	htab_clear(&f->counts);
	htab_clear(&f->waiting);
	g_free(f);
}

uint64_t fallback_add(struct fallback *f, const struct fallback_handler *h)
{
	struct registered r = { ++f->last_id, *h };

	g_array_append_val(f->handlers, r);
	return r.id;
}

bool fallback_any(const struct fallback *f)
{
	return f->handlers->len > 0;
}

/* The first handler behind id, in *ret. */
static bool fallback_next(const struct fallback *f, uint64_t id, struct registered *ret)
{
	for (guint i = 0; i < f->handlers->len; i++) {
		*ret = g_array_index(f->handlers, struct registered, i);
		if (ret->id > id)
			return true;
	}
	return false;
}

/* --- counting --- */

static uint32_t count_hash(const struct fallback *f, const struct endpoint *key)
{
	uint8_t bytes[sizeof(key->addr) + sizeof(key->port)];

	memcpy(bytes, &key->addr, sizeof(key->addr));
	memcpy(bytes + sizeof(key->addr), &key->port, sizeof(key->port));
	return (uint32_t)siphash(&f->key, bytes, sizeof(bytes));
}

static struct count *count_find(const struct fallback *f, const struct endpoint *key)
{
	for (struct htab_node *n = htab_first(&f->counts, count_hash(f, key)); n; n = htab_next(&f->counts, n)) {
		struct count *c = container_of(n, struct count, node);

		if (endpoint_eq(&c->key, key))
			return c;
	}
	return NULL;
}

static bool count_up(struct fallback *f, const struct endpoint *key, uint32_t max)
{
	struct count *c = count_find(f, key);

	if (c && c->n >= max)
		return false;
	if (!c) {
		c = g_try_new0(struct count, 1);
		if (!c)
			return false;
		c->key = *key;
		htab_insert(&f->counts, &c->node, count_hash(f, key));
		f->stats.ports += !!key->port;
	}
	c->n++;
	return true;
}

static void count_down(struct fallback *f, const struct endpoint *key)
{
	struct count *c = count_find(f, key);

	if (!c || --c->n)
		return;
	htab_remove(&f->counts, &c->node);
	f->stats.ports -= !!key->port;
	g_free(c);
}

static struct endpoint count_port(const struct fallback_question *q)
{
	return (struct endpoint){ .port = q->dst.port };
}

static struct endpoint count_source(const struct fallback_question *q)
{
	return (struct endpoint){ .addr = q->src.addr };
}

static enum reason fallback_enter(struct fallback *f, struct fallback_ask *a)
{
	struct endpoint port = count_port(&a->q), source = count_source(&a->q);

	if (f->stats.flows >= FALLBACK_FLOWS_MAX)
		return R_FALLBACK_CAP;
	if (f->stats.ports >= FALLBACK_PORTS_MAX && !count_find(f, &port))
		return R_FALLBACK_CAP;
	if (!count_up(f, &port, FALLBACK_PORT_FLOWS_MAX))
		return R_FALLBACK_CAP;
	if (!count_up(f, &source, FALLBACK_SOURCE_FLOWS_MAX)) {
		count_down(f, &port);
		return R_FALLBACK_CAP;
	}
	f->stats.flows++;
	a->counted = true;
	return R_ACCEPTED;
}

/* a waits for nobody's answer any more. */
static void fallback_unwait(struct fallback *f, struct fallback_ask *a)
{
	if (!a->token)
		return;
	htab_remove(&f->waiting, &a->waiting);
	timerq_cancel(&f->deadlines, &a->timer);
	a->token = 0;
}

void fallback_leave(struct fallback *f, struct fallback_ask *a)
{
	struct endpoint port = count_port(&a->q), source = count_source(&a->q);

	if (!a->counted)
		return;
	a->counted = false;
	fallback_unwait(f, a);
	count_down(f, &port);
	count_down(f, &source);
	f->stats.flows--;
}

/* --- the walk --- */

static void fallback_end(struct fallback *f, struct fallback_ask *a, enum reason why)
{
	f->stats.claimed += why == R_ACCEPTED;
	f->stats.declined += why == R_FALLBACK_DECLINED;
	f->stats.rejected += why == R_FALLBACK_REJECTED;
	f->stats.capped += why == R_FALLBACK_CAP;
	if (why)
		fallback_leave(f, a);
	a->done(a, why);
}

/* Puts the question to handler r.  FALLBACK_LATER: a waits, or has gone. */
static enum fallback_verdict fallback_put(struct fallback *f, struct fallback_ask *a, const struct registered *r, int64_t now)
{
	uint64_t token = ++f->last_token;
	enum fallback_verdict v;

	a->handler = r->id;
	if (!timerq_set(&f->deadlines, &a->timer, now + FALLBACK_VERDICT_US))
		return FALLBACK_DECLINE;
	a->token = token;
	htab_insert(&f->waiting, &a->waiting, (uint32_t)token);
	f->in_ask = token;
	f->answered = FALLBACK_LATER;
	v = r->h.ask(&a->q, token, r->h.arg);
	f->in_ask = 0;
	if (v == FALLBACK_LATER)
		v = f->answered;
	if (v != FALLBACK_LATER)
		fallback_unwait(f, a);
	return v;
}

/* Asks the handlers behind the one asked last, until one decides or wants time. */
static void fallback_walk(struct fallback *f, struct fallback_ask *a, int64_t now)
{
	struct registered r;

	while (fallback_next(f, a->handler, &r) && r.id <= a->last)
		switch (fallback_put(f, a, &r, now)) {
		case FALLBACK_CLAIM:
			fallback_end(f, a, R_ACCEPTED);
			return;
		case FALLBACK_REJECT:
			fallback_end(f, a, R_FALLBACK_REJECTED);
			return;
		case FALLBACK_LATER:
			return;
		case FALLBACK_DECLINE:
			break;
		}
	fallback_end(f, a, R_FALLBACK_DECLINED);
}

void fallback_ask(struct fallback *f, struct fallback_ask *a, const struct fallback_question *q, int64_t now)
{
	enum reason why;

	a->q = *q;
	a->handler = 0;
	a->last = f->last_id;
	a->token = 0;
	a->counted = false;
	f->stats.asked++;
	why = fallback_enter(f, a);
	if (why)
		fallback_end(f, a, why);
	else
		fallback_walk(f, a, now);
}

/* The answer that a waits for is v. */
static void fallback_resume(struct fallback *f, struct fallback_ask *a, enum fallback_verdict v, int64_t now)
{
	fallback_unwait(f, a);
	if (v == FALLBACK_CLAIM)
		fallback_end(f, a, R_ACCEPTED);
	else if (v == FALLBACK_REJECT)
		fallback_end(f, a, R_FALLBACK_REJECTED);
	else
		fallback_walk(f, a, now);
}

void fallback_answer(struct fallback *f, uint64_t token, enum fallback_verdict v, int64_t now)
{
	if (token == f->in_ask) {
		if (token)
			f->answered = v == FALLBACK_LATER ? FALLBACK_DECLINE : v;
		return;
	}
	for (struct htab_node *n = htab_first(&f->waiting, (uint32_t)token); n; n = htab_next(&f->waiting, n)) {
		struct fallback_ask *a = container_of(n, struct fallback_ask, waiting);

		if (a->token == token) {
			fallback_resume(f, a, v, now);
			return;
		}
	}
}

/* Collects the tokens that wait for one handler. */
struct tokens {
	uint64_t handler;
	GArray *of;
};

static void fallback_collect(struct htab_node *n, void *arg)
{
	struct fallback_ask *a = container_of(n, struct fallback_ask, waiting);
	struct tokens *t = arg;

	if (a->handler == t->handler)
		g_array_append_val(t->of, a->token);
}

bool fallback_remove(struct fallback *f, uint64_t id, int64_t now)
{
	g_autoptr(GArray) waiting = g_array_new(false, false, sizeof(uint64_t));
	struct tokens t = { .handler = id, .of = waiting };
	struct registered r;

	if (!id || !fallback_next(f, id - 1, &r) || r.id != id)
		return false;
	for (guint i = 0; i < f->handlers->len; i++)
		if (g_array_index(f->handlers, struct registered, i).id == id) {
			g_array_remove_index(f->handlers, i);
			break;
		}
	htab_each(&f->waiting, fallback_collect, &t);
	for (guint i = 0; i < waiting->len; i++)
		fallback_answer(f, g_array_index(waiting, uint64_t, i), FALLBACK_DECLINE, now);
	if (r.h.free)
		r.h.free(r.h.arg);
	return true;
}

void fallback_expire(struct fallback *f, int64_t now)
{
	struct timer *t;

	while ((t = timerq_pop(&f->deadlines, now))) {
		f->stats.timed_out++;
		fallback_resume(f, container_of(t, struct fallback_ask, timer), FALLBACK_DECLINE, now);
	}
}

int64_t fallback_deadline(const struct fallback *f)
{
	return timerq_next(&f->deadlines);
}

void fallback_stats(const struct fallback *f, struct fallback_stats *ret)
{
	*ret = f->stats;
	ret->handlers = f->handlers->len;
}
