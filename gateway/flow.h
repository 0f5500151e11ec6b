/* flow.h - how many flows there may be, which are there, and who makes room.
 *
 * What it is: the flow table's caps and counts, the order in which idle flows make room, and the reaping of what has ended.  Looking a flow up
 * by its tuple is the core's (tcp_conn.h): one home per fact.
 * What it is not: a protocol.
 * States: HELD (being made: a dial runs, or the guest is asked) -> OPEN -> gone; or HELD -> refused, gone.  Contract C1-C4, C10; D1, D2.
 * Cost: O(1) per call; nothing walks the table.
 * Below: loop.h, halfopen.h, pressure.h, slirp/base.  Above: flow_tcp.c, gateway.c.
 */
#ifndef GATEWAY_FLOW_H
#define GATEWAY_FLOW_H

#include "gateway/gateway_tunable.h"
#include "gateway/halfopen.h"
#include "gateway/loop.h"
#include "gateway/pressure.h"
#include "slirp/base/reason.h"

#include <stdbool.h>
#include <stdint.h>

enum flow_state { FLOW_HELD, FLOW_OPEN, FLOW_GONE };

enum {
	FLOW_RESERVE = 556,	/* descriptors kept: the DNS relay's 256 queries, 256 ids that ping, 44 of our own; UDP's are lent, see flow.c */
	FLOW_LOOKS = 8,		/* flows looked at for one that is idle, per new flow */
};

struct flow {
	uint8_t state;
	struct loop_reap reap;
	struct halfopen_item half; /* while HELD */
	struct list order;	   /* while OPEN: in the order of the last look */
	uint32_t mark;		   /* what had moved at the last look, modulo 2^32 */
	int64_t mark_at;	   /* when that was seen to have changed */
};

struct flow_table;

/* What the table asks its owner. */
struct flow_table_ops {
	/* A number that changes when payload moves, and when the guest was last heard of. */
	uint32_t (*look)(struct flow *f, int64_t *ret_heard_at);
	/* Ends the flow now: flow_end() before it returns. */
	void (*end)(struct flow *f, enum reason why, int64_t now);
	/* Percent of what else runs short; may be NULL. */
	unsigned (*full)(void *arg);
	/* Pressure has begun or ended; may be NULL. */
	void (*pressure)(void *arg, bool on);
	void *arg;
};

struct flow_table {
	struct loop *loop;
	const struct gateway_tunables *tune;
	struct flow_table_ops ops;
	uint32_t share; /* flows that the descriptor limit leaves room for */
	uint32_t now;
	uint64_t opened;
	struct halfopen half;
	struct list order; /* OPEN flows */
	struct pressure pressure;
	struct reason_tally closes;
};

/* tune stays the caller's and is read at each use; key is random.  False: no memory. */
bool flow_table_init(struct flow_table *t, struct loop *loop, const struct gateway_tunables *tune, const struct flow_table_ops *ops,
		     const struct siphash_key *key, struct mem *mem);
void flow_table_clear(struct flow_table *t); /* every flow must have ended; harmless on a zeroed struct */

uint32_t flow_max(const struct flow_table *t); /* flows that there may be at a time */
uint32_t flow_half_open_max(const struct flow_table *t);

/* Makes room for one more flow being made toward dest: ends the oldest one being made to dest, or to the busiest destination, where a cap of
 * those is reached (HALF_OPEN_CAP), and an idle flow where that of all is (EVICTED).  R_ACCEPTED, or R_FLOW_CAP: none was idle. */
enum reason flow_room(struct flow_table *t, const struct endpoint *dest, int64_t now);
/* A place was short otherwise (descriptors): ends an idle flow.  False: none was found. */
bool flow_give_way(struct flow_table *t, int64_t now);

bool flow_begin(struct flow_table *t, struct flow *f, const struct endpoint *dest); /* HELD; counts; false: no memory */
void flow_cancel(struct flow_table *t, struct flow *f); /* as if flow_begin() had not been: for a start that fails */
void flow_opened(struct flow_table *t, struct flow *f, int64_t now);
/* Counts the end; fn frees the memory when the turn is over. */
void flow_end(struct flow_table *t, struct flow *f, enum reason why, void (*fn)(struct loop_reap *r));

#endif
