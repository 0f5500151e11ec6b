/* libslirp_test.c - the library as an application uses it: life, loop, frames. */
#include "tests/unit/gateway/doors/libslirp_app.h"

/* ---- life */

static void refused(const SlirpConfig *cfg)
{
	struct app a;

	app_init(&a);
	g_test_expect_message("Slirp", G_LOG_LEVEL_CRITICAL, "slirp_new:*");
	g_assert_null(slirp_new(cfg, &a.cb, &a));
	g_test_assert_expected_messages();
}

static void config_limits(void)
{
	struct app a;
	char name[129];

	memset(name, 'b', 128);
	name[128] = '\0';
	refused(NULL);
	app_init(&a);
	a.cfg.version = 0;
	refused(&a.cfg);
	a.cfg.version = 7;
	refused(&a.cfg);
	a.cfg.version = 1;
	a.cfg.if_mtu = 67;
	refused(&a.cfg);
	a.cfg.if_mtu = 65522;
	refused(&a.cfg);
	a.cfg.if_mtu = 0;
	a.cfg.if_mru = 67;
	refused(&a.cfg);
	a.cfg.if_mru = 0;
	a.cfg.bootfile = name;
	refused(&a.cfg);
	name[127] = '\0';
	app_open(&a);
	slirp_cleanup(a.slirp);
	slirp_cleanup(NULL);
}

/* Version 1: the callbacks end with notify, the config with enable_emu; the rest may be anything. */
static void version_1(void)
{
	struct app a;

	app_init(&a);
	memset((char *)&a.cfg + offsetof(SlirpConfig, outbound_addr), 0xa5, sizeof(a.cfg) - offsetof(SlirpConfig, outbound_addr));
	memset((char *)&a.cb + offsetof(SlirpCb, init_completed), 0xa5, sizeof(a.cb) - offsetof(SlirpCb, init_completed));
	app_open(&a);
	g_assert_cmpuint(a.registered, ==, 1);
	g_assert_true(a.timer_cb);
	g_assert_cmpint(a.timer_at, >=, 1000 + 200000);
	g_assert_cmpint(a.timer_at, <, 1000 + 600000);
	a.now_ns = a.timer_at * 1000000;
	a.timer_cb(a.timer_arg);
	g_assert_cmpint(a.timer_at, >=, a.now_ns / 1000000 + 200000);
	app_settle(&a);
	g_assert_cmpuint(a.n_out, ==, 1);
	g_assert_cmpuint(a.out[0].b[54], ==, ICMP6_ROUTER_ADVERT);
	slirp_cleanup(a.slirp);
	g_assert_cmpuint(a.unregistered, ==, 1);
	g_assert_cmpuint(a.timers_freed, ==, 1);
}

/* Version 4 as QEMU fills it in: timer_new_opaque only, told of us before it is called. */
static void version_4(void)
{
	struct app a;

	app_init(&a);
	a.cfg.version = 4;
	a.cb.timer_new = NULL;
	a.cb.init_completed = app_completed;
	a.cb.timer_new_opaque = app_timer_new_opaque;
	memset((char *)&a.cfg + offsetof(SlirpConfig, mfr_id), 0xa5, sizeof(a.cfg) - offsetof(SlirpConfig, mfr_id));
	memset((char *)&a.cb + offsetof(SlirpCb, register_poll_socket), 0xa5, sizeof(a.cb) - offsetof(SlirpCb, register_poll_socket));
	app_open(&a);
	g_assert_cmpuint(a.completed, ==, 1);
	slirp_handle_timer(a.slirp, SLIRP_TIMER_NUM, a.timer_arg); /* there is none */
	app_settle(&a);
	g_assert_cmpuint(a.n_out, ==, 0);
	slirp_handle_timer(a.slirp, SLIRP_TIMER_RA, a.timer_arg);
	app_settle(&a);
	g_assert_cmpuint(a.n_out, ==, 1);
	slirp_cleanup(a.slirp);
}

