/* group_test.c - groups by their edges, and embedded addresses.  Contract P8, P10, P22. */
#include "policy/group.h"

#include <glib.h>

static struct addr addr(const char *text)
{
	struct addr a;

	g_assert_true(addr_parse(text, &a, NULL));
	return a;
}

static void check(enum policy_group want, const char *list)
{
	g_auto(GStrv) words = g_strsplit(list, " ", 0);

	for (int i = 0; words[i]; i++) {
		struct addr a = addr(words[i]);

		if (policy_group_of(&a, false) != want)
			g_error("%s is %s", words[i], policy_group_name(policy_group_of(&a, false)));
		g_assert_cmpint(policy_group_of(&a, true), ==, POLICY_GROUP_HOST);
	}
}

static void edges(void)
{
	check(POLICY_GROUP_METADATA, "169.254.169.254 169.254.169.253 169.254.169.123 169.254.170.2 169.254.170.23 100.100.100.200 "
				     "168.63.129.16 192.0.0.192 fd00:ec2::254 fd20:ce::254 ::ffff:169.254.169.254");
	check(POLICY_GROUP_LOOPBACK, "127.0.0.0 127.255.255.255 ::1 0.0.0.0 0.255.255.255 ::");
	check(POLICY_GROUP_PRIVATE, "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255 100.64.0.0 100.127.255.255 "
				    "198.18.0.0 198.19.255.255 fc00:: fdff:ffff:: fd00:ec2::253 fec0::1");
	check(POLICY_GROUP_LINKLOCAL, "169.254.0.0 169.254.255.255 169.254.169.252 fe80:: febf:ffff::");
	check(POLICY_GROUP_MULTICAST, "224.0.0.0 239.255.255.255 255.255.255.255 ff00:: ffff::1");
	check(POLICY_GROUP_PUBLIC, "1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 "
				   "169.255.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 240.0.0.0 "
				   "168.63.129.17 ::2 2000:: 2001:db8::1 64:ff9b::10.0.0.1 fbff:: fe00:: fe7f::");
}

static void names(void)
{
	enum policy_group g;

	for (int i = 0; i < POLICY_GROUPS; i++) {
		g_assert_true(policy_group_parse(policy_group_name((enum policy_group)i), &g));
		g_assert_cmpint(g, ==, i);
	}
	g_assert_false(policy_group_parse("Metadata", &g));
	g_assert_false(policy_group_parse("", &g));
}

static void check_forms(const char *text, const char *want)
{
	struct addr a = addr(text), forms[POLICY_FORMS_MAX];
	unsigned n = policy_forms(&a, forms);
	g_autoptr(GString) got = g_string_new(NULL);
	char buf[ADDR_STRLEN];

	g_assert_true(addr_eq(&forms[0], &a));
	for (unsigned i = 1; i < n; i++)
		g_string_append_printf(got, "%s%s", i > 1 ? " " : "", addr_format(&forms[i], buf));
	g_assert_cmpstr(got->str, ==, want);
}

/* P8: what could lead to the metadata service by another road. */
static void forms(void)
{
	check_forms("169.254.169.254", "");
	check_forms("::ffff:169.254.169.254", "");
	check_forms("2001:db8::169.254.169.254", "");
	check_forms("64:ff9b::169.254.169.254", "169.254.169.254");
	check_forms("64:ff9b:1::169.254.169.254", "169.254.169.254");
	check_forms("64:ff9b:1:ffff:ffff:ffff:169.254.169.254", "169.254.169.254");
	check_forms("64:ff9b:2::169.254.169.254", "");
	check_forms("2002:a9fe:a9fe::1", "169.254.169.254");
	check_forms("2001:0:a9fe:a9fe::5601:5601", "169.254.169.254 169.254.169.254");
	check_forms("2001:0:c000:201:0:0:5601:5601", "192.0.2.1 169.254.169.254");
	check_forms("::10.0.0.1", "10.0.0.1");
	check_forms("fd00::10.0.0.1", "");
}

/* Every address is in one group, whatever it is: nothing falls through. */
static void complete(void)
{
	for (int i = 0; i < 200000; i++) {
		struct addr a;

		for (int b = 0; b < 16; b++)
			a.b[b] = (uint8_t)g_test_rand_int();
		if (i & 1)
			a = addr_from_v4(a.b);
		g_assert_cmpint(policy_group_of(&a, false), <, POLICY_GROUPS);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/group/edges", edges);
	g_test_add_func("/group/names", names);
	g_test_add_func("/group/forms", forms);
	g_test_add_func("/group/complete", complete);
	return g_test_run();
}
