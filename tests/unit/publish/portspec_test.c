/* portspec_test.c - every line of the grammar: what it means, or what is said against it and where.  Tables, each row a case. */
#include "publish/portspec.h"

#include <glib.h>
#include <string.h>

static const struct portspec_dialect pasta = { .follow = true, .ephemeral_first = 32768, .ephemeral_last = 60999 };
static const struct portspec_dialect passt = { .ephemeral_first = 32768, .ephemeral_last = 60999 };
static const struct portspec_dialect native = { .follow = true, .any_port = true, .unix_path = true };

/* The rules of the table, one a line. */
static char *dump(const GArray *table)
{
	GString *s = g_string_new(NULL);
	char buf[PORTSPEC_TEXT_MAX];

	for (guint i = 0; i < table->len; i++)
		g_string_append_printf(s, "%s%s", i ? "\n" : "", portspec_format(&g_array_index(table, struct portspec_rule, i), buf));
	return g_string_free(s, false);
}

static void check_means(const struct portspec_dialect *d, const char *spec, const char *want)
{
	g_autoptr(GArray) table = portspec_table_new();
	g_autoptr(GError) err = NULL;
	g_autofree char *got = NULL;
	bool good = portspec_add(table, PORTSPEC_TCP, spec, d, &err);

	g_assert_no_error(err);
	g_assert_true(good);
	got = dump(table);
	g_assert_cmpstr(got, ==, want);
}

/* want: the whole message behind "Invalid port specifier 'SPEC': ", or the whole message. */
static void check_refused(const struct portspec_dialect *d, const char *spec, const char *want)
{
	g_autoptr(GArray) table = portspec_table_new();
	g_autoptr(GError) err = NULL;
	g_autofree char *whole = g_strdup_printf("Invalid port specifier '%s': %s", spec, want);

	g_assert_false(portspec_add(table, PORTSPEC_TCP, spec, d, &err));
	g_assert_error(err, PORTSPEC_ERROR, PORTSPEC_ERROR_SYNTAX);
	g_assert_cmpstr(err->message, ==, whole);
	g_assert_cmpuint(table->len, ==, 0);
}

static void ports(void)
{
	check_means(&passt, "5022:22", "TCP [*]:5022 => 22");
	check_means(&passt, "5022", "TCP [*]:5022 => 5022");
	check_means(&passt, "5022-5024:22-24", "TCP [*]:5022-5024 => 22-24");
	check_means(&passt, "5022-5024", "TCP [*]:5022-5024 => 5022-5024");
	check_means(&passt, "+5022", "TCP [*]:5022 => 5022");
	check_means(&passt, "5022, 5023", "TCP [*]:5022 => 5022\nTCP [*]:5023 => 5023");
	check_means(&passt, "1-65535", "TCP [*]:1-65535 => 1-65535");
	check_means(&passt, "none", "");
}

static void binds(void)
{
	check_means(&passt, "127.0.0.1/5022", "TCP [127.0.0.1]:5022 => 5022");
	check_means(&passt, "[127.0.0.1]/5022", "TCP [127.0.0.1]:5022 => 5022");
	check_means(&passt, "::1/5022", "TCP [::1]:5022 => 5022");
	check_means(&passt, "[::1]/5022", "TCP [::1]:5022 => 5022");
	check_means(&passt, "127.0.0.1%lo/5022", "TCP [127.0.0.1]%lo:5022 => 5022");
	check_means(&passt, "%lo/5022", "TCP [*]%lo:5022 => 5022");
	check_means(&passt, "*%lo/5022", "TCP [*]%lo:5022 => 5022");
	check_means(&passt, "*/5022", "TCP [*]:5022 => 5022");
	check_means(&passt, "/5022", "TCP [*]:5022 => 5022");
	check_means(&passt, "0.0.0.0/5022", "TCP [0.0.0.0]:5022 => 5022");
	check_means(&passt, "[::]/5022", "TCP [::]:5022 => 5022");
}

static void targets(void)
{
	check_means(&passt, "127.0.0.1/5022:192.0.2.9/6000", "TCP [127.0.0.1]:5022 => [192.0.2.9]:6000");
	check_means(&passt, "127.0.0.1/5022:6000", "TCP [127.0.0.1]:5022 => 6000");
	check_means(&passt, "127.0.0.1/5022:192.0.2.9", "TCP [127.0.0.1]:5022 => [192.0.2.9]:5022");
	check_means(&passt, "::/5022-5023:[2001:db8::9]/6000-6001", "TCP [::]:5022-5023 => [2001:db8::9]:6000-6001");
	check_means(&passt, "::/5022:2001:db8::9/6000", "TCP [::]:5022 => [2001:db8::9]:6000");
	check_means(&passt, "127.0.0.1/80:192.0.2.9,81:82",
		    "TCP [127.0.0.1]:80 => [192.0.2.9]:80\nTCP [127.0.0.1]:81 => 82");
}

