/* addr_test.c - text and value of addresses and prefixes.  Twins: the C library's inet_pton() and inet_ntop(). */
#include "slirp/base/addr.h"
#include "tests/unit/naive.h"

#include <arpa/inet.h>

static struct addr must_parse(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a, NULL))
		g_error("address does not parse: %s", text);
	return a;
}

static void test_format(void)
{
	static const char *const rows[][2] = {
		{ "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "10.0.2.15", "10.0.2.15" },
		{ "::ffff:10.0.2.15", "10.0.2.15" },
		{ "::ffff:a00:20f", "10.0.2.15" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "1::", "1::" },
		{ "0:0:0:0:0:0:0:0", "::" },
		{ "2001:0DB8::0001", "2001:db8::1" },
		{ "2001:db8:0:0:0:0:2:1", "2001:db8::2:1" },
		{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
		{ "2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
		{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "2001:DB8:AAAA:bbbb:CcCc:DDDD:eeee:FFFF", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff" },
		{ "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0" },
		{ "::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8" },
		{ "1:2:3:4:5:6:0:0", "1:2:3:4:5:6::" },
		{ "64:ff9b::192.0.2.33", "64:ff9b::c000:221" },
		{ "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304" },
		{ "::1.2.3.4", "::102:304" },
	};
	char buf[ADDR_STRLEN];

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct addr a = must_parse(rows[i][0]);

		g_assert_cmpstr(addr_format(&a, buf), ==, rows[i][1]);
	}
}

static void test_bad(void)
{
	static const struct {
		const char *text;
		int at;
	} rows[] = {
		{ "", 0 },		{ "x", 0 },		  { "1", 1 },
		{ "1.2.3", 5 },		{ "1.2.3.", 6 },	  { "1..2.3", 2 },
		{ "1.2.3.256", 8 },	{ "1.2.3.1000", 9 },	  { "01.2.3.4", 1 },
		{ "1.2.3.00", 7 },	{ "1.2.3.4 ", 7 },	  { "1.2.3.4.5", 7 },
		{ "-1.2.3.4", 0 },	{ "abc", 0 },		  { ":", 1 },
		{ ":1", 1 },		{ ":::", 2 },		  { "1:", 2 },
		{ "1:2:3", 5 },		{ "12345::", 4 },	  { "::12345", 6 },
		{ "1::2::3", 5 },	{ "1:2:3:4:5:6:7", 13 },  { "1:2:3:4:5:6:7:", 14 },
		{ "1:2:3:4:5:6:7::8", 15 }, { "1:2:3:4:5:6:7:8:", 15 }, { "1:2:3:4:5:6:7:8::", 16 },
		{ "::g", 2 },		{ "1:g::", 2 },		  { "::1.2.3", 7 },
		{ "::1.2.3.256", 10 },	{ "::a.1.2.3", 2 },	  { "1:2:3:4:5:6:7:1.2.3.4", 15 },
		{ "1:1.2.3.4", 9 },	{ "::1.2.3.4:5", 9 },	  { "fe80::1%eth0", 7 },
		{ "[::1]", 0 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const struct addr before = { .b = { 7 } };
		struct addr a = before;
		const char *end = NULL;

		if (addr_parse(rows[i].text, &a, NULL))
			g_error("should not parse: \"%s\"", rows[i].text);
		g_assert_true(addr_eq(&a, &before));
		addr_parse(rows[i].text, &a, &end);
		if (end - rows[i].text != rows[i].at)
			g_error("\"%s\": stopped at %td, wanted %d", rows[i].text, end - rows[i].text, rows[i].at);
	}
}

static void test_end(void)
{
	static const struct {
		const char *text;
		int at;
	} rows[] = {
		{ "1.2.3.4:80", 7 }, { "::1]:80", 3 }, { "10.0.0.0/8", 8 }, { "::/0", 2 },
		{ "::1-::5", 3 },    { "1::2,", 4 },
	};
	const char *end;
	struct addr a;

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_assert_true(addr_parse(rows[i].text, &a, &end));
		g_assert_cmpint(end - rows[i].text, ==, rows[i].at);
	}
}

/* Any 16 bytes: we print what inet_ntop() prints (except its dotted "::a.b.c.d") and read it back. */
static void test_format_twin(void)
{
	GRand *rand = g_rand_new_with_seed(1);

	for (int i = 0; i < 100000; i++) {
		char ours[ADDR_STRLEN], theirs[INET6_ADDRSTRLEN];
		struct addr a, back;

		fill_random(rand, a.b, sizeof(a.b));
		for (int group = 0; group < 8; group++)
			if (g_rand_boolean(rand))
				memset(a.b + 2 * group, 0, 2);
		if (i % 16 == 0)
			a = addr_from_v4(a.b);
		addr_format(&a, ours);
		back = must_parse(ours);
		g_assert_true(addr_eq(&a, &back));
		if (addr_is_v4(&a))
			inet_ntop(AF_INET, addr_v4_bytes(&a), theirs, sizeof(theirs));
		else
			inet_ntop(AF_INET6, a.b, theirs, sizeof(theirs));
		if (addr_is_v4(&a) || !strchr(theirs, '.'))
			g_assert_cmpstr(ours, ==, theirs);
	}
	g_rand_free(rand);
}

static bool libc_parse(const char *text, struct addr *ret)
{
	uint8_t b[16];

	if (inet_pton(AF_INET, text, b) == 1) {
		*ret = addr_from_v4(b);
		return true;
	}
	if (inet_pton(AF_INET6, text, b) != 1)
		return false;
	*ret = addr_from_v6(b);
	return true;
}

/* A text near an address: a good one with a few characters changed, doubled or dropped. */
static void random_text(GRand *rand, char *text, size_t size)
{
	static const char *const seeds[] = { "1.2.3.4",		"255.10.0.1",	"::",		     "1::2",
					     "1:2:3:4:5:6:7:8", "::1.2.3.4",	"1:2:3:4:5:6:7::",   "fe80::a:b",
					     "::2:3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4", "::ffff:10.0.0.1", "1:2::7:8" };
	static const char letters[] = "0123456789abcdefAF::::....";
	size_t len, at;

	g_strlcpy(text, seeds[g_rand_int_range(rand, 0, G_N_ELEMENTS(seeds))], size);
	for (int edits = g_rand_int_range(rand, 0, 4); edits; edits--) {
		len = strlen(text);
		at = (size_t)g_rand_int_range(rand, 0, (int)len + 1);
		if (g_rand_boolean(rand) && len + 1 < size) {
			memmove(text + at + 1, text + at, len - at + 1);
			text[at] = letters[g_rand_int_range(rand, 0, sizeof(letters) - 1)];
		} else if (at < len) {
			memmove(text + at, text + at + 1, len - at);
		}
	}
}

static void test_parse_twin(void)
{
	GRand *rand = g_rand_new_with_seed(2);
	char text[40];
	int good = 0;

	for (int i = 0; i < 200000; i++) {
		struct addr a, b;
		const char *end;
		char *copy;
		bool ok;

		random_text(rand, text, sizeof(text));
		copy = exact(text, strlen(text) + 1);
		ok = addr_parse(copy, &a, NULL);
		if (ok != libc_parse(text, &b))
			g_error("we and inet_pton() differ on \"%s\"", text);
		if (ok)
			g_assert_true(addr_eq(&a, &b));
		good += ok;
		addr_parse(copy, &a, &end);
		g_assert_true(end >= copy && end <= copy + strlen(copy));
		free(copy);
	}
	g_assert_cmpint(good, >, 10000);
	g_rand_free(rand);
}

/* What each text is, in letters: u unspecified, l loopback, m multicast, b broadcast, k link-local. */
static void test_classes(void)
{
	static const struct {
		const char *text, *classes;
	} rows[] = {
		{ "0.0.0.0", "u" }, { "::", "u" }, { "0.0.0.1", "" },
		{ "::2", "" }, { "127.0.0.1", "l" }, { "127.255.0.9", "l" },
		{ "::1", "l" }, { "128.0.0.1", "" }, { "224.0.0.1", "m" },
		{ "239.255.255.255", "m" }, { "ff02::1", "m" }, { "240.0.0.1", "" },
		{ "255.255.255.255", "b" }, { "169.254.169.254", "k" }, { "169.255.0.1", "" },
		{ "fe80::1", "k" }, { "febf::1", "k" }, { "fec0::1", "" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct addr a = must_parse(rows[i].text);

		g_assert_cmpint(addr_is_unspecified(&a), ==, strchr(rows[i].classes, 'u') != NULL);
		g_assert_cmpint(addr_is_loopback(&a), ==, strchr(rows[i].classes, 'l') != NULL);
		g_assert_cmpint(addr_is_multicast(&a), ==, strchr(rows[i].classes, 'm') != NULL);
		g_assert_cmpint(addr_is_broadcast4(&a), ==, strchr(rows[i].classes, 'b') != NULL);
		g_assert_cmpint(addr_is_linklocal(&a), ==, strchr(rows[i].classes, 'k') != NULL);
	}
}

static void test_endpoint(void)
{
	struct endpoint e = { must_parse("10.0.2.15"), 80 };
	struct tuple x, y;
	char buf[ENDPOINT_STRLEN];

	g_assert_cmpstr(endpoint_format(&e, buf), ==, "10.0.2.15:80");
	e = (struct endpoint){ must_parse("2001:1111:2222:3333:4444:5555:6666:7777"), 65535 };
	g_assert_cmpstr(endpoint_format(&e, buf), ==, "[2001:1111:2222:3333:4444:5555:6666:7777]:65535");
	e = (struct endpoint){ must_parse("::"), 0 };
	g_assert_cmpstr(endpoint_format(&e, buf), ==, "[::]:0");
	x = y = (struct tuple){ .guest = e, .far = e };
	g_assert_true(tuple_eq(&x, &y));
	y.far.port++;
	g_assert_false(tuple_eq(&x, &y));
}

static void test_prefix_bad(void)
{
	static const struct {
		const char *text;
		int at;
	} rows[] = {
		{ "10.0.0.0", 8 },     { "10.0.0.0/", 9 },     { "10.0.0.0/33", 10 }, { "10.0.0.0/08", 10 },
		{ "10.0.0.1/8", 9 },   { "::/129", 5 },	       { "::1/127", 4 },      { "10.0.0/8", 6 },
		{ "10.0.0.0/8x", 10 }, { "10.0.0.0/-1", 9 },   { "/8", 0 },	      { "10.0.0.0/24/8", 11 },
		{ "::ffff:0:0/95", 11 },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const char *end = NULL;
		struct prefix p;

		if (prefix_parse(rows[i].text, false, &p, NULL, NULL))
			g_error("should not parse: \"%s\"", rows[i].text);
		prefix_parse(rows[i].text, false, &p, NULL, &end);
		if (end - rows[i].text != rows[i].at)
			g_error("\"%s\": stopped at %td, wanted %d", rows[i].text, end - rows[i].text, rows[i].at);
	}
}

static void test_prefix(void)
{
	struct addr host, want = must_parse("10.0.2.0"), v4 = must_parse("8.8.8.8"), v6 = must_parse("2001:db8::1");
	char buf[ADDR_STRLEN];
	struct prefix p;

	g_assert_true(prefix_parse("10.0.2.15/24", true, &p, &host, NULL));
	g_assert_cmpint(p.len, ==, 120);
	g_assert_true(addr_eq(&p.addr, &want));
	g_assert_cmpstr(addr_format(&host, buf), ==, "10.0.2.15");
	host = prefix_nth(&p, 2);
	g_assert_cmpstr(addr_format(&host, buf), ==, "10.0.2.2");
	host = prefix_nth(&p, 256);
	g_assert_cmpstr(addr_format(&host, buf), ==, "10.0.3.0");

	g_assert_true(prefix_parse("::/0", false, &p, NULL, NULL));
	g_assert_true(prefix_contains(&p, &v6));
	g_assert_false(prefix_contains(&p, &v4));
	host = prefix_nth(&p, UINT32_MAX);
	g_assert_cmpstr(addr_format(&host, buf), ==, "::ffff:ffff");
	g_assert_true(prefix_parse("0.0.0.0/0", false, &p, NULL, NULL));
	g_assert_cmpint(p.len, ==, 96);
	g_assert_true(prefix_contains(&p, &v4));
	g_assert_false(prefix_contains(&p, &v6));
	g_assert_true(prefix_parse("::ffff:10.0.0.0/104", false, &p, NULL, NULL));
	g_assert_cmpint(p.len, ==, 104);
}

static bool bit_at(const struct addr *a, int i)
{
	return a->b[i / 8] >> (7 - i % 8) & 1;
}

static void test_contains_twin(void)
{
	GRand *rand = g_rand_new_with_seed(3);

	for (int i = 0; i < 100000; i++) {
		bool v6 = g_rand_boolean(rand), same = true;
		struct addr a = random_addr(rand, v6), b = a;
		int flip = g_rand_int_range(rand, v6 ? 3 : 96, 129); /* not the bit that keeps v6 and v4 apart */
		char text[ADDR_STRLEN + 4], buf[ADDR_STRLEN];
		struct prefix p;

		if (flip < 128)
			b.b[flip / 8] ^= (uint8_t)(0x80 >> flip % 8);
		g_snprintf(text, sizeof(text), "%s/%d", addr_format(&a, buf), g_rand_int_range(rand, 0, v6 ? 129 : 33));
		g_assert_true(prefix_parse(text, true, &p, NULL, NULL));
		for (int bit = 0; bit < p.len; bit++)
			same &= bit_at(&p.addr, bit) == bit_at(&b, bit);
		g_assert_cmpint(prefix_contains(&p, &b), ==, same);
	}
	g_rand_free(rand);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/addr/format", test_format);
	g_test_add_func("/addr/bad", test_bad);
	g_test_add_func("/addr/end", test_end);
	g_test_add_func("/addr/format-twin", test_format_twin);
	g_test_add_func("/addr/parse-twin", test_parse_twin);
	g_test_add_func("/addr/classes", test_classes);
	g_test_add_func("/addr/endpoint", test_endpoint);
	g_test_add_func("/prefix/bad", test_prefix_bad);
	g_test_add_func("/prefix/values", test_prefix);
	g_test_add_func("/prefix/contains-twin", test_contains_twin);
	return g_test_run();
}
