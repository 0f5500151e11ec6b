/* libslirp_dhcp_test.c - what DHCPv4 and DHCPv6 tell the application's guest, option by option. */
#include "tests/unit/gateway/doors/libslirp_app.h"

#include "slirp/base/bytes.h"
#include "slirp/wire/dhcp6_wire.h"

#include <string.h>

enum { AT_FILE = 108, AT_SIADDR = 20, TEXT = 256 };

/* The guest, and the last answer. */
struct client {
	struct app a;
	uint8_t ask[512];
	struct dhcp_writer w;
	const uint8_t *reply; /* behind the UDP header */
	struct dhcp_msg m;
};

static void begin(struct client *c)
{
	*c = (struct client){ 0 };
	app_init(&c->a);
}

static void question(struct client *c, enum dhcp_type type)
{
	struct dhcp_msg m = { .op = DHCP_BOOTREQUEST, .htype = 1, .hlen = 6, .xid = 7 };
	uint8_t t = (uint8_t)type;

	memcpy(m.chaddr, app_mac.b, 6);
	dhcp_wire_begin(&c->w, c->ask, sizeof(c->ask), &m);
	if (type)
		dhcp_wire_put(&c->w, DHCP_OPT_TYPE, &t, 1);
}

static void exchange(struct client *c)
{
	c->a.n_out = 0;
	app_udp(&c->a, "0.0.0.0", 68, "255.255.255.255", 67, c->ask, dhcp_wire_end(&c->w));
	app_settle(&c->a);
	g_assert_cmpuint(c->a.n_out, ==, 1);
	c->reply = c->a.out[0].b + ETH_HDR_LEN + IP4_HDR_LEN + UDP_HDR_LEN;
	g_assert_cmpint(dhcp_wire_parse(c->reply, (uint32_t)(c->a.out[0].len - 42), &c->m), ==, R_ACCEPTED);
}

/* The option's bytes are these; want NULL: it is not there. */
static void option(const struct client *c, enum dhcp_option code, const void *want, int len)
{
	uint8_t b[TEXT];
	int n = dhcp_wire_get(&c->m, code, b, sizeof(b));

	if (want)
		g_assert_cmpmem(b, n, want, len);
	else
		g_assert_cmpint(n, ==, -1);
}

static void text(const struct client *c, enum dhcp_option code, const char *want)
{
	option(c, code, want, want ? (int)strlen(want) : 0);
}

static void siaddr(const struct client *c, const char *want)
{
	struct addr a = app_addr(want);

	g_assert_cmpmem(c->reply + AT_SIADDR, 4, addr_v4_bytes(&a), 4);
}

static void configured(struct client *c)
{
	static const char *search[] = { "s1.test", "s2.test", NULL };

	begin(c);
	c->a.cfg.vhostname = "gname";
	c->a.cfg.vdomainname = "dom.test";
	c->a.cfg.vdnssearch = search;
	c->a.cfg.tftp_server_name = "tsrv";
	c->a.cfg.bootfile = "boot.ipxe";
}

/* ---- DHCPv4 */

/* Without a list everything is told. */
static void everything(void)
{
	struct client c;

	configured(&c);
	app_open(&c.a);
	question(&c, DHCP_DISCOVER);
	exchange(&c);
	g_assert_cmpint(c.m.type, ==, DHCP_OFFER);
	text(&c, DHCP_OPT_HOSTNAME, "gname");
	text(&c, DHCP_OPT_DOMAIN, "dom.test");
	option(&c, DHCP_OPT_SEARCH, "\2s1\4test\0\2s2\xc0\3", 14);
	text(&c, DHCP_OPT_TFTP_NAME, "tsrv");
	text(&c, DHCP_OPT_BOOTFILE, "boot.ipxe");
	text(&c, DHCP_OPT_CLASS, NULL);
	option(&c, DHCP_OPT_MASK, "\xff\xff\xff\0", 4);
	option(&c, DHCP_OPT_ROUTER, "\x0a\0\2\2", 4);
	option(&c, DHCP_OPT_DNS, "\x0a\0\2\3", 4);
	option(&c, DHCP_OPT_SERVER, "\x0a\0\2\2", 4);
	option(&c, DHCP_OPT_LEASE, "\0\1\x51\x80", 4);
	g_assert_cmpstr((const char *)c.reply + AT_FILE, ==, "boot.ipxe");
	siaddr(&c, "10.0.2.2");
	slirp_cleanup(c.a.slirp);
}

