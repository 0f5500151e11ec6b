/* cli_report_test.c - counters as JSON and as text, strings as JSON. */
#include "gateway/doors/cli_report.h"

#include <string.h>

static void test_string(void)
{
	g_autoptr(GString) s = g_string_new(NULL);

	cli_report_json_string(s, "a \"b\"\\\n\x1b caf\xc3\xa9 \xff");
	g_assert_cmpstr(s->str, ==, "\"a \\\"b\\\"\\\\\\u000a\\u001b caf\xc3\xa9 \xef\xbf\xbd\"");
}

static void test_stats(void)
{
	struct gateway_stats st = { .link_rx_frames = 3, .turns = UINT64_MAX };
	g_autofree char *json = NULL, *text = NULL;

	st.drops.n[R_SPOOFED_MAC] = 4;
	st.drops.n[R_IP_HEADER] = 5;
	json = cli_report_stats_json(&st);
	g_assert_true(g_str_has_prefix(json, "{\"link_rx_frames\":3,"));
	g_assert_true(g_str_has_suffix(json, ",\"turns\":18446744073709551615,\"drops\":{\"SPOOFED_MAC\":4,\"IP_HEADER\":5},\"closes\":{}}\n"));
	text = cli_report_stats_text(&st);
	g_assert_nonnull(strstr(text, "4  dropped: "));
	g_assert_nonnull(strstr(text, reason_text(R_SPOOFED_MAC)));
	g_assert_null(strstr(text, "closed: "));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cli_report/string", test_string);
	g_test_add_func("/cli_report/stats", test_stats);
	return g_test_run();
}
