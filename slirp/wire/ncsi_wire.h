/* ncsi_wire.h - NC-SI control packets as values: how a management controller speaks to a network controller.  DMTF DSP0222 8.1.
 *
 *	controller, revision, -, instance, type, channel, length (16 bits, 12 used), 8 unused  payload, filled up to whole words  checksum (32 bits)
 *
 * Codec: parse checks and returns a value, put writes exactly the stated size.  No state, no policy.  A checksum that came is not looked at:
 * there is a frame check of the link's, and 0 is allowed to stand for none.
 * Below: slirp/base.  Above: slirp/ncsi.c, tests.
 */
#ifndef SLIRP_WIRE_NCSI_WIRE_H
#define SLIRP_WIRE_NCSI_WIRE_H

#include "slirp/base/reason.h"

#include <stdint.h>

enum {
	NCSI_HDR_LEN = 16,
	NCSI_CSUM_LEN = 4,
	NCSI_RESPONSE = 0x80, /* in a type: the answer to that command */
};

struct ncsi_msg {
	uint8_t instance, type, channel;
	uint16_t len; /* of the payload */
	const uint8_t *payload;
};

/* p: behind the Ethernet header; ret points into it.  R_NCSI_SHORT: it ends before its header or its payload does. */
enum reason ncsi_wire_parse(const uint8_t *p, uint32_t len, struct ncsi_msg *ret);
/* Bytes behind the header: payload, filling and checksum. */
uint32_t ncsi_wire_tail_len(uint32_t payload_len);
/* NCSI_HDR_LEN bytes to head, ncsi_wire_tail_len() bytes to tail. */
void ncsi_wire_put(uint8_t *head, uint8_t *tail, const struct ncsi_msg *m);

#endif