/* Version 6 without anything that is optional. */
static void version_6_bare(void)
{
	struct app a;

	app_init(&a);
	a.cfg.version = 6;
	a.cb = (SlirpCb){ .send_packet = app_send, .clock_get_ns = app_clock };
	app_open(&a);
	app_ping(&a, "10.0.2.15", "10.0.2.2", 1);
	app_settle(&a);
	g_assert_cmpint(app_icmp_type(&a, 0), ==, ICMP4_ECHO_REPLY);
	slirp_cleanup(a.slirp);
}

static void version_6_sockets(void)
{
	struct app a;

	app_init(&a);
	a.cfg.version = 6;
	a.cb.register_poll_fd = NULL;
	a.cb.register_poll_socket = app_register;
	a.cb.unregister_poll_socket = app_unregister;
	app_open(&a);
	slirp_cleanup(a.slirp);
	g_assert_cmpuint(a.registered, ==, 1);
	g_assert_cmpuint(a.unregistered, ==, 1);
}

static void version_text(void)
{
	g_assert_true(g_str_has_prefix(slirp_version_string(), "4.9."));
	g_assert_true(SLIRP_CHECK_VERSION(4, 9, 5) && SLIRP_CHECK_VERSION(4, 8, 9) && SLIRP_CHECK_VERSION(3, 10, 10));
	g_assert_false(SLIRP_CHECK_VERSION(4, 9, 6) || SLIRP_CHECK_VERSION(4, 10, 0) || SLIRP_CHECK_VERSION(5, 0, 0));
	g_assert_cmpint(slirp_state_version(), ==, 4);
}

/* ---- loop */

/* Nothing to do: nothing to wake for, and a timeout that is shorter already stays. */
static void idle(void)
{
	struct app a;
	uint32_t timeout = 7;

	app_init(&a);
	app_open(&a);
	app_settle(&a);
	g_assert_cmpuint(a.timeout, ==, UINT32_MAX);
	slirp_pollfds_fill_socket(a.slirp, &timeout, app_add_poll, &a);
	g_assert_cmpuint(timeout, ==, 7);
	slirp_pollfds_poll(a.slirp, 1, NULL, NULL); /* without a fill before it, too */
	slirp_pollfds_poll(a.slirp, 1, NULL, NULL);
	slirp_cleanup(a.slirp);
}

/* More frames than a calm round has. */
static void app_hurry(struct app *a)
{
	app_settle(a);
	a->n_out = 0;
	for (int i = 0; i < 4; i++)
		app_ping(a, "10.0.2.15", "10.0.2.2", 100 + i);
	slirp_pollfds_poll(a->slirp, 0, NULL, NULL);
	g_assert_cmpuint(a->n_out, ==, 4);
	a->n_out = a->notified = 0;
}

/* Where frames are few the first of a round is answered from inside slirp_input(), those behind it gather; where they are many all do. */
static void input_at_once(void)
{
	struct app a;

	app_init(&a);
	app_open(&a);
	app_hurry(&a);
	app_ping(&a, "10.0.2.15", "10.0.2.2", 1);
	g_assert_cmpuint(a.n_out, ==, 0);
	slirp_pollfds_poll(a.slirp, 0, NULL, NULL);
	g_assert_cmpuint(a.n_out, ==, 1);
	app_ping(&a, "10.0.2.15", "10.0.2.2", 2);
	g_assert_cmpuint(a.n_out, ==, 2);
	app_ping(&a, "10.0.2.15", "10.0.2.2", 3);
	g_assert_cmpuint(a.n_out, ==, 2);
	app_fill(&a);
	g_assert_cmpuint(a.timeout, ==, 0);
	slirp_pollfds_poll(a.slirp, 0, NULL, NULL);
	g_assert_cmpuint(a.n_out, ==, 3);
	app_fill(&a); /* the application sleeps: no notification for a frame that is answered already */
	app_ping(&a, "10.0.2.15", "10.0.2.2", 4);
	g_assert_cmpuint(a.n_out, ==, 4);
	g_assert_cmpuint(a.notified, ==, 0);
	slirp_cleanup(a.slirp);
}

