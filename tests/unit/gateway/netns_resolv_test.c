/* netns_resolv_test.c - the text of the guest's resolv.conf.  That it is bound where it belongs is seen by the end-to-end tests. */
#include "gateway/netns_resolv.h"

static void check(bool v4, bool v6, const char *const *search, const char *want)
{
	struct gateway_config cfg;
	g_autofree char *text = NULL;

	gateway_config_init(&cfg);
	cfg.v4 = v4;
	cfg.v6 = v6;
	text = netns_resolv_text(&cfg, search);
	g_assert_true(text[0] == '#');
	g_assert_cmpstr(strchr(text, '\n') + 1, ==, want);
}

static void test_text(void)
{
	static const char *const none[] = { NULL }, *const two[] = { "a.test", "b.test", NULL };

	check(true, true, NULL, "nameserver 10.0.2.3\nnameserver fd00::3\n");
	check(true, false, none, "nameserver 10.0.2.3\n");
	check(false, true, two, "nameserver fd00::3\nsearch a.test b.test\n");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/netns_resolv/text", test_text);
	return g_test_run();
}
