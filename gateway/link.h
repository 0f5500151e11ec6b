/* link.h - what carries frames between the guest and the core.
 *
 * What it is: a small const table of calls and a statement of what the link can carry.
 * What it is not: an owner of protocol knowledge; it neither looks into frames nor keeps them.
 * Below: slirp/stack.h (struct frame, struct tx_slot).  Above: loop.c (rx), gateway.c (tx), doors (make one and hand it over).
 */
#ifndef GATEWAY_LINK_H
#define GATEWAY_LINK_H

#include "slirp/stack.h"

#include <stdbool.h>
#include <stdint.h>

struct link;

struct link_ops {
	/* Reads at most `budget` frames and gives each to stack_input().  Their memory stays valid until rx_done().  Returns the number
	 * of frames, *more = true when there may be others waiting; or -errno when the link is finished (-ENODEV, -EPIPE, ...). */
	int (*rx)(struct link *l, struct stack *st, unsigned budget, int64_t now, bool *more);
	/* stack_flush() has returned: frames handed out by rx() are free again. */
	void (*rx_done)(struct link *l);
	/* As stack_host.tx_get and tx_put. */
	bool (*tx_get)(struct link *l, struct tx_slot *slot, uint32_t head_len, uint32_t payload_len, uint32_t mss);
	void (*tx_put)(struct link *l, struct tx_slot *slot, const struct frame_meta *meta, uint32_t used);
	/* Sends what tx_put() has gathered, if this link gathers.  True when a link that was full has room again. */
	bool (*tx_flush)(struct link *l);
	void (*free)(struct link *l);
};

struct link {
	const struct link_ops *ops;
	int fd;			/* readable when rx() has work; level-triggered */
	struct stack_link caps; /* what the core must know */
	uint64_t tx_lost;	/* frames the kernel did not take; the guest's TCP gets them again */
};

static inline void link_free(struct link *l)
{
	if (l)
		l->ops->free(l);
}

#endif
