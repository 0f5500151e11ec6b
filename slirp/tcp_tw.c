/* tcp_tw.c - the time-wait ring.  See tcp_tw.h. */
#include "slirp/tcp_tw.h"

#include <glib.h>

enum { TW_ROOM_MIN = 64 };

static uint32_t tw_ms(int64_t now)
{
	return (uint32_t)(now / 1000);
}

void tcp_tw_init(struct tcp_tw *tw, uint32_t max, int64_t lifetime, uint32_t (*hash)(const void *of, const struct tuple *t),
		 const void *hash_of)
{
	*tw = (struct tcp_tw){ .max = max, .lifetime = lifetime, .hash = hash, .hash_of = hash_of };
}

void tcp_tw_clear(struct tcp_tw *tw)
{
	g_free(tw->ring);
	g_free(tw->bucket);
	tw->ring = NULL;
	tw->bucket = NULL;
	tw->room = tw->head = tw->used = 0;
}

/* Two entries per head on average in a full ring: a walk of two comparisons is cheaper than the memory. */
static uint32_t *tw_head(const struct tcp_tw *tw, uint32_t hash)
{
	return &tw->bucket[hash & (tw->room / 2 - 1)];
}

static void tw_chain(struct tcp_tw *tw, uint32_t index)
{
	struct tcp_tw_entry *e = &tw->ring[index];
	uint32_t *head = tw_head(tw, tw->hash(tw->hash_of, &e->tuple));

	e->next = *head & 0x3fffffff;
	*head = index + 1;
}

static void tw_unchain(struct tcp_tw *tw, uint32_t index)
{
	uint32_t *head = tw_head(tw, tw->hash(tw->hash_of, &tw->ring[index].tuple));
	uint32_t at = *head;

	if (at == index + 1) {
		*head = tw->ring[index].next;
		return;
	}
	while (at) {
		struct tcp_tw_entry *e = &tw->ring[at - 1];

		if (e->next == index + 1) {
			e->next = tw->ring[index].next;
			return;
		}
		at = e->next;
	}
}

void tcp_tw_remove(struct tcp_tw *tw, struct tcp_tw_entry *e)
{
	tw_unchain(tw, (uint32_t)(e - tw->ring));
	e->live = 0;
}

uint32_t tcp_tw_age(const struct tcp_tw *tw, const struct tcp_tw_entry *e, int64_t now)
{
	return tw_ms(now + tw->lifetime) - e->expires;
}

/* Moves everything into a ring twice as large.  False: no memory, or at the maximum. */
static bool tw_grow(struct tcp_tw *tw)
{
	uint32_t room = tw->room ? tw->room * 2 : TW_ROOM_MIN, n = 0;
	struct tcp_tw_entry *ring;
	uint32_t *bucket;

	if (tw->room && room > tw->max)
		return false;
	ring = mem_new(tw->mem, room * sizeof(*ring));
	bucket = mem_new0(tw->mem, room / 2 * sizeof(*bucket));
	if (!ring || !bucket) {
		g_free(ring);
		g_free(bucket);
		return false;
	}
	for (uint32_t i = 0; i < tw->used; i++) {
		const struct tcp_tw_entry *e = &tw->ring[(tw->head + i) & (tw->room - 1)];

		if (e->live)
			ring[n++] = *e;
	}
	tcp_tw_clear(tw);
	tw->ring = ring;
	tw->bucket = bucket;
	tw->room = room;
	tw->used = n;
	for (uint32_t i = 0; i < n; i++)
		tw_chain(tw, i);
	return true;
}

static void tw_drop_oldest(struct tcp_tw *tw)
{
	struct tcp_tw_entry *e = &tw->ring[tw->head];

	if (e->live)
		tcp_tw_remove(tw, e);
	tw->head = (tw->head + 1) & (tw->room - 1);
	tw->used--;
}

void tcp_tw_add(struct tcp_tw *tw, const struct tcp_tw_entry *e, int64_t now)
{
	uint32_t index;

	while (tw->used) {
		const struct tcp_tw_entry *old = &tw->ring[tw->head];

		if (old->live && (int32_t)(old->expires - tw_ms(now)) > 0)
			break;
		tw_drop_oldest(tw);
	}
	if (tw->used == tw->room && !tw_grow(tw)) {
		if (!tw->room)
			return;
		tw_drop_oldest(tw);
	}
	index = (tw->head + tw->used++) & (tw->room - 1);
	tw->ring[index] = *e;
	tw->ring[index].live = 1;
	tw->ring[index].expires = tw_ms(now + tw->lifetime);
	tw_chain(tw, index);
}

struct tcp_tw_entry *tcp_tw_find(struct tcp_tw *tw, const struct tuple *t, uint32_t hash, int64_t now)
{
	uint32_t at = tw->room ? *tw_head(tw, hash) : 0;

	for (; at; at = tw->ring[at - 1].next) {
		struct tcp_tw_entry *e = &tw->ring[at - 1];

		if (!tuple_eq(&e->tuple, t))
			continue;
		if ((int32_t)(e->expires - tw_ms(now)) > 0)
			return e;
		tcp_tw_remove(tw, e);
		return NULL;
	}
	return NULL;
}
