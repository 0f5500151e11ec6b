/* tcp_in.h - a TCP segment arrives from the guest.  RFC 9293 3.10.7, RFC 5961, RFC 7323.
 *
 * Below: tcp_state.h, tcp_open.h, tcp_sack.h, tcp_tw.h.  Above: ip_in.c.
 */
#ifndef SLIRP_TCP_IN_H
#define SLIRP_TCP_IN_H

#include "slirp/payload.h"
#include "slirp/stack.h"
#include "slirp/wire/l4_wire.h"

/* seg is parsed and its checksum verified; payload: seg->len bytes; gso_size: payload bytes per segment of a super-frame, or 0. */
enum reason tcp_in_segment(struct stack *st, const struct tuple *t, const struct tcp_seg *seg, const struct payload *payload,
			   uint16_t gso_size, int64_t now);

#endif
