/* htab.h - an intrusive hash table with chaining.
 *
 * What it is: O(1) find, insert and remove for objects that embed a struct htab_node; the caller owns every object and computes
 * every hash (keyed: siphash.h, because the guest chooses the keys).
 * What it is not: an owner of memory; a map with values; thread-safe.
 * Below: mem.h.  Above: slirp (connections), gateway (flows).
 *
 * Growth: doubles when load exceeds 1 and halves below 1/8, moving at most two buckets per insert or remove, so that no single
 * call is a walk over the table.  Allocation failure leaves the smaller table in use: slower, never wrong.
 */
#ifndef SLIRP_BASE_HTAB_H
#define SLIRP_BASE_HTAB_H

#include "slirp/base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct htab_node {
	struct htab_node *next;
	uint32_t hash;
};

struct htab {
	struct htab_node **buckets; /* the table in use */
	struct htab_node **old;	    /* the table being drained, or NULL */
	uint32_t mask, old_mask;
	uint32_t drained; /* buckets of old already moved */
	uint32_t count;
	struct mem *mem; /* of what grows; NULL, or set after htab_init() */
	bool visiting; /* inside htab_each(): nothing moves */
};

bool htab_init(struct htab *t); /* false: no memory */
void htab_clear(struct htab *t); /* frees the buckets, not the objects; harmless on a zeroed struct */
static inline uint32_t htab_count(const struct htab *t)
{
	return t->count;
}

/* n must be in no table; duplicates of hash and key are the caller's affair. */
void htab_insert(struct htab *t, struct htab_node *n, uint32_t hash);
void htab_remove(struct htab *t, struct htab_node *n); /* n must be in t */

/* The first node with this hash, then the next one; NULL when there is none.  The caller compares keys. */
struct htab_node *htab_first(const struct htab *t, uint32_t hash);
struct htab_node *htab_next(const struct htab *t, const struct htab_node *n);

/* Visits every node, in no order; fn may remove the node it is given and no other, and may insert nothing.  For shutdown and listings only. */
void htab_each(struct htab *t, void (*fn)(struct htab_node *n, void *arg), void *arg);

#endif
