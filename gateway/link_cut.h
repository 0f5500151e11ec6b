/* link_cut.h - slots of a link without offload: cut to the segment size and checksummed here.
 *
 * What it is: memory for one slot, laid out as header gap and payload piece, piece after piece, so that every piece is a frame where it stands.
 * What it is not: a link; whoever embeds it says where frames go.
 * Below: slirp/stack.h, gso_wire.  Above: link_callback.c.
 */
#ifndef GATEWAY_LINK_CUT_H
#define GATEWAY_LINK_CUT_H

#include "slirp/stack.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	LINK_CUT_HEAD_MAX = 160,
	LINK_CUT_PAYLOAD_MAX = 65536,
	LINK_CUT_SIZE = TX_SLOT_IOV * LINK_CUT_HEAD_MAX + LINK_CUT_PAYLOAD_MAX + 64,
};

struct link_cut {
	uint8_t buf[LINK_CUT_SIZE];
};

/* As stack_host.tx_get; always has room. */
void link_cut_get(struct link_cut *c, struct tx_slot *slot, uint32_t head_len, uint32_t payload_len, uint32_t mss);
/* Finishes the frames of a slot and gives each to `frame`, which may write up to 60 bytes from its start on (padding). */
void link_cut_put(struct tx_slot *slot, const struct frame_meta *m, uint32_t used, void (*frame)(void *arg, uint8_t *p, uint32_t len),
		  void *arg);

#endif
