/* cli_test.c - command lines of `slirpgate run`: right ones and the values they give, wrong ones and the sentence with its column. */
#include "gateway/doors/cli.h"
#include "gateway/doors/cli_run_args.h"

#include <string.h>

enum { WORDS_MAX = 64 };

/* Splits line at blanks into argv; the words live in *ret_words. */
static int split(const char *line, char ***ret_words)
{
	*ret_words = g_strsplit(line, " ", WORDS_MAX);
	if (!**ret_words || !***ret_words) {
		g_strfreev(*ret_words);
		*ret_words = g_new0(char *, 1);
	}
	return (int)g_strv_length(*ret_words);
}

static void good(const char *line, struct cli_run_args *ret, char ***ret_words)
{
	g_autoptr(GError) err = NULL;
	int n = split(line, ret_words);

	g_assert_true(cli_run_args_parse(n, *ret_words, ret, &err));
	g_assert_no_error(err);
}

static void check_addr(const struct addr *a, const char *want)
{
	char text[ADDR_STRLEN];

	g_assert_cmpstr(addr_format(a, text), ==, want);
}

static void test_defaults(void)
{
	struct cli_run_args a;
	char **words;

	good("", &a, &words);
	g_assert_true(a.net.v4 && a.net.v6 && a.offload);
	g_assert_false(a.map_root || a.help || a.version || a.net.host_loopback);
	check_addr(&a.net.gw4, "10.0.2.2");
	check_addr(&a.net.dns4, "10.0.2.3");
	check_addr(&a.net.guest4, "10.0.2.15");
	check_addr(&a.net.gw6, "fd00::2");
	g_assert_cmpuint(a.net.mtu, ==, 65520);
	g_assert_cmpstr(a.ifname, ==, "tap0");
	g_assert_cmpint(a.level, ==, JOURNAL_WARN);
	g_assert_cmpint(a.stats, ==, CLI_RUN_STATS_NONE);
	g_assert_null(a.command[0]);
	g_strfreev(words);
}

static void test_values(void)
{
	struct cli_run_args a;
	char **words;

	good("--net=192.168.7.0/24 --net6 2001:db8:7::/64 --mtu 1500 --mac=02:00:00:00:00:01 --ifname eth0 --dns 192.0.2.53 "
	     "--dns=2001:db8::53 --search a.test --search b.test --hostname box --domain c.test --host-loopback --outbound 192.0.2.1 --outbound 2001:db8::1 "
	     "--outbound-if eth7 --udp-filtering endpoint-independent --root --no-offload --stats=json --log-level debug",
	     &a, &words);
	check_addr(&a.net.guest4, "192.168.7.15");
	check_addr(&a.net.gw6, "2001:db8:7::2");
	g_assert_cmpuint(a.net.mtu, ==, 1500);
	g_assert_cmpuint(a.net.guest_mac.b[5], ==, 1);
	g_assert_cmpstr(a.ifname, ==, "eth0");
	g_assert_cmpuint(a.net.n_dns, ==, 2);
	check_addr(&a.net.dns[1], "2001:db8::53");
	g_assert_cmpstr(a.search[1], ==, "b.test");
	g_assert_null(a.search[2]);
	g_assert_cmpstr(a.net.search, ==, "a.test b.test");
	g_assert_cmpstr(a.net.hostname, ==, "box");
	g_assert_cmpstr(a.net.domain, ==, "c.test");
	g_assert_true(a.net.host_loopback && a.map_root && !a.offload);
	check_addr(&a.net.outbound4, "192.0.2.1");
	check_addr(&a.net.outbound6, "2001:db8::1");
	g_assert_cmpstr(a.net.outbound_if, ==, "eth7");
	g_assert_true(a.net.udp_filter_open);
	g_assert_cmpint(a.stats, ==, CLI_RUN_STATS_JSON);
	g_assert_cmpint(a.level, ==, JOURNAL_DEBUG);
	g_strfreev(words);
}

/* Options behind COMMAND are COMMAND's. */
static void test_command(void)
{
	static const struct {
		const char *line, *first;
		unsigned words;
	} rows[] = {
		{ "-4 curl -6 --mtu x", "curl", 4 }, { "-- -4", "-4", 1 }, { "--stats json", "json", 1 },
		{ "--root -- -- x", "--", 2 },	     { "-4 -", "-", 1 },   { "--", NULL, 0 },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct cli_run_args a;
		char **words;

		good(rows[i].line, &a, &words);
		g_assert_cmpuint(g_strv_length(a.command), ==, rows[i].words);
		g_assert_cmpstr(a.command[0], ==, rows[i].first);
		g_strfreev(words);
	}
}