static void excludes(void)
{
	check_means(&passt, "5000-5010,~5005", "TCP [*]:5000-5004 => 5000-5004\nTCP [*]:5006-5010 => 5006-5010");
	check_means(&passt, "~5005,5000-5010:6000-6010", "TCP [*]:5000-5004 => 6000-6004\nTCP [*]:5006-5010 => 6006-6010");
	check_means(&passt, "5000-5010,~5000-5009", "TCP [*]:5010 => 5010");
	check_means(&passt, "5000,~5000", "");
	check_means(&passt, "~1-60000", "TCP [*]:61000-65535 => 61000-65535 (best effort)");
	check_means(&passt, "all", "TCP [*]:1-32767 => 1-32767 (best effort)\nTCP [*]:61000-65535 => 61000-65535 (best effort)");
	check_means(&passt, "0.0.0.0/all:192.0.2.9,~2-65534",
		    "TCP [0.0.0.0]:1 => [192.0.2.9]:1 (best effort)\nTCP [0.0.0.0]:65535 => [192.0.2.9]:65535 (best effort)");
	check_means(&native, "all", "TCP [*]:1-65535 => 1-65535 (best effort)");
	check_means(&passt, "80:8080,all,~2-79,~81-65535", "TCP [*]:80 => 8080\nTCP [*]:1 => 1 (best effort)");
	check_means(&native, "all,~1-65534", "TCP [*]:65535 => 65535 (best effort)");
}

static void follow(void)
{
	check_means(&pasta, "auto",
		    "TCP [*]:1-32767 => 1-32767 (best effort) (auto)\nTCP [*]:61000-65535 => 61000-65535 (best effort) (auto)");
	check_means(&pasta, "80-82,auto", "TCP [*]:80-82 => 80-82 (auto)");
	check_means(&pasta, "127.0.0.1/80:8080,auto", "TCP [127.0.0.1]:80 => 8080 (auto)");
	check_refused(&passt, "auto", "'auto' port forwarding is only allowed for pasta, column 1");
	check_refused(&passt, "80,auto", "'auto' port forwarding is only allowed for pasta, column 4");
}

static void any_port(void)
{
	check_means(&native, "0:22", "TCP [*]:0 => 22");
	check_means(&native, "127.0.0.1/0:22", "TCP [127.0.0.1]:0 => 22");
	check_refused(&native, "0", "port 0 means any port of the host, the guest's must be said: 0:PORT, column 1");
	check_refused(&passt, "0", "Unable to add rule: there is no port 0, column 1");
	check_refused(&native, "0-5:1-6", "a range begins at port 1 at the lowest, column 1");
	check_refused(&native, "22:0", "the guest's port cannot be 0, column 4");
}

static void unix_path(void)
{
	g_autofree char *path = g_strnfill(PORTSPEC_PATH_MAX, 'p'), *spec = g_strdup_printf("unix:%s:22", path);
	g_autofree char *fits = g_strdup_printf("unix:%s:22", path + 1), *want = g_strdup_printf("TCP unix:%s => 22", path + 1);

	check_means(&native, "unix:/run/ssh.sock:22", "TCP unix:/run/ssh.sock => 22");
	check_means(&native, "unix:/a:b,c:192.0.2.9/22", "TCP unix:/a:b,c => [192.0.2.9]:22");
	check_means(&native, "unix:/s:[2001:db8::9]/22", "TCP unix:/s => [2001:db8::9]:22");
	check_means(&native, fits, want);
	check_refused(&native, spec, "the path of a Unix socket has 1 to 107 bytes, column 6");
	check_refused(&native, "unix::22", "the path of a Unix socket has 1 to 107 bytes, column 6");
	check_refused(&native, "unix:/a", "':' and the guest's port are missing, column 8");
	check_refused(&native, "unix:/a:", "a port number is missing, column 9");
	check_refused(&native, "unix:/a:22-23", "ports of the host: 1, of the guest: 2, column 9");
	check_refused(&native, "unix:/a:22,23", "',' was not expected here, column 11");
	check_refused(&passt, "unix:/a:22", "a Unix socket cannot be published here, column 1");
}

