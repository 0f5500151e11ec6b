/* publisher.h - published ports at work: listeners in the loop, clients on their way to the guest.
 *
 * What it is: the owner of the registry of publish/publish.h: it watches the listeners, takes clients in as the registry allows, and
 * hands each to inbound.h; UDP ports it hands to udp_publish.h as they are.  Made by a door before there is a gateway, so that ports are bound first; a gateway that is given it (gateway.h)
 * drives it from then on.
 * What it is not: a grammar, a judge of clients, a connection toward the guest.
 * Below: loop.h, inbound.h, udp_publish.h, publish/.  Above: gateway.c (begin, end), gateway/doors (new, free, and the registry).
 */
#ifndef GATEWAY_PUBLISHER_H
#define GATEWAY_PUBLISHER_H

#include "publish/publish.h"

#include <glib.h>

struct gateway_config;
struct inbound;
struct journal;
struct loop;
struct publisher;
struct udp_publish;

/* journal may be NULL; it is kept by the caller. */
struct publisher *publisher_new(const struct journal *journal, GError **err);
/* Ends what is left of the ports.  The gateway must have gone.  NULL is a no-op. */
void publisher_free(struct publisher *p);

/* Where sets are bound, found, paused and removed.  They may be started as soon as a gateway drives it: publisher_start(). */
struct publish *publisher_registry(struct publisher *p);
/* Starts every set that has been bound and not started, and says what each listens on.  False: err names the one that could not; it is gone. */
bool publisher_start(struct publisher *p, GError **err);
/* Clients turned away by the registry, by reason. */
const struct reason_tally *publisher_refusals(const struct publisher *p);
/* Clients reset because this process was out of descriptors. */
uint64_t publisher_shed(const struct publisher *p);

/* By the gateway: from here on its loop is there; from the end on it is not, and no set is. */
void publisher_begin(struct publisher *p, struct loop *loop, struct inbound *in, struct udp_publish *udp, const struct gateway_config *cfg);
void publisher_end(struct publisher *p);

#endif
