/* htab.c - the hash table: one chain per bucket, and two bucket arrays while it changes size.
 *
 * Where a node stands is a pure function of its hash and of how far the move has come: in its old bucket until that
 * bucket is moved, in its new bucket from then on (an insert obeys the same rule).  So every search looks at exactly
 * one chain, and nodes of equal hash are always on the same chain.
 * Below: mem.h.  Above: slirp (connections), gateway (flows).
 */
#include "slirp/base/htab.h"

#include <glib.h>

enum {
	BUCKETS_MIN = 16,
	BUCKETS_MAX = 1 << 30,
	MOVES_PER_CALL = 2, /* N/2 calls drain N buckets, long before the next size change is due */
};

static struct htab_node **buckets_new(struct mem *m, uint32_t n)
{
	return mem_new0(m, n * sizeof(struct htab_node *));
}

bool htab_init(struct htab *t)
{
	*t = (struct htab){ .buckets = buckets_new(NULL, BUCKETS_MIN), .mask = BUCKETS_MIN - 1 };
	return t->buckets != NULL;
}

void htab_clear(struct htab *t)
{
	g_free(t->buckets);
	g_free(t->old);
	*t = (struct htab){ 0 };
}

/* The head of the one chain on which nodes of this hash stand. */
static struct htab_node **chain(const struct htab *t, uint32_t hash)
{
	if (t->old && (hash & t->old_mask) >= t->drained)
		return &t->old[hash & t->old_mask];
	return &t->buckets[hash & t->mask];
}

static void push(struct htab_node **head, struct htab_node *n)
{
	n->next = *head;
	*head = n;
}

/* Moves one bucket of the old array; the last one ends the move. */
static void drain_one(struct htab *t)
{
	struct htab_node *n = t->old[t->drained], *next;

	for (; n; n = next) {
		next = n->next;
		push(&t->buckets[n->hash & t->mask], n);
	}
	if (t->drained++ == t->old_mask) {
		g_free(t->old);
		t->old = NULL;
	}
}

static void resize_begin(struct htab *t, uint32_t size)
{
	struct htab_node **fresh = buckets_new(t->mem, size);

	if (!fresh)
		return; /* the present size stays in use; the next call tries again */
	t->old = t->buckets;
	t->old_mask = t->mask;
	t->drained = 0;
	t->buckets = fresh;
	t->mask = size - 1;
}

/* At most two buckets of a move under way; a new move begins only when none is. */
static void resize_step(struct htab *t)
{
	uint32_t size = t->mask + 1;

	if (t->visiting)
		return;
	if (!t->old && t->count > size && size < BUCKETS_MAX)
		resize_begin(t, size * 2);
	else if (!t->old && t->count < size / 8 && size > BUCKETS_MIN)
		resize_begin(t, size / 2);
	for (int i = 0; i < MOVES_PER_CALL && t->old; i++)
		drain_one(t);
}

void htab_insert(struct htab *t, struct htab_node *n, uint32_t hash)
{
	n->hash = hash;
	push(chain(t, hash), n);
	t->count++;
	resize_step(t);
}

void htab_remove(struct htab *t, struct htab_node *n)
{
	struct htab_node **at = chain(t, n->hash);

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	n->next = NULL;
	t->count--;
	resize_step(t);
}

static struct htab_node *same_hash(struct htab_node *n, uint32_t hash)
{
	while (n && n->hash != hash)
		n = n->next;
	return n;
}

struct htab_node *htab_first(const struct htab *t, uint32_t hash)
{
	return t->count ? same_hash(*chain(t, hash), hash) : NULL;
}

struct htab_node *htab_next(const struct htab *t, const struct htab_node *n)
{
	(void)t;
	return same_hash(n->next, n->hash);
}

static void each_in(struct htab_node **buckets, uint32_t from, uint32_t mask,
		    void (*fn)(struct htab_node *n, void *arg), void *arg)
{
	struct htab_node *n, *next;

	for (uint32_t i = from; i <= mask; i++) {
		for (n = buckets[i]; n; n = next) {
			next = n->next;
			fn(n, arg);
		}
	}
}

void htab_each(struct htab *t, void (*fn)(struct htab_node *n, void *arg), void *arg)
{
	if (!t->count)
		return;
	t->visiting = true;
	if (t->old)
		each_in(t->old, t->drained, t->old_mask, fn, arg);
	each_in(t->buckets, 0, t->mask, fn, arg);
	t->visiting = false;
	resize_step(t);
}