static void refused(void)
{
	check_refused(&passt, "", "a port number is missing, column 1");
	check_refused(&passt, "5022,", "a port number is missing, column 6");
	check_refused(&passt, "22a", "'a' was not expected here, column 3");
	check_refused(&passt, "70000", "ports end at 65535, column 1");
	check_refused(&passt, "99999999999999999999", "ports end at 65535, column 1");
	check_refused(&passt, "5025-5022", "the range ends before it begins, column 1");
	check_refused(&passt, "5022:6000-6001", "ports of the host: 1, of the guest: 2, column 6");
	check_refused(&passt, "5022-5023:6000", "ports of the host: 2, of the guest: 1, column 11");
	check_refused(&passt, "5022:", "a port number is missing, column 6");
	check_refused(&passt, "-1", "a port number is missing, column 1");
	check_refused(&passt, "22,none", "'none' stands alone, column 4");
	check_refused(&passt, "nonesuch", "'none' stands alone, column 1");
	check_refused(&passt, "~", "a port number is missing, column 2");
	check_refused(&passt, "all:", "an address is missing, column 5");
	check_refused(&passt, "*5022", "a '/' is missing between where to listen and the ports, column 2");
	check_refused(&passt, "%/5022", "an interface name has 1 to 15 characters, column 2");
	check_refused(&passt, "%abcdefghijklmnop/5022", "an interface name has 1 to 15 characters, column 2");
	check_refused(&passt, "127.0.0.1%lo", "a '/' is missing between where to listen and the ports, column 13");
	check_refused(&passt, "127.0.0.1/", "a port number is missing, column 11");
	check_refused(&passt, "127.0.0.1/22:0.0.0.0", "a service has an address of its own, column 14");
	check_refused(&passt, "127.0.0.1/22:224.0.0.1/22", "a service has an address of its own, column 14");
	check_refused(&passt, "127.0.0.1/22:192.0.2.9/", "a port number is missing, column 24");
}

static void families(void)
{
	check_refused(&passt, "5022:192.0.2.9",
		      "Dual stack forward to IPv4 address 192.0.2.9 unsupported, did you mean 0.0.0.0/... instead?, column 6");
	check_refused(&passt, "5022:192.0.2.9/6000",
		      "Dual stack forward to IPv4 address 192.0.2.9 unsupported, did you mean 0.0.0.0/... instead?, column 6");
	check_refused(&passt, "%lo/5022:[2001:db8::9]/1",
		      "Dual stack forward to IPv6 address 2001:db8::9 unsupported, did you mean [::]/... instead?, column 10");
	check_refused(&passt, "0.0.0.0/5022:[2001:db8::9]/6000",
		      "Forward from IPv4 (0.0.0.0) to IPv6 (2001:db8::9) unsupported, column 14");
	check_refused(&passt, "::1/5022:192.0.2.9/6000", "Forward from IPv6 (::1) to IPv4 (192.0.2.9) unsupported, column 10");
	check_refused(&passt, "all:192.0.2.9",
		      "Dual stack forward to IPv4 address 192.0.2.9 unsupported, did you mean 0.0.0.0/... instead?, column 5");
}

/* Gives specs one after the other; all but the last are good.  NULL: that one is good as well. */
static void check_sequence(const char *const *specs, const char *want)
{
	g_autoptr(GArray) table = portspec_table_new();
	g_autoptr(GError) err = NULL;

	for (; *specs; specs++) {
		guint before = table->len;
		bool good = portspec_add(table, PORTSPEC_TCP, *specs, &passt, &err);

		g_assert_cmpint(good, ==, specs[1] || !want);
		if (!good)
			g_assert_cmpuint(table->len, ==, before);
	}
	g_assert_cmpstr(err ? err->message : NULL, ==, want);
}

#define SEQUENCE(want, ...) check_sequence((const char *const[]){ __VA_ARGS__, NULL }, want)

static void conflicts(void)
{
	SEQUENCE("-t none conflicts with previous options", "5022", "none");
	SEQUENCE(NULL, "none", "5022");
	SEQUENCE("Forwarding configuration conflict: TCP [*]:5022 => 5022 versus TCP [*]:5022 => 5022", "5022", "5022");
	SEQUENCE("Forwarding configuration conflict: TCP [*]:5022 => 5022 versus TCP [*]:5022 => 5022", "5022,5022");
	SEQUENCE("Forwarding configuration conflict: TCP [127.0.0.1]:5022 => 5022 versus TCP [*]:5022 => 5022", "5022", "127.0.0.1/5022");
	SEQUENCE("Forwarding configuration conflict: TCP [*]:5000-5030 => 5000-5030 versus TCP [::1]%lo:5022 => 22", "[::1]%lo/5022:22",
		 "5000-5030");
	SEQUENCE("Forwarding configuration conflict: TCP [127.0.0.1]%lo:22 => 22 versus TCP [127.0.0.1]%eth0:22 => 22",
		 "127.0.0.1%eth0/22", "127.0.0.1%lo/22");
	SEQUENCE("Forwarding configuration conflict: TCP [0.0.0.0]:22 => 22 versus TCP [127.0.0.1]:22 => 22", "127.0.0.1/22",
		 "0.0.0.0/22");
	SEQUENCE(NULL, "127.0.0.1/22", "127.0.0.2/22", "::1/22");
	SEQUENCE(NULL, "0.0.0.0/22", "::/22");
	SEQUENCE(NULL, "5022-5030", "5031", "5021");
}

