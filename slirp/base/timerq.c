/* timerq.c - the heap of deadlines: an array of pointers, each timer knowing its slot.
 *
 * Order: by deadline, then by the count of timerq_set() calls, so that no two timers compare equal.
 * Below: mem.h.  Above: slirp (TCP timers), gateway (dials, relay queries).
 */
#include "slirp/base/timerq.h"

#include <glib.h>

enum { ROOM_MIN = 16 };

void timerq_init(struct timerq *q)
{
	*q = (struct timerq){ 0 };
}

void timerq_clear(struct timerq *q)
{
	for (uint32_t i = 0; i < q->count; i++)
		q->heap[i]->slot = 0;
	g_free(q->heap);
	*q = (struct timerq){ .mem = q->mem };
}

bool timerq_reserve(struct timerq *q, uint32_t n)
{
	struct timer **heap;

	if (n <= q->room)
		return true;
	heap = mem_resize(q->mem, q->heap, n, sizeof(*heap));
	if (!heap)
		return false;
	q->heap = heap;
	q->room = n;
	return true;
}

bool timerq_grow(struct timerq *q, uint32_t n)
{
	uint32_t room = q->room ? q->room : ROOM_MIN;

	while (room < n)
		room *= 2;
	return timerq_reserve(q, room);
}

static bool earlier(const struct timer *x, const struct timer *y)
{
	return x->at != y->at ? x->at < y->at : x->order < y->order;
}

static void place(struct timerq *q, struct timer *t, uint32_t i)
{
	q->heap[i] = t;
	t->slot = i + 1;
}

/* The slot i is free: finds t's place on the way to the root, moving later timers down. */
static void sift_up(struct timerq *q, struct timer *t, uint32_t i)
{
	while (i && earlier(t, q->heap[(i - 1) / 2])) {
		place(q, q->heap[(i - 1) / 2], i);
		i = (i - 1) / 2;
	}
	place(q, t, i);
}

/* The slot i is free: finds t's place away from the root, moving earlier timers up. */
static void sift_down(struct timerq *q, struct timer *t, uint32_t i)
{
	uint32_t child;

	while ((child = 2 * i + 1) < q->count) {
		if (child + 1 < q->count && earlier(q->heap[child + 1], q->heap[child]))
			child++;
		if (earlier(t, q->heap[child]))
			break;
		place(q, q->heap[child], i);
		i = child;
	}
	place(q, t, i);
}

/* Puts t into the free slot i or wherever the order wants it. */
static void settle(struct timerq *q, struct timer *t, uint32_t i)
{
	if (i && earlier(t, q->heap[(i - 1) / 2]))
		sift_up(q, t, i);
	else
		sift_down(q, t, i);
}

bool timerq_set(struct timerq *q, struct timer *t, int64_t at)
{
	if (at == TIMERQ_NEVER) {
		timerq_cancel(q, t);
		return true;
	}
	if (!t->slot && q->count == q->room && !timerq_grow(q, q->room + 1))
		return false;
	t->at = at;
	t->order = ++q->order;
	settle(q, t, t->slot ? t->slot - 1 : q->count++);
	return true;
}

void timerq_cancel(struct timerq *q, struct timer *t)
{
	uint32_t i = t->slot - 1;
	struct timer *last;

	if (!t->slot)
		return;
	t->slot = 0;
	last = q->heap[--q->count];
	if (last != t)
		settle(q, last, i);
}

struct timer *timerq_pop(struct timerq *q, int64_t now)
{
	struct timer *t = q->count ? q->heap[0] : NULL;

	if (!t || t->at > now)
		return NULL;
	timerq_cancel(q, t);
	return t;
}
