/* ncsi.h - the network controller that a management controller (BMC) finds on its sideband link.
 *
 * What it is: one answer for every command of DMTF DSP0222: the link is up, everything is supported, whatever is set is accepted, all
 * counters are 0.  Every package and channel that is asked answers.  Of the commands of manufacturers one: the address that NVIDIA
 * (Mellanox) controllers tell, when the configuration says that we are one.
 * What it is not: a filter: frames pass whatever was set; there are no notifications, and no state.
 * A controller may speak before it has an address: commands are answered whatever MACs they carry, if stack_config.ncsi.on.
 * Below: ncsi_wire.h.  Above: stack.c.
 */
#ifndef SLIRP_NCSI_H
#define SLIRP_NCSI_H

#include "slirp/base/reason.h"

#include <stdint.h>

struct stack;

/* p: behind the Ethernet header. */
enum reason ncsi_in(struct stack *st, const uint8_t *p, uint32_t len);

#endif
