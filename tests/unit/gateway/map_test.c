/* map_test.c - where a guest's destination leads: the order of judging, and each outcome. C5, B19. */
#include "gateway/map.h"

#include <glib.h>

struct world {
	struct gateway_config cfg;
	struct hostinfo *host;
	struct loop *loop;
	struct dns_relay *dns;
	struct reason_tally drops;
};

static void no_answer(void *arg, const struct tuple *t, const uint8_t *msg, uint32_t len)
{
	g_assert_not_reached();
}

static struct endpoint at(const char *addr, uint16_t port)
{
	struct endpoint e = { .port = port };

	g_assert_true(addr_parse(addr, &e.addr, NULL));
	return e;
}

static void begin(struct world *w, const char *server)
{
	struct dns_relay_config dc = { .max_answer = 512, .drops = &w->drops, .answer = no_answer };

	*w = (struct world){ .host = hostinfo_new(NULL), .loop = loop_new(g_main_context_default(), NULL) };
	g_assert_nonnull(w->host);
	gateway_config_init(&w->cfg);
	if (server)
		dc.servers[dc.n_servers++] = at(server, 0).addr;
	dc.drops = &w->drops;
	w->dns = dns_relay_new(w->loop, &dc);
}

static void end(struct world *w)
{
	dns_relay_free(w->dns);
	hostinfo_free(w->host);
	loop_free(w->loop);
}

/* want: where it leads; NULL: refused with r. */
static void leads(const struct world *w, const char *addr, uint16_t port, enum reason r, const char *want)
{
	struct endpoint dst = at(addr, port), ret, e;

	g_assert_cmpint(map_to_host(&w->cfg, w->host, w->dns, &dst, &ret), ==, r);
	if (!want)
		return;
	e = at(want, port);
	g_assert_true(endpoint_eq(&ret, &e));
}

static void outside(void)
{
	struct world w;

	begin(&w, "192.0.2.53");
	leads(&w, "192.0.2.1", 80, R_ACCEPTED, "192.0.2.1");
	leads(&w, "2001:db8::1", 443, R_ACCEPTED, "2001:db8::1");
	leads(&w, "10.0.3.1", 80, R_ACCEPTED, "10.0.3.1"); /* beside the guest's network */
	leads(&w, "fd00:0:0:1::1", 80, R_ACCEPTED, "fd00:0:0:1::1");
	end(&w);
}

static void never(void)
{
	struct world w;

	begin(&w, "192.0.2.53");
	w.cfg.host_loopback = true; /* which opens the gateway's address, not these */
	leads(&w, "127.0.0.1", 80, R_NEVER_DIALED, NULL);
	leads(&w, "0.0.0.0", 80, R_NEVER_DIALED, NULL);
	leads(&w, "255.255.255.255", 80, R_NEVER_DIALED, NULL);
	leads(&w, "::1", 80, R_NEVER_DIALED, NULL);
	leads(&w, "fe80::2", 80, R_NEVER_DIALED, NULL);
	end(&w);
}

static void own_subnet(void)
{
	struct world w;

	begin(&w, "192.0.2.53");
	leads(&w, "10.0.2.1", 80, R_HOST_UNREACHABLE, NULL);
	leads(&w, "10.0.2.255", 80, R_HOST_UNREACHABLE, NULL);
	leads(&w, "10.0.2.15", 80, R_HOST_UNREACHABLE, NULL); /* the guest itself */
	leads(&w, "fd00::77", 80, R_HOST_UNREACHABLE, NULL);
	end(&w);
}

static void gateway_address(void)
{
	struct world w;

	begin(&w, "192.0.2.53");
	leads(&w, "10.0.2.2", 80, R_HOST_LOOPBACK, NULL);
	leads(&w, "fd00::2", 80, R_HOST_LOOPBACK, NULL);
	w.cfg.host_loopback = true;
	leads(&w, "10.0.2.2", 80, R_ACCEPTED, "127.0.0.1");
	leads(&w, "fd00::2", 80, R_ACCEPTED, "::1");
	end(&w);
}

