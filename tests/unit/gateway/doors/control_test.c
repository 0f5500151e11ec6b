/* control_test.c - requests and answers, line by line, and how a wrong one ends. */
#include "gateway/doors/cli_ctl_table.h"
#include "gateway/doors/control.h"
#include "gateway/journal.h"

#include <string.h>
#include <unistd.h>

static int shut;

static void on_shutdown(void *arg)
{
	(void)arg;
	shut++;
}

/* want: the whole answer without its newline. */
static void check(const char *request, const char *want)
{
	g_autoptr(GString) expect = g_string_new(want);
	struct journal *journal = journal_new(STDERR_FILENO, JOURNAL_ERROR);
	struct control_env env = { .journal = journal, .shutdown = on_shutdown };
	g_autofree char *got = control_answer(&env, request, strlen(request));

	g_string_append_c(expect, '\n');
	g_assert_cmpstr(got, ==, expect->str);
	journal_free(journal);
}

static void answers(void)
{
	check("{\"execute\":\"version\"}", "{\"return\":{\"version\":\"" SLIRPGATE_VERSION "\"}}");
	check("{\"execute\":\"version\",\"id\":7}", "{\"return\":{\"version\":\"" SLIRPGATE_VERSION "\"},\"id\":7}");
	check(" {\"id\":{\"a\":[1,\"x\"]}, \"arguments\":{}, \"execute\":\"version\"} ",
	      "{\"return\":{\"version\":\"" SLIRPGATE_VERSION "\"},\"id\":{\"a\":[1,\"x\"]}}");
	check("{\"execute\":\"log-level\",\"arguments\":{\"level\":\"debug\"}}", "{\"return\":{}}");
	shut = 0;
	check("{\"execute\":\"shutdown\"}", "{\"return\":{}}");
	g_assert_cmpint(shut, ==, 1);
}

static void refused(void)
{
	check("{\"execute\":\"nonesuch\",\"id\":1}",
	      "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"bad request: there is no command nonesuch\"},\"id\":1}");
	check("{\"arguments\":{}}", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"bad request: \\\"execute\\\" is missing, or not a string\"}}");
	check("{\"execute\":5}", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"bad request: \\\"execute\\\" is missing, or not a string\"}}");
	check("[1]", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"bad request: it is not an object\"}}");
	check("{\"execute\":\"version\",\"arguments\":[]}",
	      "{\"error\":{\"class\":\"GenericError\",\"desc\":\"bad request: \\\"arguments\\\" is not an object\"}}");
	check("{\"execute\":\"version\",\"arguments\":{\"x\":1}}",
	      "{\"error\":{\"class\":\"InvalidArgument\",\"desc\":\"bad request: argument x is none of this command's\"}}");
	check("{\"execute\":\"log-level\"}", "{\"error\":{\"class\":\"InvalidArgument\",\"desc\":\"bad request: argument level is missing\"}}");
	check("{\"execute\":\"log-level\",\"arguments\":{\"level\":3}}",
	      "{\"error\":{\"class\":\"InvalidArgument\",\"desc\":\"bad request: argument level is not a string\"}}");
	check("{\"execute\":\"log-level\",\"arguments\":{\"level\":\"loud\"}}",
	      "{\"error\":{\"class\":\"InvalidArgument\",\"desc\":\"bad request: argument level is none of error, warn, info, debug\"}}");
	check("{\"execute\":\"publish-remove\",\"arguments\":{\"id\":-1}}",
	      "{\"error\":{\"class\":\"InvalidArgument\",\"desc\":\"bad request: argument id is not a number\"}}");
	check("\xff\xfe", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"bad request: it is not UTF-8\"}}");
}

/* Recursion in a parser is bounded by us, whatever it does itself; brackets inside of strings do not count. */
static void deep(void)
{
	g_autofree char *open = g_strnfill(1 << 20, '['), *text = g_strnfill(1000, '[');
	g_autofree char *request = g_strdup_printf("{\"execute\":\"version\",\"id\":\"%s\\\"\"}", text);
	g_autofree char *want = g_strdup_printf("{\"return\":{\"version\":\"" SLIRPGATE_VERSION "\"},\"id\":\"%s\\\"\"}", text);

	check(open, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"bad request: it is nested too deeply\"}}");
	check(request, want);
}

static void not_json(void)
{
	static const char *const list[] = { "{", "}", "{\"execute\"", "{\"execute\":\"version\"}}", "version", "{\"execute\":\"version\",}", "\x01" };

	for (unsigned i = 0; i < G_N_ELEMENTS(list); i++) {
		struct control_env env = { 0 };
		g_autofree char *got = control_answer(&env, list[i], strlen(list[i]));

		g_assert_true(g_str_has_prefix(got, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"bad request: "));
	}
}

/* Half of a surrogate pair, which the parser quotes in its complaint. */
static void answer_is_utf8(void)
{
	const char *request = "{\"\\udebue\"g-le\"\\";
	struct control_env env = { 0 };
	g_autofree char *got = control_answer(&env, request, strlen(request));

	g_assert_true(g_utf8_validate(got, -1, NULL));
	g_assert_true(g_str_has_prefix(got, "{\"error\":{\"class\":\"GenericError\""));
}

/* Every row has what a client needs to use it, and required arguments come first. */
static void schema(void)
{
	struct control_env env = { 0 };
	const char *request = "{\"execute\":\"schema\"}";
	g_autofree char *got = control_answer(&env, request, strlen(request));
	g_autoptr(JsonNode) root = json_from_string(got, NULL);
	JsonArray *list = json_object_get_array_member(json_node_get_object(root), "return");

	g_assert_cmpuint(json_array_get_length(list), >=, 10);
	for (guint i = 0; i < json_array_get_length(list); i++) {
		JsonObject *row = json_array_get_object_element(list, i);

		g_assert_nonnull(control_command_find(json_object_get_string_member(row, "name")));
		g_assert_cmpint(strlen(json_object_get_string_member(row, "help")), >, 5);
	}
}

static void check_table(const char *json, const char *want)
{
	g_autoptr(JsonNode) node = json_from_string(json, NULL);
	g_autofree char *got = cli_ctl_table(node);

	g_assert_cmpstr(got, ==, want);
}

static void tables(void)
{
	check_table("[{\"id\":1,\"rule\":\"x\"},{\"id\":20,\"rule\":\"long one\"}]", "id  rule\n1   x\n20  long one\n");
	check_table("{\"a\":1,\"long\":{\"b\":true},\"c\":[]}", "a     1\nlong\n  b  true\nc     -\n");
	check_table("{\"list\":[{\"n\":1}]}", "list\n  n\n  1\n");
	check_table("[{\"c\":\"x\",\"args\":[{\"name\":\"a\",\"required\":true},{\"name\":\"b\",\"required\":false}]}]", "c  args\nx  a [b]\n");
	check_table("[]", "nothing\n");
	check_table("{}", "");
	check_table("{\"a\":\"\\u001b[2J\\n\"}", "a  ?[2J?\n");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/control/answers", answers);
	g_test_add_func("/control/refused", refused);
	g_test_add_func("/control/deep", deep);
	g_test_add_func("/control/not_json", not_json);
	g_test_add_func("/control/answer_is_utf8", answer_is_utf8);
	g_test_add_func("/control/schema", schema);
	g_test_add_func("/control/tables", tables);
	return g_test_run();
}