/* A boot ROM gets what it needs however short its list is. */
static void short_list(void)
{
	struct client c;

	configured(&c);
	c.a.cfg.tftp_server_name = "10.0.2.77";
	app_open(&c.a);
	question(&c, DHCP_DISCOVER);
	dhcp_wire_put(&c.w, DHCP_OPT_PARAMS, "\1", 1);
	exchange(&c);
	text(&c, DHCP_OPT_TFTP_NAME, "10.0.2.77");
	text(&c, DHCP_OPT_BOOTFILE, NULL);
	text(&c, DHCP_OPT_HOSTNAME, NULL);
	g_assert_cmpstr((const char *)c.reply + AT_FILE, ==, "boot.ipxe");
	siaddr(&c, "10.0.2.77");
	slirp_cleanup(c.a.slirp);
}

static void http(void)
{
	static const char *const names[] = { "http://10.0.2.2/x.efi", "https://boot.test/x.efi" };
	struct client c;

	for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
		configured(&c);
		c.a.cfg.bootfile = names[i];
		app_open(&c.a);
		question(&c, DHCP_DISCOVER);
		dhcp_wire_put(&c.w, DHCP_OPT_PARAMS, "\1\x43", 2);
		exchange(&c);
		text(&c, DHCP_OPT_CLASS, "HTTPClient");
		text(&c, DHCP_OPT_BOOTFILE, names[i]);
		g_assert_cmpstr((const char *)c.reply + AT_FILE, ==, names[i]);
		slirp_cleanup(c.a.slirp);
	}
}

/* The longest name fills its field, to the NUL, and stays whole when options look for room; a longer one is refused. */
static void longest(void)
{
	char name[129], domain[254], host[64];
	struct client c;

	memset(name, 'b', sizeof(name));
	memset(domain, 'd', sizeof(domain));
	memset(host, 'h', sizeof(host));
	for (unsigned i = 50; i < sizeof(domain); i += 50)
		domain[i] = '.';
	name[128] = domain[253] = host[63] = '\0';
	configured(&c);
	c.a.cfg.bootfile = name;
	g_test_expect_message("Slirp", G_LOG_LEVEL_CRITICAL, "slirp_new:*");
	g_assert_null(slirp_new(&c.a.cfg, &c.a.cb, &c.a));
	g_test_assert_expected_messages();
	name[127] = '\0';
	c.a.cfg.vdomainname = domain;
	c.a.cfg.vhostname = host;
	app_open(&c.a);
	question(&c, DHCP_DISCOVER);
	exchange(&c);
	g_assert_cmpstr((const char *)c.reply + AT_FILE, ==, name);
	host[32] = '\0';
	text(&c, DHCP_OPT_HOSTNAME, host);
	slirp_cleanup(c.a.slirp);
}

/* Nothing configured: nothing told, but where we are. */
static void bare(void)
{
	struct client c;

	begin(&c);
	app_open(&c.a);
	question(&c, DHCP_DISCOVER);
	exchange(&c);
	text(&c, DHCP_OPT_HOSTNAME, NULL);
	text(&c, DHCP_OPT_DOMAIN, NULL);
	text(&c, DHCP_OPT_SEARCH, NULL);
	text(&c, DHCP_OPT_TFTP_NAME, NULL);
	text(&c, DHCP_OPT_BOOTFILE, NULL);
	g_assert_cmpuint(c.reply[AT_FILE], ==, 0);
	siaddr(&c, "10.0.2.2");
	slirp_cleanup(c.a.slirp);
}

static void nak(void)
{
	struct addr outside = app_addr("10.0.2.99");
	struct client c;

	configured(&c);
	app_open(&c.a);
	question(&c, DHCP_REQUEST);
	dhcp_wire_put_addr(&c.w, DHCP_OPT_REQUESTED, &outside);
	exchange(&c);
	g_assert_cmpint(c.m.type, ==, DHCP_NAK);
	text(&c, DHCP_OPT_MESSAGE, "requested address not available");
	text(&c, DHCP_OPT_TFTP_NAME, NULL);
	siaddr(&c, "0.0.0.0");
	g_assert_cmpuint(c.reply[AT_FILE], ==, 0);
	slirp_cleanup(c.a.slirp);
}