static void test_families(void)
{
	struct cli_run_args a;
	char **words;

	good("-4", &a, &words);
	g_assert_true(a.net.v4 && !a.net.v6);
	g_strfreev(words);
	good("--ipv6-only", &a, &words);
	g_assert_true(!a.net.v4 && a.net.v6);
	g_strfreev(words);
	good("--mtu 1279", &a, &words); /* RFC 8200 5 */
	g_assert_true(a.net.v4 && !a.net.v6);
	g_strfreev(words);
}

static void test_wrong(void)
{
	static const struct {
		const char *line, *text;
	} rows[] = {
		{ "--net 10.0.2.0/33", "--net: 10.0.2.0/33: prefix length above 32, column 10" },
		{ "--net 10.0.2.0/28", "--net: 10.0.2.0/28: prefix length not in 8-27, column 10" },
		{ "--net 10.0.2.0/", "--net: 10.0.2.0/: prefix length is not a number, column 10" },
		{ "--net 10.0.2.0/2x", "--net: 10.0.2.0/2x: prefix length is not a number, column 11" },
		{ "--net 10.0.2.0/024", "--net: 10.0.2.0/024: prefix length is written in a way nobody is sure of, column 10" },
		{ "--net 10.0.2.0", "--net: 10.0.2.0: a prefix length (/24) is missing, column 9" },
		{ "--net 10.0.2.5/24", "--net: 10.0.2.5/24: bits behind the prefix are not zero (10.0.2.0/24?), column 1" },
		{ "--net 10.0.2.256/24", "--net: 10.0.2.256/24: not an IPv4 address, column 10" },
		{ "--net fd00::/64", "--net: fd00::/64: not an IPv4 prefix, column 1" },
		{ "--net 127.0.0.0/8", "--net: 127.0.0.0/8: not a network a guest can have, column 1" },
		{ "--net 224.0.0.0/8", "--net: 224.0.0.0/8: not a network a guest can have, column 1" },
		{ "--net=", "--net: : not an IPv4 address, column 1" },
		{ "--net6 10.0.2.0/24", "--net6: 10.0.2.0/24: not an IPv6 prefix, column 1" },
		{ "--net6 fd00::/129", "--net6: fd00::/129: prefix length above 128, column 8" },
		{ "--net6 fd00::1/64", "--net6: fd00::1/64: bits behind the prefix are not zero (fd00::/64?), column 1" },
		{ "--net6 fe80::/64", "--net6: fe80::/64: not a network a guest can have, column 1" },
		{ "--net6 fd00:0g::/64", "--net6: fd00:0g::/64: not an IPv6 address, column 7" },
		{ "--mtu 575", "--mtu: 575: not in 576-65521, column 1" },
		{ "--mtu 65522", "--mtu: 65522: not in 576-65521, column 1" },
		{ "--mtu 99999999999999999999", "--mtu: 99999999999999999999: not in 576-65521, column 1" },
		{ "--mtu 15oo", "--mtu: 15oo: not a digit, column 3" },
		{ "--mtu x", "--mtu: x: not a number, column 1" },
		{ "--mac 52:54:00:12:34", "--mac: 52:54:00:12:34: not a MAC address (aa:bb:cc:dd:ee:ff), column 15" },
		{ "--mac 53:54:00:12:34:56", "--mac: 53:54:00:12:34:56: not the MAC address of one station, column 1" },
		{ "--mac 52:55:0a:00:02:02", "--mac: 52:55:0a:00:02:02: this MAC address is the gateway's, column 1" },
		{ "--ifname abcdefghijklmnop", "--ifname: abcdefghijklmnop: longer than 15 characters, column 16" },
		{ "--ifname a/b", "--ifname: a/b: a character that no interface name has, column 2" },
		{ "--ifname tap%d", "--ifname: tap%d: a character that no interface name has, column 4" },
		{ "--ifname lo", "--ifname: lo: this name is taken in every namespace, column 1" },
		{ "--dns 1.2.3", "--dns: 1.2.3: not an IPv4 or IPv6 address, column 6" },
		{ "--dns fe80::1%eth0", "--dns: fe80::1%eth0: not an IPv4 or IPv6 address, column 8" },
		{ "--dns ::", "--dns: ::: not the address of one name server, column 1" },
		{ "--dns 1.1.1.1 --dns 1.1.1.2 --dns 1.1.1.3 --dns 1.1.1.4 --dns 1.1.1.5 --dns 1.1.1.6 --dns 1.1.1.7 --dns 1.1.1.8 --dns 1.1.1.9",
		  "--dns: 1.1.1.9: more than 8 name servers, column 1" },
		{ "--search a..b", "--search: a..b: an empty label, column 3" },
		{ "--search a_b!c", "--search: a_b!c: a character that no domain name has, column 4" },
		{ "--hostname a.b!", "--hostname: a.b!: a character that no domain name has, column 4" },
		{ "--hostname aaaaaaaa.aaaaaaaa.aaaaaaaa.aaaaaaaa.aaaaaaaa.aaaaaaaa.aaaaaaaa.a",
		  "--hostname: aaaaaaaa.aaaaaaaa.aaaaaaaa.aaaaaaaa.aaaaaaaa.aaaaaaaa.aaaaaaaa.a: longer than 63 characters, column 64" },
		{ "--domain .a", "--domain: .a: an empty label, column 1" },
		{ "--outbound 192.0.2.1 --outbound 192.0.2.2", "--outbound: 192.0.2.2: a second IPv4 address, column 1" },
		{ "-6 --outbound 192.0.2.1", "--outbound: 192.0.2.1: its family is switched off by -6" },
		{ "--log-level loud", "--log-level: loud: none of error, warn, info, debug, column 1" },
		{ "--stats=xml", "--stats: xml: neither text nor json, column 1" },
		{ "--root=1", "--root: takes no value" },
		{ "--mtu", "--mtu: a value is missing" },
		{ "--no-such", "--no-such: no such option" },
		{ "--mt 1500", "--mt: no such option" },
		{ "-4x", "-x: no such option" },
		{ "-46", "-4 and -6 together leave the guest no network" },
		{ "-6 --mtu 1279", "--mtu: 1279: IPv6 needs at least 1280" },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct cli_run_args a;
		g_autoptr(GError) err = NULL;
		char **words;
		int n = split(rows[i].line, &words);

		g_assert_false(cli_run_args_parse(n, words, &a, &err));
		g_assert_error(err, CLI_OPTION_ERROR, CLI_EXIT_USAGE);
		g_assert_cmpstr(err->message, ==, rows[i].text);
		g_strfreev(words);
	}
}