/* A frame that comes while the application is about to sleep, or asleep, ends its sleep; one that comes before is seen by the fill. */
static void input_wakes(void)
{
	struct app a;

	app_init(&a);
	app_open(&a);
	app_hurry(&a);
	app_ping(&a, "10.0.2.15", "10.0.2.2", 1);
	g_assert_cmpuint(a.notified, ==, 0);
	app_fill(&a);
	g_assert_cmpuint(a.timeout, ==, 0);
	slirp_pollfds_poll(a.slirp, 0, NULL, NULL);
	g_assert_cmpuint(a.n_out, ==, 1);

	app_hurry(&a);
	app_fill(&a);
	g_assert_cmpuint(a.timeout, ==, UINT32_MAX);
	a.n_out = 1;
	app_ping(&a, "10.0.2.15", "10.0.2.2", 2);
	app_ping(&a, "10.0.2.15", "10.0.2.2", 3);
	g_assert_true(app_readable(&a));
	g_assert_cmpuint(a.notified, ==, 1);
	slirp_pollfds_poll(a.slirp, 1, NULL, NULL); /* served although its poll() failed */
	g_assert_cmpuint(a.n_out, ==, 3);
	slirp_cleanup(a.slirp);
}

/* UDP goes idle after 240 s of the application's clock; milliseconds are rounded up. */
static void deadline(void)
{
	struct app a;
	struct gateway_stats st;

	app_init(&a);
	app_open(&a);
	app_udp(&a, "10.0.2.15", 4000, "10.0.2.2", 9, "x", 1);
	app_settle(&a);
	g_assert_cmpuint(a.timeout, >, 239000);
	g_assert_cmpuint(a.timeout, <=, 240000);
	a.now_ns += (int64_t)a.timeout * 1000000 - 1500000;
	app_settle(&a);
	g_assert_cmpuint(a.timeout, ==, 2);
	gateway_stats(a.slirp->gw, &st);
	g_assert_cmpuint(st.udp_sessions_now, ==, 1);
	a.now_ns += 2000000;
	app_fill(&a);
	g_assert_cmpuint(a.timeout, ==, 0);
	app_settle(&a);
	gateway_stats(a.slirp->gw, &st);
	g_assert_cmpuint(st.udp_sessions_now, ==, 0);
	g_assert_cmpuint(a.timeout, ==, UINT32_MAX);
	slirp_cleanup(a.slirp);
}

/* A state that is loaded may turn the application's clock back: ours stands still instead. */
static void clock_back(void)
{
	struct app a;

	app_init(&a);
	app_open(&a);
	app_udp(&a, "10.0.2.15", 4000, "10.0.2.2", 9, "x", 1);
	app_settle(&a);
	a.now_ns = 5;
	app_settle(&a);
	g_assert_cmpuint(a.timeout, >, 239000);
	g_assert_cmpuint(a.timeout, <=, 240000);
	slirp_cleanup(a.slirp);
}

/* ---- frames */

static void many_frames(void)
{
	struct app a;

	app_init(&a);
	app_open(&a);
	for (uint16_t i = 0; i < 200; i++) /* more than are kept: a turn runs in between */
		app_ping(&a, "10.0.2.15", "10.0.2.2", i);
	app_settle(&a);
	g_assert_cmpuint(a.n_out, ==, 200);
	for (uint16_t i = 0; i < 200; i++) {
		g_assert_cmpint(app_icmp_type(&a, i), ==, ICMP4_ECHO_REPLY);
		g_assert_cmpuint(a.out[i].b[41], ==, (uint8_t)i);
	}
	slirp_input(a.slirp, a.out[0].b, 13); /* shorter than a header */
	slirp_input(a.slirp, a.out[0].b, -1);
	app_settle(&a);
	slirp_cleanup(a.slirp);
}

