/* frames_host.h - what fuzz_frames.c and frames_host.c share: one guest's memory, one host's, and the check that ends a run.
 *
 * Below: slirp.  Above: fuzz_frames.c, frames_host.c.
 *
 * prefixes: frames_
 */
#ifndef TESTS_FUZZ_FRAMES_HOST_H
#define TESTS_FUZZ_FRAMES_HOST_H

#include "slirp/stack.h"
#include "slirp/tcp_conn.h"

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	FUZZ_SLOTS = 4,	       /* guest ports */
	FUZZ_PORT = 1000,
	FUZZ_OFFER = 1 << 20,  /* most that one host offers */
	FUZZ_TURNS = 20000,
	FUZZ_OPS = 400,
};

struct fuzz_flow {
	struct tcp_conn c;
	struct upstream up;
	struct fuzz *z;
	int slot;
};

/* One guest port: what the guest remembers, and the host behind it. */
struct fuzz_slot {
	struct fuzz_flow *flow;
	uint32_t isn, nxt;	/* the guest's numbers */
	uint32_t gw_nxt, gw_max; /* the gateway's, newest segment and highest */
	bool ts;
	uint8_t scale;		/* the gateway's */
	bool edge_known;
	uint32_t edge, ack;
	uint32_t guest_has;	/* highest valid acknowledgement that went in: sequence number */
	bool connected;
	/* host */
	uint32_t offered, consumed, peeked, written, space, take_max, peek_max;
	bool eof, failed, shut, aborted;
};

struct fuzz {
	const uint8_t *in;
	size_t left;
	struct stack_config cfg;
	struct stack *st;
	struct stack_host host;
	struct reason_tally drops;
	int64_t now;
	bool v6, wild, full, dead;
	struct fuzz_slot slot[FUZZ_SLOTS];
	GPtrArray *frames, *gone;
	uint8_t *tx;
	uint32_t tx_head, tx_room, given, back;
	enum reason answer;
};

#define FUZZ_CHECK(cond, ...)                                                    \
	do {                                                                     \
		if (!(cond)) {                                                   \
			fprintf(stderr, "%s:%d: not " #cond ": ", __FILE__, __LINE__); \
			fprintf(stderr, __VA_ARGS__);                            \
			fputc('\n', stderr);                                     \
			abort();                                                 \
		}                                                                \
	} while (0)

/* Payload by sequence number. */
static inline uint8_t fuzz_byte(int slot, bool to_guest, uint32_t seq)
{
	return (uint8_t)(seq * 131 + (seq >> 9) * 17 + (uint32_t)slot * 61 + to_guest * 91);
}

extern const struct upstream_ops frames_host_ops;
/* The link and the host that the core sees. */
void frames_host_init(struct fuzz *z);

#endif
