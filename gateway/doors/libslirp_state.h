/* libslirp_state.h - the inside of Slirp, for the files of this door.
 *
 * prefixes: libslirp_
 * Below: gateway.h, link_callback.h, loop.h.  Above: libslirp*.c.
 */
#ifndef GATEWAY_DOORS_LIBSLIRP_STATE_H
#define GATEWAY_DOORS_LIBSLIRP_STATE_H

#include "gateway/doors/include/slirp/libslirp.h"
#include "gateway/gateway.h"
#include "gateway/link_callback.h"
#include "gateway/loop.h"

#define LIBSLIRP_DOMAIN "Slirp" /* of log lines, as applications filter them */

struct Slirp {
	const SlirpCb *cb; /* the application's; read as far as version says */
	void *opaque;
	uint32_t version; /* of the config */
	struct gateway_config cfg;
	struct gateway *gw;
	struct loop *loop; /* gw's */
	struct link *link; /* gw's */
	struct publisher *ports; /* forwarded to the guest */
	unsigned inputs; /* frames since the last slirp_pollfds_poll() */
	bool calm;	 /* they were few in the round before */
	void *ra_timer;	   /* NULL: none */
	int64_t clock_last, clock_shift; /* microseconds: ours never goes backwards, the application's may (a state is loaded) */
};

/* ---- libslirp_config.c */

/* What the config says, as far as its version goes.  False: it is refused, and a message has said why. */
bool libslirp_config(struct Slirp *s, const SlirpConfig *cfg);

/* ---- libslirp_cb.c: callbacks by version; those that are optional and missing do nothing */

int64_t libslirp_cb_now(void *arg);    /* loop_clock.now */
ssize_t libslirp_cb_send(void *arg, const void *frame, size_t len); /* link_callback_new() */
void libslirp_cb_notify(void *arg);
void libslirp_cb_init_completed(struct Slirp *s);
void libslirp_cb_register(struct Slirp *s, int fd);
void libslirp_cb_unregister(struct Slirp *s, int fd);
/* The timer of the router advertisements, set for the first time. */
void libslirp_cb_ra_start(struct Slirp *s);
void libslirp_cb_ra_stop(struct Slirp *s);
/* Advertises and sets the timer again. */
void libslirp_cb_ra(struct Slirp *s);

/* ---- libslirp_debug.c */

/* Reads SLIRP_DEBUG, once per process. */
void libslirp_debug_init(void);
/* A line for G_MESSAGES_DEBUG=Slirp, if any of the SLIRP_DBG_ bits is wanted. */
void libslirp_debug(unsigned bits, const char *format, ...) G_GNUC_PRINTF(2, 3);

#endif