static void protocols_apart(void)
{
	g_autoptr(GArray) table = portspec_table_new();
	g_autoptr(GError) err = NULL;

	g_assert_true(portspec_add(table, PORTSPEC_TCP, "53", &passt, NULL));
	g_assert_true(portspec_add(table, PORTSPEC_UDP, "none", &passt, NULL));
	g_assert_true(portspec_add(table, PORTSPEC_UDP, "53", &passt, NULL));
	g_assert_false(portspec_add(table, PORTSPEC_UDP, "none", &passt, &err));
	g_assert_cmpstr(err->message, ==, "-u none conflicts with previous options");
	g_assert_cmpuint(table->len, ==, 2);
}

/* However they come, in one text or in many, and also when excludes cut one range into pieces. */
static void bounded(void)
{
	g_autoptr(GArray) table = portspec_table_new();
	g_autoptr(GString) many = g_string_new(NULL), holes = g_string_new("1-65535");
	g_autoptr(GError) err = NULL, cut = NULL, one = NULL;

	for (int i = 0; i <= PORTSPEC_RULES_MAX; i++) {
		g_string_append_printf(many, "%s%d", i ? "," : "", 1 + i);
		g_string_append_printf(holes, ",~%d", 2 + 2 * i);
	}
	g_assert_false(portspec_add(table, PORTSPEC_TCP, many->str, &passt, &err));
	g_assert_nonnull(strstr(err->message, "there are more than 1024 rules, column"));
	g_assert_false(portspec_add(table, PORTSPEC_TCP, holes->str, &passt, &cut));
	g_assert_error(cut, PORTSPEC_ERROR, PORTSPEC_ERROR_LIMIT);
	g_assert_cmpuint(table->len, ==, 0);
	for (int i = 0; i < PORTSPEC_RULES_MAX; i++) {
		g_autofree char *spec = g_strdup_printf("%d", 1 + i);

		g_assert_true(portspec_add(table, PORTSPEC_TCP, spec, &passt, NULL));
	}
	g_assert_false(portspec_add(table, PORTSPEC_TCP, "5000", &passt, &one));
	g_assert_error(one, PORTSPEC_ERROR, PORTSPEC_ERROR_LIMIT);
}

/* The clever cut beside the stupid one: a port is published if and only if it was included and not excluded. */
static void twin(void)
{
	g_autoptr(GRand) rnd = g_rand_new_with_seed(6);

	for (int round = 0; round < 500; round++) {
		g_autoptr(GArray) table = portspec_table_new();
		g_autoptr(GString) spec = g_string_new(NULL);
		bool want[64] = { false }, out[64] = { false }, got[64] = { false };
		int at = 1;

		while (at < 60) {
			int last = at + g_rand_int_range(rnd, 0, 4);

			g_string_append_printf(spec, "%s%d-%d", spec->len ? "," : "", at, last);
			for (int p = at; p <= last; p++)
				want[p] = true;
			at = last + g_rand_int_range(rnd, 1, 4);
		}
		for (int i = g_rand_int_range(rnd, 0, 5); i > 0; i--) {
			int first = g_rand_int_range(rnd, 1, 64), last = g_rand_int_range(rnd, first, 64);

			g_string_append_printf(spec, ",~%d-%d", first, last);
			for (int p = first; p <= last; p++)
				out[p] = true;
		}
		g_assert_true(portspec_add(table, PORTSPEC_TCP, spec->str, &passt, NULL));
		for (guint i = 0; i < table->len; i++) {
			const struct portspec_rule *r = &g_array_index(table, struct portspec_rule, i);

			for (int p = r->first; p <= r->last; p++) {
				g_assert_false(got[p]);
				got[p] = true;
				g_assert_cmpint(r->to_first + p - r->first, ==, p);
			}
		}
		for (int p = 0; p < 64; p++)
			g_assert_cmpint(got[p], ==, want[p] && !out[p]);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/portspec/ports", ports);
	g_test_add_func("/portspec/binds", binds);
	g_test_add_func("/portspec/targets", targets);
	g_test_add_func("/portspec/excludes", excludes);
	g_test_add_func("/portspec/follow", follow);
	g_test_add_func("/portspec/any_port", any_port);
	g_test_add_func("/portspec/unix_path", unix_path);
	g_test_add_func("/portspec/refused", refused);
	g_test_add_func("/portspec/families", families);
	g_test_add_func("/portspec/conflicts", conflicts);
	g_test_add_func("/portspec/protocols_apart", protocols_apart);
	g_test_add_func("/portspec/bounded", bounded);
	g_test_add_func("/portspec/twin", twin);
	return g_test_run();
}