static void name_server(void)
{
	struct world w;

	begin(&w, "192.0.2.53");
	leads(&w, "10.0.2.3", 53, R_ACCEPTED, "192.0.2.53");
	leads(&w, "fd00::3", 53, R_ACCEPTED, "192.0.2.53"); /* the server's family, not the guest's */
	leads(&w, "10.0.2.3", 80, R_DIAL_REFUSED, NULL);
	w.cfg.host_loopback = true;
	leads(&w, "10.0.2.3", 80, R_DIAL_REFUSED, NULL);
	end(&w);
	begin(&w, "127.0.0.53"); /* a stub of the host: the relay may, the guest may not */
	leads(&w, "10.0.2.3", 53, R_ACCEPTED, "127.0.0.53");
	end(&w);
}

/* What a door may ask for besides. */
static void variants(void)
{
	struct world w;

	begin(&w, "192.0.2.53");
	w.cfg.loopback_unroutable = true;
	leads(&w, "10.0.2.2", 80, R_NET_UNREACHABLE, NULL);
	w.cfg.dns_off = true;
	leads(&w, "10.0.2.3", 53, R_DNS_OFF, NULL);
	leads(&w, "fd00::3", 80, R_DNS_OFF, NULL);
	leads(&w, "192.0.2.1", 80, R_ACCEPTED, "192.0.2.1");
	w.cfg.host_loopback = w.cfg.restricted = true;
	leads(&w, "10.0.2.2", 80, R_DENIED, NULL);
	leads(&w, "192.0.2.1", 80, R_DENIED, NULL);
	leads(&w, "127.0.0.1", 80, R_NEVER_DIALED, NULL);
	end(&w);
}

/* An address that this host has: open or closed, whatever the loopback is. */
static void own_addresses(void)
{
	struct world w;
	struct endpoint lo = at("127.0.0.1", 80);

	begin(&w, "192.0.2.53");
	g_assert_true(hostinfo_is_own(w.host, &lo.addr));
	g_assert_false(w.cfg.own_addresses);
	w.cfg.own_addresses = true;
	leads(&w, "10.0.2.2", 80, R_HOST_LOOPBACK, NULL); /* the loopback is another matter */
	end(&w);
}

static void no_name_server(void)
{
	struct world w;
	struct endpoint dst = at("10.0.2.3", 53), ret;

	begin(&w, NULL);
	g_assert_cmpint(map_to_host(&w.cfg, w.host, NULL, &dst, &ret), ==, R_NO_DNS);
	end(&w);
}

/* The host's own addresses: loopback is never dialed anyhow, so one that an interface has, found by asking for it. */
static void host_address(void)
{
	struct world w;
	struct endpoint dst, ret;

	begin(&w, "192.0.2.53");
	dst = at("127.0.0.1", 80);
	g_assert_true(hostinfo_is_own(w.host, &dst.addr));
	gateway_config_net(&w.cfg, &(struct prefix){ at("127.0.0.0", 0).addr, 96 + 8 });
	g_assert_cmpint(map_to_host(&w.cfg, w.host, w.dns, &dst, &ret), ==, R_NEVER_DIALED); /* never comes before everything */
	dst = at("192.0.2.200", 80);
	g_assert_cmpint(map_to_host(&w.cfg, NULL, w.dns, &dst, &ret), ==, R_ACCEPTED); /* nothing is known to be the host's */
	end(&w);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/map/variants", variants);
	g_test_add_func("/map/own_addresses", own_addresses);
	g_test_add_func("/map/outside", outside);
	g_test_add_func("/map/never", never);
	g_test_add_func("/map/own-subnet", own_subnet);
	g_test_add_func("/map/gateway", gateway_address);
	g_test_add_func("/map/name-server", name_server);
	g_test_add_func("/map/no-name-server", no_name_server);
	g_test_add_func("/map/host-address", host_address);
	return g_test_run();
}