/* A plain BOOTP client is answered, with its file. */
static void bootp(void)
{
	struct client c;

	configured(&c);
	app_open(&c.a);
	question(&c, DHCP_BOOTP);
	exchange(&c);
	g_assert_cmpint(c.m.type, ==, DHCP_BOOTP);
	g_assert_cmpstr((const char *)c.reply + AT_FILE, ==, "boot.ipxe");
	siaddr(&c, "10.0.2.2");
	slirp_cleanup(c.a.slirp);
}

static void restricted(void)
{
	struct client c;

	configured(&c);
	c.a.cfg.restricted = 1;
	app_open(&c.a);
	question(&c, DHCP_DISCOVER);
	exchange(&c);
	text(&c, DHCP_OPT_ROUTER, NULL);
	text(&c, DHCP_OPT_DNS, NULL);
	text(&c, DHCP_OPT_TFTP_NAME, "tsrv");
	slirp_cleanup(c.a.slirp);
}

/* Names that are none are said and left out. */
static void search_list(void)
{
	static const char *names[] = { "a..b", "good.test", "", "two words", "0123456789012345678901234567890123456789012345678901234567890123.test",
				       "other.test", NULL };
	struct client c;

	configured(&c);
	c.a.cfg.vdnssearch = names;
	for (unsigned i = 0; i < 4; i++)
		g_test_expect_message("Slirp", G_LOG_LEVEL_WARNING, "failed to parse domain name '*'");
	app_open(&c.a);
	g_test_assert_expected_messages();
	question(&c, DHCP_DISCOVER);
	exchange(&c);
	option(&c, DHCP_OPT_SEARCH, "\4good\4test\0\5other\xc0\5", 19);
	slirp_cleanup(c.a.slirp);
}

/* ---- DHCPv6 */

/* A client's message to all servers; the number of frames it is answered with. */
static unsigned ask6(struct client *c, const uint8_t *msg, uint32_t len)
{
	struct addr src = app_addr("fe80::5054:ff:fe12:3456"), dst = app_addr("ff02::1:2");
	static const struct mac group = { { 0x33, 0x33, 0, 1, 0, 2 } };
	uint8_t p[APP_PACKET] = { 0 }, *l4 = p + ETH_HDR_LEN + IP6_HDR_LEN;
	uint16_t csum;

	eth_wire_put(p, &(struct eth){ .dst = group, .src = app_mac, .type = ETH_TYPE_IPV6 });
	ip_wire_put(p + ETH_HDR_LEN, &(struct ip){ .v6 = true, .src = src, .dst = dst, .proto = IP_PROTO_UDP, .hop_limit = 1,
						   .payload_len = UDP_HDR_LEN + len });
	l4_wire_udp_put(l4, &(struct udp){ .sport = DHCP6_CLIENT_PORT, .dport = DHCP6_SERVER_PORT, .len = len });
	memcpy(l4 + UDP_HDR_LEN, msg, len);
	csum = csum_wire_final(csum_wire_pseudo(&src, &dst, IP_PROTO_UDP, UDP_HDR_LEN + len) + csum_wire_add(l4, UDP_HDR_LEN + len));
	memcpy(l4 + 6, &csum, sizeof(csum));
	c->a.n_out = 0;
	slirp_input(c->a.slirp, p, (int)(ETH_HDR_LEN + IP6_HDR_LEN + UDP_HDR_LEN + len));
	app_settle(&c->a);
	return c->a.n_out;
}

/* The option of the last answer; NULL: it is not there. */
static const uint8_t *option6(const struct client *c, uint16_t code, uint32_t *ret_len)
{
	const uint8_t *p = c->a.out[0].b + ETH_HDR_LEN + IP6_HDR_LEN + UDP_HDR_LEN, *end = p + bytes_get16(p - 4) - UDP_HDR_LEN;

	g_assert_cmpuint(p[0], ==, DHCP6_REPLY);
	for (p += DHCP6_HDR_LEN; p < end; p += 4 + bytes_get16(p + 2)) {
		if (bytes_get16(p) != code)
			continue;
		*ret_len = bytes_get16(p + 2);
		return p + 4;
	}
	return NULL;
}