static void flood_inside(struct app *a)
{
	a->reenter = NULL;
	slirp_pollfds_poll(a->slirp, 0, NULL, NULL); /* nothing happens */
	for (uint16_t i = 0; i < 100; i++)
		app_ping(a, "10.0.2.15", "10.0.2.2", i);
}

/* The application hands frames in from inside send_packet: they wait for the next turn, and what finds no room is counted. */
static void reentrant(void)
{
	struct gateway_stats st;
	struct app a;

	app_init(&a);
	app_open(&a);
	a.reenter = flood_inside;
	app_ping(&a, "10.0.2.15", "10.0.2.2", 1000);
	app_settle(&a);
	gateway_stats(a.slirp->gw, &st);
	g_assert_cmpuint(a.n_out, ==, 1 + 63); /* one place of the 64 held the frame at hand */
	g_assert_cmpuint(st.drops.n[R_INPUT_FULL], ==, 37);
	slirp_cleanup(a.slirp);
}

/* Two in one process: same addresses, no acquaintance. */
static void two(void)
{
	struct app a, b;

	app_init(&a);
	app_init(&b);
	app_open(&a);
	app_open(&b);
	b.now_ns = 77;
	app_ping(&a, "10.0.2.15", "10.0.2.2", 1);
	app_settle(&b);
	g_assert_cmpuint(b.n_out, ==, 0);
	app_settle(&a);
	g_assert_cmpuint(a.n_out, ==, 1);
	slirp_cleanup(a.slirp);
	app_ping(&b, "10.0.2.16", "10.0.2.3", 1);
	app_settle(&b);
	g_assert_cmpuint(b.n_out, ==, 1);
	slirp_cleanup(b.slirp);
}

/* ---- neighbours */

static void arp(void)
{
	static const uint8_t vhost[6] = { 0x52, 0x55, 10, 0, 2, 2 };
	struct app a;

	app_init(&a);
	app_open(&a);
	app_arp(&a, "10.0.2.15", "10.0.2.2");
	app_arp(&a, "10.0.2.77", "10.0.2.3"); /* any address of the subnet may be a guest's */
	app_arp(&a, "10.0.2.15", "10.0.2.9"); /* which may be another guest */
	app_arp(&a, "10.1.2.15", "10.0.2.2");
	app_settle(&a);
	g_assert_cmpuint(a.n_out, ==, 2);
	g_assert_cmpmem(a.out[0].b, 6, app_mac.b, 6);
	g_assert_cmpmem(a.out[0].b + 6, 6, vhost, 6);
	g_assert_cmpmem(a.out[0].b + 22, 6, vhost, 6);
	slirp_cleanup(a.slirp);
}

static void neighbours(void)
{
	struct app a;
	char *text;

	app_init(&a);
	app_open(&a);
	app_arp(&a, "10.0.2.15", "10.0.2.2");
	app_settle(&a);
	text = slirp_neighbor_info(a.slirp);
	g_assert_cmpstr(text, ==, "  Table  MacAddr            IP Address\n    ARP  52:54:00:12:34:56  10.0.2.15\n");
	free(text);
	slirp_cleanup(a.slirp);
}

/* ---- DHCP */

static void discover(struct app *a, const struct mac *mac)
{
	uint8_t buf[512], type = DHCP_DISCOVER;
	struct dhcp_msg m = { .op = DHCP_BOOTREQUEST, .htype = 1, .hlen = 6, .xid = 7 };
	struct dhcp_writer w;

	memcpy(m.chaddr, mac->b, 6);
	dhcp_wire_begin(&w, buf, sizeof(buf), &m);
	dhcp_wire_put(&w, DHCP_OPT_TYPE, &type, 1);
	app_udp(a, "0.0.0.0", 68, "255.255.255.255", 67, buf, dhcp_wire_end(&w));
}

