/* list.h - an intrusive doubly linked ring.
 *
 * The caller embeds the node and owns the memory; a node that is on no list points to itself, so unlinking twice is harmless.
 * Below: nothing.  Above: everybody.  Not thread-safe: one gateway, one thread.
 */
#ifndef SLIRP_BASE_LIST_H
#define SLIRP_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_unlink(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

/* Appends n, which must be on no list. */
static inline void list_push_tail(struct list *l, struct list *n)
{
	n->next = l;
	n->prev = l->prev;
	l->prev->next = n;
	l->prev = n;
}

static inline struct list *list_pop_head(struct list *l)
{
	struct list *n = l->next;

	if (n == l)
		return NULL;
	list_unlink(n);
	return n;
}

/* Moves everything from src to the tail of dst; src is empty afterwards. */
static inline void list_splice_tail(struct list *dst, struct list *src)
{
	if (list_empty(src))
		return;
	src->next->prev = dst->prev;
	dst->prev->next = src->next;
	src->prev->next = dst;
	dst->prev = src->prev;
	list_init(src);
}

#endif