static void url6(const struct client *c, const char *want)
{
	uint32_t len = 0;
	const uint8_t *p = option6(c, DHCP6_OPT_BOOTFILE_URL, &len);

	if (want)
		g_assert_cmpmem(p, len, want, strlen(want));
	else
		g_assert_null(p);
}

#define CLIENT_ID "\0\1\0\12\0\3\0\1\x52\x54\0\x12\x34\x56"
#define IA_NA "\0\3\0\14\0\0\0\1\0\0\0\0\0\0\0\0"
#define ASK6(c, type, rest) ask6((c), (const uint8_t *)type "\1\2\3" CLIENT_ID rest, sizeof(type "\1\2\3" CLIENT_ID rest) - 1)

/* INFORMATION-REQUEST alone is answered: addresses are chosen by the guest.  Associations in it are passed over. */
static void stateless6(void)
{
	struct addr dns = app_addr("fd00::3");
	const uint8_t *p;
	struct gateway_stats st;
	struct client c;
	uint32_t len;

	configured(&c);
	app_open(&c.a);
	for (unsigned i = 0; i < 2; i++) {
		g_assert_cmpuint(i ? ASK6(&c, "\13", IA_NA) : ASK6(&c, "\13", ""), ==, 1);
		p = option6(&c, DHCP6_OPT_DNS, &len);
		g_assert_cmpmem(p, len, dns.b, 16);
		p = option6(&c, DHCP6_OPT_SEARCH, &len);
		g_assert_cmpmem(p, len, "\2s1\4test\0\2s2\4test\0", 18);
		p = option6(&c, DHCP6_OPT_CLIENT_ID, &len);
		g_assert_cmpmem(p, len, &CLIENT_ID[4], 10);
		g_assert_null(option6(&c, DHCP6_OPT_IA_NA, &len));
		url6(&c, "tftp://[fd00::2]/boot.ipxe");
	}
	g_assert_cmpuint(ASK6(&c, "\1", IA_NA), ==, 0);
	g_assert_cmpuint(ASK6(&c, "\4", IA_NA), ==, 0);
	g_assert_cmpuint(ASK6(&c, "\10", IA_NA), ==, 0);
	gateway_stats(c.a.slirp->gw, &st);
	g_assert_cmpuint(st.drops.n[R_DHCP_TYPE], ==, 3);
	slirp_cleanup(c.a.slirp);
}

/* With a list, what is on it. */
static void asked6(void)
{
	struct client c;
	uint32_t len;

	configured(&c);
	app_open(&c.a);
	g_assert_cmpuint(ASK6(&c, "\13", "\0\6\0\2\0\x17"), ==, 1);
	url6(&c, NULL);
	g_assert_nonnull(option6(&c, DHCP6_OPT_DNS, &len));
	g_assert_cmpuint(ASK6(&c, "\13", "\0\6\0\2\0\x3b"), ==, 1);
	url6(&c, "tftp://[fd00::2]/boot.ipxe");
	g_assert_null(option6(&c, DHCP6_OPT_DNS, &len));
	slirp_cleanup(c.a.slirp);
	c.a.slirp = NULL;
	c.a.cfg.bootfile = "http://[fd00::2]/x.efi";
	app_open(&c.a);
	g_assert_cmpuint(ASK6(&c, "\13", ""), ==, 1);
	url6(&c, "http://[fd00::2]/x.efi");
	slirp_cleanup(c.a.slirp);
	c.a.slirp = NULL;
	c.a.cfg.bootfile = NULL;
	app_open(&c.a);
	g_assert_cmpuint(ASK6(&c, "\13", ""), ==, 1);
	url6(&c, NULL);
	slirp_cleanup(c.a.slirp);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/libslirp_dhcp/everything", everything);
	g_test_add_func("/libslirp_dhcp/short_list", short_list);
	g_test_add_func("/libslirp_dhcp/http", http);
	g_test_add_func("/libslirp_dhcp/longest", longest);
	g_test_add_func("/libslirp_dhcp/bare", bare);
	g_test_add_func("/libslirp_dhcp/nak", nak);
	g_test_add_func("/libslirp_dhcp/bootp", bootp);
	g_test_add_func("/libslirp_dhcp/restricted", restricted);
	g_test_add_func("/libslirp_dhcp/search_list", search_list);
	g_test_add_func("/libslirp_dhcp/stateless6", stateless6);
	g_test_add_func("/libslirp_dhcp/asked6", asked6);
	return g_test_run();
}
