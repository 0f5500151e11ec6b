/* abi_app.c - a program that knows nothing of us but the installed header, with a poll() loop of its own: layouts, a ping of each address,
 * by timer_new alone and by timer_new_opaque alone.  Prints TAP. */
#define SLIRP_NO_DEPRECATED
#include <slirp/libslirp.h>

#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AT(type, member, off) _Static_assert(offsetof(type, member) == (off), #member)

AT(SlirpConfig, version, 0);
AT(SlirpConfig, restricted, 4);
AT(SlirpConfig, in_enabled, 8);
AT(SlirpConfig, vnetwork, 12);
AT(SlirpConfig, vnetmask, 16);
AT(SlirpConfig, vhost, 20);
AT(SlirpConfig, in6_enabled, 24);
AT(SlirpConfig, vprefix_addr6, 28);
AT(SlirpConfig, vprefix_len, 44);
AT(SlirpConfig, vhost6, 48);
AT(SlirpConfig, vhostname, 64);
AT(SlirpConfig, tftp_server_name, 72);
AT(SlirpConfig, tftp_path, 80);
AT(SlirpConfig, bootfile, 88);
AT(SlirpConfig, vdhcp_start, 96);
AT(SlirpConfig, vnameserver, 100);
AT(SlirpConfig, vnameserver6, 104);
AT(SlirpConfig, vdnssearch, 120);
AT(SlirpConfig, vdomainname, 128);
AT(SlirpConfig, if_mtu, 136);
AT(SlirpConfig, if_mru, 144);
AT(SlirpConfig, disable_host_loopback, 152);
AT(SlirpConfig, enable_emu, 153);
AT(SlirpConfig, outbound_addr, 160);
AT(SlirpConfig, outbound_addr6, 168);
AT(SlirpConfig, disable_dns, 176);
AT(SlirpConfig, disable_dhcp, 177);
AT(SlirpConfig, mfr_id, 180);
AT(SlirpConfig, oob_eth_addr, 184);
_Static_assert(sizeof(SlirpConfig) == 192, "SlirpConfig");
AT(SlirpCb, send_packet, 0);
AT(SlirpCb, guest_error, 8);
AT(SlirpCb, clock_get_ns, 16);
AT(SlirpCb, timer_new, 24);
AT(SlirpCb, timer_free, 32);
AT(SlirpCb, timer_mod, 40);
AT(SlirpCb, register_poll_fd, 48);
AT(SlirpCb, unregister_poll_fd, 56);
AT(SlirpCb, notify, 64);
AT(SlirpCb, init_completed, 72);
AT(SlirpCb, timer_new_opaque, 80);
AT(SlirpCb, register_poll_socket, 88);
AT(SlirpCb, unregister_poll_socket, 96);
_Static_assert(sizeof(SlirpCb) == 104, "SlirpCb");
_Static_assert(SLIRP_POLL_IN == 1 && SLIRP_POLL_OUT == 2 && SLIRP_POLL_PRI == 4 && SLIRP_POLL_ERR == 8 && SLIRP_POLL_HUP == 16, "poll");
_Static_assert(SLIRP_TIMER_RA == 0 && SLIRP_TIMER_NUM == 1 && SLIRP_HOSTFWD_UDP == 1 && SLIRP_HOSTFWD_V6ONLY == 2, "enums");
_Static_assert(SLIRP_CONFIG_VERSION_MIN == 1 && SLIRP_CONFIG_VERSION_MAX == 6 && SLIRP_CHECK_VERSION(4, 9, 0), "versions");

struct app {
	struct pollfd fds[8];
	int n_fds;
	Slirp *slirp;
	int replies;	    /* echo replies seen */
	int timers;	    /* armed */
	SlirpTimerCb timer; /* by timer_new */
	void *timer_arg;
};

static slirp_ssize_t app_send(const void *buf, size_t len, void *opaque)
{
	const unsigned char *p = buf;
	struct app *a = opaque;

	if (len >= 42 && p[12] == 8 && p[13] == 0 && p[23] == 1 && p[34] == 0)
		a->replies++;
	return (slirp_ssize_t)len;
}

static void app_error(const char *msg, void *opaque)
{
}

static int64_t app_clock(void *opaque)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void *app_timer_new(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
	struct app *a = opaque;

	a->timer = cb;
	a->timer_arg = cb_opaque;
	return a;
}