/* DHCP tells the list in one option: five of the longest names are too much. */
static void test_search_too_long(void)
{
	g_autofree char *label = g_strnfill(63, 'a'), *name = g_strdup_printf("%s.%s.%s.%.61s", label, label, label, label);
	char *argv[11] = { NULL };
	struct cli_run_args a;
	g_autoptr(GError) err = NULL;

	for (int i = 0; i < 10; i += 2) {
		argv[i] = (char *)"--search";
		argv[i + 1] = name;
	}
	g_assert_false(cli_run_args_parse(10, argv, &a, &err));
	g_assert_nonnull(strstr(err->message, "the search list is longer than 1023 characters, column 1"));
}

/* The help of a topic is one screen. */
static void test_help(void)
{
	static const char *const topics[] = { NULL, "ports" };

	for (unsigned i = 0; i < G_N_ELEMENTS(topics); i++) {
		g_autofree char *text = cli_option_help(cli_run_args_table, topics[i]);
		g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

		g_assert_cmpuint(g_strv_length(lines), <=, 24);
		for (char **line = lines; *line; line++)
			g_assert_cmpuint(strlen(*line), <=, 80);
		g_assert_cmpint(!!strstr(text, "--tcp-ports"), ==, i == 1);
		g_assert_cmpint(!!strstr(text, "--mtu"), ==, i == 0);
	}
	g_assert_null(cli_option_help(cli_run_args_table, "nonesuch"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cli/defaults", test_defaults);
	g_test_add_func("/cli/values", test_values);
	g_test_add_func("/cli/command", test_command);
	g_test_add_func("/cli/families", test_families);
	g_test_add_func("/cli/wrong", test_wrong);
	g_test_add_func("/cli/search_too_long", test_search_too_long);
	g_test_add_func("/cli/help", test_help);
	return g_test_run();
}
