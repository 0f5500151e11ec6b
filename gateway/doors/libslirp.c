/* libslirp.c - libslirp.so.0: life, loop and frames of the library interface.
 *
 * What it is: the door for programs that were built for libslirp (QEMU, slirp4netns and others).  The application drives the loop: it waits
 * for our one descriptor and our deadline, and every turn happens inside slirp_pollfds_poll() or slirp_input(): there when frames are few, so
 * that a request need not wait for a round of the application's loop, and when they are more than the link keeps.  In between they gather.
 * What it is not: a process.  No thread, signal, descriptor limit or file descriptor of the application is touched; two instances share
 * nothing but the debug flags.
 * prefixes: slirp_
 * Below: libslirp_*.c, gateway/.  Above: somebody else's program.
 */
#include "gateway/doors/libslirp_state.h"

#include "gateway/publisher.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

enum {
	FRAME_MIN = 14,
	CALM_INPUTS = 2, /* frames in a round of the application's loop, after which the first of the next is served at once */
};

/* ---- life */

static void libslirp_free(struct Slirp *s)
{
	gateway_free(s->gw);
	publisher_free(s->ports);
	g_free(s);
}

static bool libslirp_make(struct Slirp *s)
{
	g_autoptr(GError) err = NULL;

	s->ports = s->cfg.publisher = publisher_new(NULL, &err);
	if (s->ports)
		s->link = link_callback_new(s->cfg.mtu, libslirp_cb_send, s);
	if (s->link)
		s->loop = loop_new_driven(&(struct loop_clock){ libslirp_cb_now, s }, libslirp_cb_notify, s, &err);
	if (s->loop)
		s->gw = gateway_new_on(&s->cfg, s->link, s->loop, &err);
	else
		link_free(s->link);
	if (!s->gw)
		g_log(LIBSLIRP_DOMAIN, G_LOG_LEVEL_CRITICAL, "slirp_new: %s", err ? err->message : "out of memory");
	return s->gw != NULL;
}

Slirp *slirp_new(const SlirpConfig *cfg, const SlirpCb *callbacks, void *opaque)
{
	struct Slirp *s = g_try_new0(struct Slirp, 1);

	libslirp_debug_init();
	if (!s)
		return NULL;
	s->cb = callbacks;
	s->opaque = opaque;
	if (!libslirp_config(s, cfg) || !libslirp_make(s)) {
		libslirp_free(s);
		return NULL;
	}
	libslirp_debug(SLIRP_DBG_CALL, "slirp_new: version %u", s->version);
	libslirp_cb_init_completed(s);
	libslirp_cb_register(s, loop_fd(s->loop));
	libslirp_cb_ra_start(s);
	return s;
}

Slirp *slirp_init(int restricted, bool in_enabled, struct in_addr vnetwork, struct in_addr vnetmask, struct in_addr vhost, bool in6_enabled,
		  struct in6_addr vprefix_addr6, uint8_t vprefix_len, struct in6_addr vhost6, const char *vhostname,
		  const char *tftp_server_name, const char *tftp_path, const char *bootfile, struct in_addr vdhcp_start,
		  struct in_addr vnameserver, struct in6_addr vnameserver6, const char **vdnssearch, const char *vdomainname,
		  const SlirpCb *callbacks, void *opaque)
{
	SlirpConfig cfg = {
		.version = 1,
		.restricted = restricted,
		.in_enabled = in_enabled,
		.vnetwork = vnetwork,
		.vnetmask = vnetmask,
		.vhost = vhost,
		.in6_enabled = in6_enabled,
		.vprefix_addr6 = vprefix_addr6,
		.vprefix_len = vprefix_len,
		.vhost6 = vhost6,
		.vhostname = vhostname,
		.tftp_server_name = tftp_server_name,
		.tftp_path = tftp_path,
		.bootfile = bootfile,
		.vdhcp_start = vdhcp_start,
		.vnameserver = vnameserver,
		.vnameserver6 = vnameserver6,
		.vdnssearch = vdnssearch,
		.vdomainname = vdomainname,
	};

	return slirp_new(&cfg, callbacks, opaque);
}

void slirp_cleanup(Slirp *slirp)
{
	if (!slirp)
		return;
	libslirp_debug(SLIRP_DBG_CALL, "slirp_cleanup");
	libslirp_cb_ra_stop(slirp);
	libslirp_cb_unregister(slirp, loop_fd(slirp->loop));
	libslirp_free(slirp);
}

const char *slirp_version_string(void)
{
	return SLIRP_VERSION_STRING;
}

/* ---- loop */

void slirp_pollfds_fill_socket(Slirp *slirp, uint32_t *timeout, SlirpAddPollSocketCb add_poll, void *opaque)
{
	int64_t due = loop_due(slirp->loop), wait;

	libslirp_debug(SLIRP_DBG_VERBOSE_CALL, "slirp_pollfds_fill");
	add_poll(loop_fd(slirp->loop), SLIRP_POLL_IN, opaque);
	if (due == TIMERQ_NEVER)
		return;
	wait = due ? (due - loop_now(slirp->loop) + 999) / 1000 : 0;
	*timeout = (uint32_t)CLAMP(wait, 0, (int64_t)*timeout);
}

void slirp_pollfds_fill(Slirp *slirp, uint32_t *timeout, SlirpAddPollCb add_poll, void *opaque)
{
	slirp_pollfds_fill_socket(slirp, timeout, add_poll, opaque);
}

/* What the application saw is not asked for: our own set knows, also when its poll() failed. */
void slirp_pollfds_poll(Slirp *slirp, int select_error, SlirpGetREventsCb get_revents, void *opaque)
{
	(void)select_error;
	(void)get_revents;
	(void)opaque;
	libslirp_debug(SLIRP_DBG_VERBOSE_CALL, "slirp_pollfds_poll");
	slirp->calm = slirp->inputs <= CALM_INPUTS;
	slirp->inputs = 0;
	loop_run(slirp->loop);
}

/* ---- frames */

void slirp_input(Slirp *slirp, const uint8_t *pkt, int pkt_len)
{
	if (pkt_len < FRAME_MIN)
		return;
	if (!link_callback_input(slirp->link, pkt, (uint32_t)pkt_len)) {
		loop_run(slirp->loop); /* which empties the link, unless it is the one that calls us */
		if (!link_callback_input(slirp->link, pkt, (uint32_t)pkt_len)) {
			gateway_count(slirp->gw, R_INPUT_FULL);
			return;
		}
	}
	if (!slirp->inputs++ && slirp->calm)
		loop_link_now(slirp->loop);
	else
		loop_link_ready(slirp->loop);
}

void slirp_handle_timer(Slirp *slirp, SlirpTimerId id, void *cb_opaque)
{
	(void)cb_opaque;
	libslirp_debug(SLIRP_DBG_CALL, "slirp_handle_timer: %u", (unsigned)id);
	if (id == SLIRP_TIMER_RA)
		libslirp_cb_ra(slirp);
}