static void offered(const struct app *a, unsigned n, const char *want)
{
	struct dhcp_msg m;
	struct addr w = app_addr(want);

	g_assert_cmpuint(a->n_out, >, n);
	g_assert_cmpint(dhcp_wire_parse(a->out[n].b + 42, (uint32_t)a->out[n].len - 42, &m), ==, R_ACCEPTED);
	g_assert_cmpint(m.type, ==, DHCP_OFFER);
	g_assert_true(addr_eq(&m.yiaddr, &w));
	for (int i = 0; i < 6; i++)
		g_assert_cmpuint(a->out[n].b[i], ==, 0xff);
}

static slirp_ssize_t nobody_hears(const void *buf, size_t len, void *opaque)
{
	return (slirp_ssize_t)len;
}

/* The first client gets the first address, each other one another, and everybody its own again. */
static void dhcp_leases(void)
{
	struct mac other = { { 2, 0, 0, 0, 0, 9 } };
	struct app a;

	app_init(&a);
	app_open(&a);
	discover(&a, &app_mac);
	discover(&a, &other);
	discover(&a, &app_mac);
	app_settle(&a);
	g_assert_cmpuint(a.n_out, ==, 3);
	offered(&a, 0, "10.0.2.15");
	offered(&a, 1, "10.0.2.16");
	offered(&a, 2, "10.0.2.15");
	slirp_cleanup(a.slirp);
}

/* What is not a guest's is leased to none: the gateway's and the name server's addresses, a forwarded place, the subnet's last, and beyond. */
static void dhcp_nobodys(void)
{
	static const char *low[] = { "10.0.2.1", "10.0.2.4", "10.0.2.6" }, *high[] = { "10.0.2.253", "10.0.2.254", "10.0.2.253" };
	struct in_addr place = app_in("10.0.2.5");

	for (int end = 0; end < 2; end++) {
		struct app a;

		app_init(&a);
		a.cfg.vdhcp_start = app_in(end ? high[0] : low[0]);
		app_open(&a);
		g_assert_cmpint(slirp_add_guestfwd(a.slirp, nobody_hears, NULL, &place, 7), ==, 0);
		for (unsigned i = 0; i < 3; i++) {
			discover(&a, &(struct mac){ { 2, 0, 0, 0, 0, (uint8_t)i } });
			app_settle(&a);
			offered(&a, i, end ? high[i] : low[i]);
		}
		slirp_cleanup(a.slirp);
	}
}

static void dhcp_off(void)
{
	struct app a;

	app_init(&a);
	a.cfg.version = 4;
	a.cfg.disable_dhcp = true;
	app_open(&a);
	discover(&a, &app_mac);
	app_settle(&a);
	g_assert_cmpuint(a.n_out, ==, 0);
	slirp_cleanup(a.slirp);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/libslirp/config_limits", config_limits);
	g_test_add_func("/libslirp/version_1", version_1);
	g_test_add_func("/libslirp/version_4", version_4);
	g_test_add_func("/libslirp/version_6_bare", version_6_bare);
	g_test_add_func("/libslirp/version_6_sockets", version_6_sockets);
	g_test_add_func("/libslirp/version_text", version_text);
	g_test_add_func("/libslirp/idle", idle);
	g_test_add_func("/libslirp/input_at_once", input_at_once);
	g_test_add_func("/libslirp/input_wakes", input_wakes);
	g_test_add_func("/libslirp/deadline", deadline);
	g_test_add_func("/libslirp/clock_back", clock_back);
	g_test_add_func("/libslirp/many_frames", many_frames);
	g_test_add_func("/libslirp/reentrant", reentrant);
	g_test_add_func("/libslirp/two", two);
	g_test_add_func("/libslirp/arp", arp);
	g_test_add_func("/libslirp/neighbours", neighbours);
	g_test_add_func("/libslirp/dhcp_leases", dhcp_leases);
	g_test_add_func("/libslirp/dhcp_nobodys", dhcp_nobodys);
	g_test_add_func("/libslirp/dhcp_off", dhcp_off);
	return g_test_run();
}
