/* preface.h - an upstream with a few bytes of ours in front of it.
 *
 * What it is: what the guest reads first (a PROXY protocol header), then everything of another upstream.  The other direction is the other's.
 * What it is not: a buffer for payload: it holds what it was made with, and nothing more comes.
 * Below: slirp/upstream.h.  Above: inbound.c.
 */
#ifndef GATEWAY_PREFACE_H
#define GATEWAY_PREFACE_H

#include "slirp/upstream.h"

enum { PREFACE_MAX = 107 };

struct preface {
	struct upstream up;
	struct upstream *below;
	uint8_t bytes[PREFACE_MAX];
	uint8_t len, taken; /* consumed */
};

/* below must live as long as p. */
void preface_init(struct preface *p, struct upstream *below, const uint8_t *bytes, uint8_t len);

#endif
