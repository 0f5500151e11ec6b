/* guests.h - who is on a link whose guests are not configured (stack_config.any_guest).
 *
 * What it is: up to GUESTS_MAX addresses and the MACs they were last seen with, the least recently used giving way; and the DHCP leases of
 * up to GUESTS_LEASES MACs, from guest4 upwards, likewise.
 * What it is not: proof of identity: on such a link anybody may call itself what it likes, within the subnets.
 * Without any_guest there is one guest, of the configured MAC and addresses, and nothing is learned.
 * Cost: the last hit first, else a look at each of at most GUESTS_MAX entries.
 * Below: stack.h, eth_wire.  Above: stack.c, ip_in.c, ip_out.c, neigh.c, dhcp4.c.
 */
#ifndef SLIRP_GUESTS_H
#define SLIRP_GUESTS_H

#include "slirp/base/addr.h"
#include "slirp/wire/eth_wire.h"

#include <stdbool.h>
#include <stdint.h>

enum { GUESTS_MAX = 32, GUESTS_LEASES = 16 };

struct stack;

struct guests_entry {
	struct addr addr;
	struct mac mac;
	uint64_t used; /* 0: free */
};

struct guests {
	struct guests_entry e[GUESTS_MAX];
	struct guests_entry leases[GUESTS_LEASES]; /* the n-th address from guest4 on; addr is not used */
	unsigned in, out; /* last hits */
	uint64_t clock;	  /* counts uses */
	struct addr wanted; /* somebody was to be sent to who is not known; asked for at the next flush */
	bool wants;
};

/* A frame of this MAC came from addr, which may be a guest's. */
void guests_seen(struct stack *st, const struct addr *addr, const struct mac *mac);
/* Where a frame to addr goes: the guest, everybody in a group, or, when nobody knows, everybody. */
struct mac guests_mac(struct stack *st, const struct addr *addr);
/* The address that DHCP gives this MAC: asked (NULL: it asked for none), if that is free and in the range; else the one it had; else a free one;
 * never one that is the gateway's, a service's, the subnet's own or outside of it. */
struct addr guests_lease(struct stack *st, const struct mac *mac, const struct addr *asked);

/* The n-th lease, as it was saved or is to be; false, NULL: nobody has it. */
bool guests_lease_get(const struct stack *st, unsigned n, struct mac *ret);
void guests_lease_put(struct stack *st, unsigned n, const struct mac *mac);

/* The n-th entry known; false: there are no more. */
bool guests_nth(const struct stack *st, unsigned n, struct addr *addr, struct mac *mac);

#endif
