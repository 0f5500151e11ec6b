/* policy_test.c - the destinations that are never dialed, each network by its first, its last and its neighbours. */
#include "policy/policy.h"

#include <glib.h>

static enum reason judge(const char *text)
{
	struct addr a;

	g_assert_true(addr_parse(text, &a, NULL));
	return policy_never_dialed(&a);
}

static void never(void)
{
	static const char *const list[] = {
		"0.0.0.0", "0.0.0.1", "0.255.255.255", "127.0.0.0", "127.0.0.1", "127.255.255.255", "224.0.0.0", "239.255.255.255",
		"240.0.0.0", "255.255.255.254", "255.255.255.255", "::", "::1", "::2", "::7f00:1", "::127.0.0.1", "::ffff:ffff", "fe80::",
		"fe80::1", "febf:ffff::1", "ff00::", "ff02::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(list); i++)
		g_assert_cmpint(judge(list[i]), ==, R_NEVER_DIALED);
}

/* The mapped form means the IPv4 address, whoever wrote it. */
static void never_mapped(void)
{
	g_assert_cmpint(judge("::ffff:127.0.0.1"), ==, R_NEVER_DIALED);
	g_assert_cmpint(judge("::ffff:0.0.0.0"), ==, R_NEVER_DIALED);
	g_assert_cmpint(judge("::ffff:192.0.2.1"), ==, R_ACCEPTED);
}

static void open_to_all(void)
{
	static const char *const list[] = {
		"1.0.0.0", "10.0.2.2", "126.255.255.255", "128.0.0.0", "169.254.169.254", "192.168.0.1", "223.255.255.255", "0:0:0:0:0:1::",
		"2001:db8::1", "fc00::1", "fd00::2", "fe7f:ffff::1", "fec0::1", "feff::1", "64:ff9b::1",
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(list); i++)
		g_assert_cmpint(judge(list[i]), ==, R_ACCEPTED);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/policy/never", never);
	g_test_add_func("/policy/never/mapped", never_mapped);
	g_test_add_func("/policy/open", open_to_all);
	return g_test_run();
}
