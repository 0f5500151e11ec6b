/* timerq.h - deadlines in an intrusive binary heap.
 *
 * What it is: the cache of "when must this object be looked at again".  The truth is a pure function of the object's state; the
 * owner calls timerq_set() with its value.  Equal deadlines fire in the order in which they were set.
 * What it is not: a clock, a callback dispatcher, thread-safe.
 * Below: mem.h.  Above: slirp (TCP timers), gateway (dials, relay queries).
 * Cost: O(log n) set and cancel, O(1) next.  Times: int64_t microseconds, monotonic.
 */
#ifndef SLIRP_BASE_TIMERQ_H
#define SLIRP_BASE_TIMERQ_H

#include "slirp/base/mem.h"

#include <stdbool.h>
#include <stdint.h>

#define TIMERQ_NEVER INT64_MAX

struct timer {
	int64_t at;	/* valid while queued */
	uint64_t order; /* tie-break: set counter */
	uint32_t slot;	/* index in the heap + 1; 0 = not queued; a zeroed struct is a valid idle timer */
};

struct timerq {
	struct timer **heap;
	uint32_t count, room;
	uint64_t order;
	struct mem *mem; /* NULL, or set after timerq_init() */
};

void timerq_init(struct timerq *q);
void timerq_clear(struct timerq *q); /* frees the heap; timers still queued become idle */

/* Makes room for n timers in all, so that timerq_set() of a known timer cannot fail.  False: no memory. */
bool timerq_reserve(struct timerq *q, uint32_t n);
/* The same, for an n that grows by one: room doubles. */
bool timerq_grow(struct timerq *q, uint32_t n);

/* Queues, moves, or (at == TIMERQ_NEVER) cancels.  False: no memory, t is left as it was. */
bool timerq_set(struct timerq *q, struct timer *t, int64_t at);
void timerq_cancel(struct timerq *q, struct timer *t); /* harmless when idle */

static inline int64_t timerq_next(const struct timerq *q)
{
	return q->count ? q->heap[0]->at : TIMERQ_NEVER;
}

/* Takes the earliest timer with at <= now off the queue, or returns NULL. */
struct timer *timerq_pop(struct timerq *q, int64_t now);

#endif