static void *app_timer_new_opaque(SlirpTimerId id, void *cb_opaque, void *opaque)
{
	return opaque;
}

static void app_timer_free(void *timer, void *opaque)
{
}

static void app_timer_mod(void *timer, int64_t at, void *opaque)
{
	((struct app *)opaque)->timers++;
}

static int app_add(int fd, int events, void *opaque)
{
	struct app *a = opaque;
	short e = (short)((events & SLIRP_POLL_IN ? POLLIN : 0) | (events & SLIRP_POLL_OUT ? POLLOUT : 0));

	if (a->n_fds == 8)
		return -1;
	a->fds[a->n_fds] = (struct pollfd){ .fd = fd, .events = e };
	return a->n_fds++;
}

static int app_revents(int idx, void *opaque)
{
	const struct app *a = opaque;

	return a->fds[idx].revents & POLLIN ? SLIRP_POLL_IN : 0;
}

static void app_once(struct app *a)
{
	uint32_t timeout = 20000; /* a deadline for the test, nothing waits for it */
	int n;

	a->n_fds = 0;
	slirp_pollfds_fill_socket(a->slirp, &timeout, app_add, a);
	n = poll(a->fds, (nfds_t)a->n_fds, (int)timeout);
	slirp_pollfds_poll(a->slirp, n < 0, app_revents, a);
}

static void app_ping(struct app *a, unsigned char last)
{
	unsigned char p[42] = { 0x52, 0x55, 10, 0, 2, 2, 0x52, 0x54, 0, 1, 2, 3, 8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0,
				10, 0, 2, 15, 10, 0, 2, last, 8, 0, 0, 0, 0, 1, 0, 1 };
	uint32_t sum = 0;

	for (int i = 14; i < 34; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
	p[24] = (unsigned char)(sum >> 8);
	p[25] = (unsigned char)sum;
	sum = ~(0x0800u + 1 + 1) & 0xffff;
	p[36] = (unsigned char)(sum >> 8);
	p[37] = (unsigned char)sum;
	slirp_input(a->slirp, p, sizeof(p));
}

static int run(int nth, const char *name, SlirpConfig *cfg, const SlirpCb *cb, int want_timer)
{
	struct app a = { 0 };
	int good;

	a.slirp = slirp_new(cfg, cb, &a);
	if (!a.slirp)
		return printf("not ok %d - %s: no Slirp\n", nth, name), 1;
	for (unsigned char last = 2; last <= 3; last++) {
		int before = a.replies;

		app_ping(&a, last);
		for (int turns = 0; a.replies == before && turns < 100; turns++)
			app_once(&a);
	}
	good = a.replies == 2 && a.timers == want_timer;
	slirp_cleanup(a.slirp);
	return printf("%s %d - %s: %d replies, %d timers\n", good ? "ok" : "not ok", nth, name, a.replies, a.timers), !good;
}

int main(void)
{
	SlirpConfig cfg = { .version = 1, .in_enabled = true, .in6_enabled = true, .vprefix_len = 64 };
	SlirpCb cb = { .send_packet = app_send, .guest_error = app_error, .clock_get_ns = app_clock, .timer_new = app_timer_new,
		       .timer_free = app_timer_free, .timer_mod = app_timer_mod };
	int bad = 0;

	inet_aton("10.0.2.0", &cfg.vnetwork);
	inet_aton("255.255.255.0", &cfg.vnetmask);
	inet_aton("10.0.2.2", &cfg.vhost);
	inet_aton("10.0.2.15", &cfg.vdhcp_start);
	inet_aton("10.0.2.3", &cfg.vnameserver);
	inet_pton(AF_INET6, "fd00::", &cfg.vprefix_addr6);
	inet_pton(AF_INET6, "fd00::2", &cfg.vhost6);
	printf("1..4\n");
	bad += run(1, "version 1, timer_new", &cfg, &cb, 1);
	cfg.version = 6;
	bad += run(2, "version 6, timer_new", &cfg, &cb, 1);
	cb.timer_new = NULL;
	cb.timer_new_opaque = app_timer_new_opaque;
	cfg.version = 4;
	bad += run(3, "version 4, timer_new_opaque", &cfg, &cb, 1);
	cfg.in6_enabled = false;
	bad += run(4, "no IPv6: no timer", &cfg, &cb, 0);
	return bad != 0;
}
