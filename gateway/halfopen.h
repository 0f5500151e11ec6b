/* halfopen.h - connections that are being made, counted by destination.
 *
 * What it is: for each destination with a connection under way, how many and in which order they came; and which destination has most.
 * What it is not: a judge of what ends (flow.c), an owner of flows.
 * Cost: every call is O(1).  A destination costs one allocation while it has one under way, so there are no more of them than of those.
 * Why by destination: one small gate for all lets a dead address stall everybody behind it.
 * Below: slirp/base.  Above: flow.c.  Contract D2, B10, F15.
 */
#ifndef GATEWAY_HALFOPEN_H
#define GATEWAY_HALFOPEN_H

#include "slirp/base/addr.h"
#include "slirp/base/htab.h"
#include "slirp/base/list.h"
#include "slirp/base/siphash.h"

#include <stdbool.h>
#include <stdint.h>

enum { HALFOPEN_RANKS = 1024 }; /* destinations with as many or more count as equally busy */

struct halfopen_dest; /* one destination, halfopen.c */

/* One connection under way; embed it.  Zeroed: not counted. */
struct halfopen_item {
	struct list node;
	struct halfopen_dest *dest;
};

struct halfopen {
	struct htab dests;
	struct list rank[HALFOPEN_RANKS + 1]; /* destinations by how many they have, the longest there first */
	uint32_t busiest;		      /* highest rank that is not empty; 0: none */
	uint32_t now;
	struct siphash_key key; /* the guest chooses destinations */
	struct mem *mem;
};

bool halfopen_init(struct halfopen *h, const struct siphash_key *key, struct mem *mem); /* false: no memory */
void halfopen_clear(struct halfopen *h); /* every item must be out; harmless on a zeroed struct */

/* False: no memory, item is not counted. */
bool halfopen_add(struct halfopen *h, struct halfopen_item *item, const struct endpoint *dest);
void halfopen_remove(struct halfopen *h, struct halfopen_item *item); /* harmless when not counted */

/* How many dest has under way. */
uint32_t halfopen_count(const struct halfopen *h, const struct endpoint *dest);
/* The oldest of dest; NULL: none. */
struct halfopen_item *halfopen_oldest(const struct halfopen *h, const struct endpoint *dest);
/* The oldest of the busiest destination; NULL: none at all. */
struct halfopen_item *halfopen_busiest(const struct halfopen *h);

#endif
