/* halfopen.c - a hash table of destinations, and a ring of them for each count.  See halfopen.h. */
#include "gateway/halfopen.h"

#include <glib.h>

struct halfopen_dest {
	struct htab_node node;
	struct endpoint at;
	uint32_t n;
	struct list items; /* oldest first; never empty */
	struct list rank;
};

bool halfopen_init(struct halfopen *h, const struct siphash_key *key, struct mem *mem)
{
	*h = (struct halfopen){ .key = *key, .mem = mem };
	for (int i = 0; i <= HALFOPEN_RANKS; i++)
		list_init(&h->rank[i]);
	if (!htab_init(&h->dests))
		return false;
	h->dests.mem = mem;
	return true;
}

void halfopen_clear(struct halfopen *h)
{
	htab_clear(&h->dests);
}

static uint32_t halfopen_hash(const struct halfopen *h, const struct endpoint *e)
{
	return (uint32_t)siphash(&h->key, e, sizeof(*e));
}

static struct halfopen_dest *halfopen_find(const struct halfopen *h, const struct endpoint *e)
{
	for (struct htab_node *n = htab_first(&h->dests, halfopen_hash(h, e)); n; n = htab_next(&h->dests, n)) {
		struct halfopen_dest *d = container_of(n, struct halfopen_dest, node);

		if (endpoint_eq(&d->at, e))
			return d;
	}
	return NULL;
}

static uint32_t halfopen_rank(const struct halfopen_dest *d)
{
	return d->n < HALFOPEN_RANKS ? d->n : HALFOPEN_RANKS;
}

/* d has one more or one less: the busiest moves by one at most. */
static void halfopen_ranked(struct halfopen *h, struct halfopen_dest *d, uint32_t n)
{
	list_unlink(&d->rank);
	d->n = n;
	if (n)
		list_push_tail(&h->rank[halfopen_rank(d)], &d->rank);
	if (halfopen_rank(d) > h->busiest)
		h->busiest = halfopen_rank(d);
	else if (h->busiest && list_empty(&h->rank[h->busiest]))
		h->busiest--;
}

bool halfopen_add(struct halfopen *h, struct halfopen_item *item, const struct endpoint *dest)
{
	struct halfopen_dest *d = halfopen_find(h, dest);

	if (!d) {
		d = mem_new0(h->mem, sizeof(*d));
		if (!d)
			return false;
		d->at = *dest;
		list_init(&d->items);
		list_init(&d->rank);
		htab_insert(&h->dests, &d->node, halfopen_hash(h, dest));
	}
	list_init(&item->node);
	list_push_tail(&d->items, &item->node);
	item->dest = d;
	h->now++;
	halfopen_ranked(h, d, d->n + 1);
	return true;
}

void halfopen_remove(struct halfopen *h, struct halfopen_item *item)
{
	struct halfopen_dest *d = item->dest;

	if (!d)
		return;
	list_unlink(&item->node);
	item->dest = NULL;
	h->now--;
	halfopen_ranked(h, d, d->n - 1);
	if (d->n)
		return;
	htab_remove(&h->dests, &d->node);
	g_free(d);
}

uint32_t halfopen_count(const struct halfopen *h, const struct endpoint *dest)
{
	const struct halfopen_dest *d = halfopen_find(h, dest);

	return d ? d->n : 0;
}

static struct halfopen_item *halfopen_first(const struct halfopen_dest *d)
{
	return d ? container_of(d->items.next, struct halfopen_item, node) : NULL;
}

struct halfopen_item *halfopen_oldest(const struct halfopen *h, const struct endpoint *dest)
{
	return halfopen_first(halfopen_find(h, dest));
}

struct halfopen_item *halfopen_busiest(const struct halfopen *h)
{
	return h->busiest ? halfopen_first(container_of(h->rank[h->busiest].next, struct halfopen_dest, rank)) : NULL;
}
