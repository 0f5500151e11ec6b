/* stage.h - the upstream that is no descriptor: functions of an application.
 *
 * What it is: upstream_ops over a write function, which takes everything, and a ring of bytes for the guest, the only payload buffer there is.
 * What it is not: a socket, an owner of the flow.
 * Below: slirp/upstream.h.  Above: guestfwd.c.  D3.
 */
#ifndef GATEWAY_STAGE_H
#define GATEWAY_STAGE_H

#include "slirp/upstream.h"

#include <stdbool.h>
#include <stdint.h>

enum { STAGE_SIZE = 131072 }; /* what a state that another implementation has saved may bring */

struct stage {
	struct upstream up;
	/* Bytes of the guest, NULL: they are lost; called from inside the core: it must not call back into it.  What it returns does not matter. */
	ssize_t (*write)(const void *buf, size_t len, void *arg);
	void *write_arg;
	/* The ring has become less than half full; from inside the core, too.  May be NULL. */
	void (*drained)(void *arg);
	void *drained_arg;
	uint32_t head, used; /* of the ring */
	bool eof;	     /* behind the ring's bytes stands the end */
	uint8_t ring[STAGE_SIZE];
};

/* Sets the calls; the rest is zeroed memory or in use. */
void stage_init(struct stage *s);
/* Bytes that stage_push() takes now; none while the ring is half full. */
uint32_t stage_room(const struct stage *s);
/* Bytes for the guest; the connection is to be touched.  False: more than the ring holds, none were taken. */
bool stage_push(struct stage *s, const uint8_t *buf, uint32_t len);
/* What waits for the guest, at most max bytes of it; it stays.  Returns how many. */
uint32_t stage_copy(const struct stage *s, uint8_t *buf, uint32_t max);

#endif
