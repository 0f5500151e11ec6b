/* libslirp_cb.c - what the application does for us.  See libslirp_state.h.
 *
 * A config of version 1 to 3 comes with callbacks up to notify, 4 and 5 up to timer_new_opaque, 6 with all; nothing behind is read.
 */
#include "gateway/doors/libslirp_state.h"

#include <sys/random.h>

enum {
	CB_RA_MIN_MS = 200000, /* between two router advertisements */
	CB_RA_SPREAD_MS = 400000,
	CB_OPAQUE_TIMERS = 4, /* config versions since which there is what the names say */
	CB_SOCKETS = 6,
};

int64_t libslirp_cb_now(void *arg)
{
	struct Slirp *s = arg;
	int64_t now = s->cb->clock_get_ns(s->opaque) / 1000 + s->clock_shift;

	if (now < s->clock_last) {
		s->clock_shift += s->clock_last - now;
		now = s->clock_last;
	}
	s->clock_last = now;
	return now;
}

ssize_t libslirp_cb_send(void *arg, const void *frame, size_t len)
{
	struct Slirp *s = arg;

	return s->cb->send_packet(frame, len, s->opaque);
}

void libslirp_cb_notify(void *arg)
{
	struct Slirp *s = arg;

	if (s->cb->notify)
		s->cb->notify(s->opaque);
}

void libslirp_cb_init_completed(struct Slirp *s)
{
	if (s->version >= CB_OPAQUE_TIMERS && s->cb->init_completed)
		s->cb->init_completed(s, s->opaque);
}

void libslirp_cb_register(struct Slirp *s, int fd)
{
	if (s->version >= CB_SOCKETS && s->cb->register_poll_socket)
		s->cb->register_poll_socket(fd, s->opaque);
	else if (s->cb->register_poll_fd)
		s->cb->register_poll_fd(fd, s->opaque);
}

void libslirp_cb_unregister(struct Slirp *s, int fd)
{
	if (s->version >= CB_SOCKETS && s->cb->unregister_poll_socket)
		s->cb->unregister_poll_socket(fd, s->opaque);
	else if (s->cb->unregister_poll_fd)
		s->cb->unregister_poll_fd(fd, s->opaque);
}

/* ---- router advertisements */

static void cb_ra_arm(struct Slirp *s)
{
	uint32_t chance = 0;

	if (!s->ra_timer || !s->cb->timer_mod)
		return;
	if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) < 0)
		chance = 0; /* then all of them come at the same distance */
	s->cb->timer_mod(s->ra_timer, s->cb->clock_get_ns(s->opaque) / 1000000 + CB_RA_MIN_MS + chance % CB_RA_SPREAD_MS, s->opaque);
}

static void cb_ra_expired(void *arg)
{
	libslirp_cb_ra(arg);
}

void libslirp_cb_ra_start(struct Slirp *s)
{
	if (!s->cfg.v6)
		return;
	if (s->version >= CB_OPAQUE_TIMERS && s->cb->timer_new_opaque)
		s->ra_timer = s->cb->timer_new_opaque(SLIRP_TIMER_RA, s, s->opaque);
	else if (s->cb->timer_new)
		s->ra_timer = s->cb->timer_new(cb_ra_expired, s, s->opaque);
	cb_ra_arm(s);
}

void libslirp_cb_ra_stop(struct Slirp *s)
{
	if (s->ra_timer && s->cb->timer_free)
		s->cb->timer_free(s->ra_timer, s->opaque);
	s->ra_timer = NULL;
}

void libslirp_cb_ra(struct Slirp *s)
{
	stack_advertise(gateway_stack(s->gw));
	loop_kick(s->loop);
	cb_ra_arm(s);
}
