/* dgram.h - UDP between the guest and the host's datagram service.  RFC 768, RFC 1812 5.3.1, RFC 4443 3.3.
 *
 * Below: ip_out.h, l4_wire.  Above: ip_in.c; stack_dgram() and stack_dgram_error() of stack.h stand in dgram.c too.
 *
 * prefixes: dgram_ stack_dgram_
 */
#ifndef SLIRP_DGRAM_H
#define SLIRP_DGRAM_H

#include "slirp/payload.h"
#include "slirp/stack.h"

/* l4: UDP header and payload, lengths and checksum verified. */
enum reason dgram_in(struct stack *st, const struct tuple *t, const struct dgram_meta *m, const struct payload *l4, int64_t now);

#endif
