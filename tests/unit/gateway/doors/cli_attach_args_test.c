/* cli_attach_args_test.c - which namespace a word means, where the options may stand, and the sentences for what is wrong. */
#include "gateway/doors/cli_attach_args.h"

#include "gateway/doors/cli.h"

#include <string.h>

static void test_targets(void)
{
	static const struct {
		const char *text;
		enum netns_attach_kind kind;
	} rows[] = {
		{ "1", NETNS_ATTACH_PID },	       { "4194304", NETNS_ATTACH_PID }, { "/run/netns/blue", NETNS_ATTACH_PATH },
		{ "./net", NETNS_ATTACH_PATH },	       { "12/net", NETNS_ATTACH_PATH }, { "/proc/12/ns/net", NETNS_ATTACH_PATH },
		{ "blue", NETNS_ATTACH_NAME },	       { "12a", NETNS_ATTACH_NAME },	{ "-blue", NETNS_ATTACH_NAME },
		{ "cni-1234-56.a", NETNS_ATTACH_NAME }, { "...", NETNS_ATTACH_NAME },	{ "1 2", NETNS_ATTACH_NAME },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct netns_attach_target t;
		g_autoptr(GError) err = NULL;

		g_assert_true(cli_attach_args_target(rows[i].text, &t, &err));
		g_assert_no_error(err);
		g_assert_cmpint(t.kind, ==, rows[i].kind);
		g_assert_cmpstr(t.text, ==, rows[i].text);
	}
}

static void test_no_targets(void)
{
	g_autofree char *longest = g_strnfill(255, 'n');
	g_autofree char *longer = g_strnfill(256, 'n');
	const struct {
		const char *text, *why;
	} rows[] = {
		{ "", "an empty word" },
		{ "0", "not in 1-4194304" },
		{ "4194305", "not in 1-4194304" },
		{ "99999999999999999999", "not in 1-4194304" },
		{ "012", "012: a process number does not begin with 0, column 1" },
		{ ".", ".: not the name of a namespace, column 1" },
		{ "..", "..: not the name of a namespace, column 1" },
		{ longer, "longer than 255 characters, column 256" },
	};
	struct netns_attach_target t = { 0 };

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) err = NULL;

		g_assert_false(cli_attach_args_target(rows[i].text, &t, &err));
		g_assert_error(err, CLI_OPTION_ERROR, CLI_EXIT_USAGE);
		g_assert_nonnull(strstr(err->message, rows[i].why));
		g_assert_null(t.text);
	}
	g_assert_true(cli_attach_args_target(longest, &t, NULL));
}

static bool parse(const char *line, struct cli_attach_args *ret, char ***ret_words, GError **err)
{
	*ret_words = g_strsplit(line, " ", -1);
	return cli_attach_args_parse((int)g_strv_length(*ret_words), *ret_words, ret, err);
}

static void test_options_anywhere(void)
{
	static const char *const lines[] = {
		"--daemon --pid-file /run/x -4 --mtu 1500 blue",
		"blue --daemon --pid-file=/run/x -4 --mtu=1500",
		"--daemon -4 blue --mtu 1500 --pid-file /run/../run/x",
		"--daemon -4 --mtu 1500 --pid-file /tmp --pid-file /run/x -- blue",
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++) {
		struct cli_attach_args a;
		g_autoptr(GError) err = NULL;
		char **words;

		g_assert_true(parse(lines[i], &a, &words, &err));
		g_assert_no_error(err);
		g_assert_true(a.daemon && a.run.net.v4 && !a.run.net.v6);
		g_assert_cmpuint(a.run.net.mtu, ==, 1500);
		g_assert_cmpstr(a.pid_file, ==, "/run/x");
		g_assert_cmpstr(a.target.text, ==, "blue");
		cli_attach_args_clear(&a);
		g_strfreev(words);
	}
}

static void test_defaults_are_those_of_run(void)
{
	struct cli_attach_args a;
	struct cli_run_args run;
	char **words;

	g_assert_true(parse("7", &a, &words, NULL));
	cli_run_args_init(&run);
	g_assert_true(cli_run_args_check(&run, NULL));
	g_assert_cmpmem(&a.run.net, sizeof(run.net), &run.net, sizeof(run.net));
	g_assert_cmpstr(a.run.ifname, ==, run.ifname);
	g_assert_true(a.run.offload && !a.daemon && !a.pid_file);
	g_strfreev(words);
}

static void test_help_needs_no_target(void)
{
	struct cli_attach_args a;
	char **words;

	g_assert_true(parse("--help", &a, &words, NULL));
	g_assert_true(a.run.help);
	g_strfreev(words);
}

static void test_wrong(void)
{
	static const struct {
		const char *line, *why;
	} rows[] = {
		{ "--daemon", "attach: which namespace?" },
		{ "-4 --", "attach: which namespace?" },
		{ "1 2", "attach: 2: a second namespace behind 1" },
		{ "blue -4 green", "attach: green: a second namespace behind blue" },
		{ "--root 1", "--root: no such option" },
		{ "1 --pid-file", "--pid-file: a value is missing" },
		{ "1 --pid-file=", "--pid-file: an empty word" },
		{ "1 --daemon=yes", "--daemon: takes no value" },
		{ "1 -4 -6", "-4 and -6 together" },
		{ "1 --stats=json --daemon", "--stats: with --daemon" },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct cli_attach_args a;
		g_autoptr(GError) err = NULL;
		char **words;

		g_assert_false(parse(rows[i].line, &a, &words, &err));
		g_assert_error(err, CLI_OPTION_ERROR, CLI_EXIT_USAGE);
		g_assert_cmpmem(err->message, MIN(strlen(err->message), strlen(rows[i].why)), rows[i].why, strlen(rows[i].why));
		g_strfreev(words);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cli_attach_args/targets", test_targets);
	g_test_add_func("/cli_attach_args/no_targets", test_no_targets);
	g_test_add_func("/cli_attach_args/options_anywhere", test_options_anywhere);
	g_test_add_func("/cli_attach_args/defaults_are_those_of_run", test_defaults_are_those_of_run);
	g_test_add_func("/cli_attach_args/help_needs_no_target", test_help_needs_no_target);
	g_test_add_func("/cli_attach_args/wrong", test_wrong);
	return g_test_run();
}
