/* flow.h - how many flows there may be, and which there are.
 *
 * What it is: the flow table's caps and counts, the list for shutdown, and the reaping of what has ended.  Looking a flow up by
 * its tuple is the core's (tcp_conn.h): one home per fact.
 * What it is not: a protocol.
 * States: HELD (SYN kept, dial running) -> OPEN -> gone; or HELD -> refused, gone.  Contract C1-C4, C10; D1, D2.
 * Below: loop.h, slirp/base.  Above: flow_tcp.c, gateway.c.
 */
#ifndef GATEWAY_FLOW_H
#define GATEWAY_FLOW_H

#include "gateway/loop.h"
#include "slirp/base/reason.h"

#include <stdbool.h>
#include <stdint.h>

enum flow_state { FLOW_HELD, FLOW_OPEN, FLOW_GONE };

enum {
	FLOW_MAX = 65536,	/* D1 */
	FLOW_HALF_OPEN_MAX = 1024, /* D2 */
	FLOW_RESERVE = 556,	/* descriptors kept: the DNS relay's 256 queries, 256 ids that ping, 44 of our own; UDP's are lent, see flow.c */
};

struct flow {
	uint8_t state;
	struct loop_reap reap;
};

struct flow_table {
	struct loop *loop;
	uint32_t max, max_half_open; /* TCP flows */
	uint32_t now, half_open;
	uint64_t opened;
	struct reason_tally closes;
};

/* max 0: the default, or what the descriptor limit leaves after the reserve if that is less; likewise max_half_open. */
void flow_table_init(struct flow_table *t, struct loop *loop, uint32_t max, uint32_t max_half_open);

/* Is there room for one more held flow?  R_ACCEPTED, R_FLOW_CAP or R_HALF_OPEN_CAP. */
enum reason flow_room(const struct flow_table *t);
void flow_begin(struct flow_table *t, struct flow *f); /* HELD; counts */
void flow_opened(struct flow_table *t, struct flow *f);
/* Counts the end; fn frees the memory when the turn is over. */
void flow_end(struct flow_table *t, struct flow *f, enum reason why, void (*fn)(struct loop_reap *r));

#endif
