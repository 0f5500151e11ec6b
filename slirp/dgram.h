/* dgram.h - UDP between the guest and the host's datagram service.  RFC 768.
 *
 * Below: ip_out.h, l4_wire.  Above: ip_in.c; stack_dgram() of stack.h stands in dgram.c too.
 *
 * prefixes: dgram_ stack_dgram_
 */
#ifndef SLIRP_DGRAM_H
#define SLIRP_DGRAM_H

#include "slirp/payload.h"
#include "slirp/stack.h"

/* l4: UDP header and payload, lengths and checksum verified. */
enum reason dgram_in(struct stack *st, const struct tuple *t, const struct payload *l4, int64_t now);

#endif
