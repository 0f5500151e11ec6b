/* ip_frag.h - the guest's IP fragments, collected until their packet is whole.
 *
 * What it is: a bounded table of unfinished packets, found by addresses, identification and (IPv4) protocol, ended in order of age.
 * What it refuses: an empty or misaligned piece, an end beyond the largest packet, a first piece without the packet's headers
 * (RFC 7112), pieces that overlap or contradict each other: then the whole packet is refused until its time is over, pieces that are
 * still to come included (RFC 5722, applied to IPv4 too).  A piece that repeats another byte for byte is left out.
 * What it is not: a judge of the packet; a finished one goes through ip_in() like any other, its L4 checksum summed in software.
 * Memory: pieces are copied, because the link's frames end with the turn; caps and times are rows of stack_tunable.h.
 * Below: ip_wire, payload.h.  Above: ip_in.c; stack.c (deadline, expiry, flush).  RFC 791 3.2, 815, 8200 4.5, 5722, 6980, 7112.
 */
#ifndef SLIRP_IP_FRAG_H
#define SLIRP_IP_FRAG_H

#include "slirp/base/htab.h"
#include "slirp/base/list.h"
#include "slirp/payload.h"
#include "slirp/stack.h"
#include "slirp/wire/ip_wire.h"

#include <stdbool.h>
#include <stdint.h>

struct ip_frag {
	const struct stack_config *cfg; /* key and tunables */
	struct reason_tally *drops;
	struct htab sets;	/* unfinished packets by key */
	struct list order[2];	/* the same, IPv4 and IPv6, the oldest first */
	struct list done;	/* whole packets, kept until the flush */
	uint64_t bytes;		/* held by sets, their own size included */
};

/* False: no memory.  cfg and drops must outlive t; what is given up (EVICTED, TIMEOUT) is counted in drops. */
bool ip_frag_init(struct ip_frag *t, const struct stack_config *cfg, struct reason_tally *drops);
void ip_frag_clear(struct ip_frag *t); /* harmless on a zeroed struct */

/* One fragment of the guest: ip.is_fragment is true, data is what stands behind its headers.  R_ACCEPTED: kept, and if the packet
 * is whole now, *ret is a frame with it (the Ethernet header is zero, the IP header has no options and is no fragment's), valid until
 * ip_frag_flushed(); else ret->head is NULL. */
enum reason ip_frag_add(struct ip_frag *t, const struct ip *ip, const struct payload *data, int64_t now, struct frame *ret);

void ip_frag_flushed(struct ip_frag *t);		/* the turn is over: frees whole packets */
int64_t ip_frag_deadline(const struct ip_frag *t);	/* of the oldest set; TIMERQ_NEVER: there is none */

/* A packet that was given up, though its first fragment had come. */
struct ip_frag_late {
	struct ip ip; /* of that fragment */
	uint8_t l4[8]; /* its first bytes */
};

/* Gives up what is too old.  True: *ret is one of them that its sender is to be told about, and there may be more: call again. */
bool ip_frag_expire(struct ip_frag *t, int64_t now, struct ip_frag_late *ret);

#endif
