/* cli_attach_args.c - the table of `slirpgate attach`, and what its one argument names. */
#include "gateway/doors/cli_attach_args.h"

#include "gateway/doors/cli.h"
#include "gateway/doors/cli_value.h"

enum {
	PID_LAST = 4194304, /* what Linux gives at most */
	NAME_LEN_MAX = 255, /* of a file */
};

static bool fail(GError **err, const char *why)
{
	g_set_error_literal(err, CLI_OPTION_ERROR, CLI_EXIT_USAGE, why);
	return false;
}

static bool set_daemon(void *ctx, const char *value, GError **err)
{
	((struct cli_attach_args *)ctx)->daemon = true;
	return true;
}

static bool set_pid_file(void *ctx, const char *value, GError **err)
{
	struct cli_attach_args *args = ctx;

	if (!*value)
		return fail(err, "an empty word names no file");
	cli_run_args_clear(&args->run);
	g_free(args->pid_file);
	args->pid_file = g_canonicalize_filename(value, NULL); /* a daemon changes its directory */
	return true;
}

const struct cli_option cli_attach_args_table[] = {
	{ 0, "daemon", NULL, "go to the background when the guest is served", set_daemon },
	{ 0, "pid-file", "PATH", "holds the process number while the guest is served", set_pid_file },
	{ 0, NULL, NULL, NULL, NULL, cli_run_args_shared },
};

bool cli_attach_args_target(const char *text, struct netns_attach_target *ret, GError **err)
{
	enum netns_attach_kind kind = NETNS_ATTACH_NAME;
	unsigned pid;

	if (!*text)
		return fail(err, "an empty word names no namespace; PID, PATH or NAME is wanted");
	if (strchr(text, '/')) {
		kind = NETNS_ATTACH_PATH;
	} else if (text[strspn(text, "0123456789")] == '\0') {
		kind = NETNS_ATTACH_PID;
		if (!cli_value_number(text, 1, PID_LAST, &pid, err))
			return false;
		if (*text == '0')
			return cli_value_fail(err, text, text, "a process number does not begin with 0");
	} else if (!strcmp(text, ".") || !strcmp(text, "..")) {
		return cli_value_fail(err, text, text, "not the name of a namespace");
	} else if (strlen(text) > NAME_LEN_MAX) {
		return cli_value_fail(err, text, text + NAME_LEN_MAX, "longer than %d characters", NAME_LEN_MAX);
	}
	*ret = (struct netns_attach_target){ kind, text };
	return true;
}

/* Walks all of argv: the target may stand anywhere among the options. */
static bool parse_words(struct cli_attach_args *args, int argc, char **argv, GError **err)
{
	int at = 0;

	while (at < argc) {
		int used = cli_option_parse(cli_attach_args_table, args, argc - at, argv + at, err);

		if (used < 0)
			return false;
		at += used;
		if (at < argc && args->target.text) {
			g_set_error(err, CLI_OPTION_ERROR, CLI_EXIT_USAGE, "attach: %s: a second namespace behind %s", argv[at], args->target.text);
			return false;
		}
		if (at < argc && !cli_attach_args_target(argv[at++], &args->target, err)) {
			g_prefix_error(err, "attach: ");
			return false;
		}
	}
	return true;
}

bool cli_attach_args_parse(int argc, char **argv, struct cli_attach_args *ret, GError **err)
{
	struct cli_attach_args args = { 0 };
	bool ok;

	cli_run_args_init(&args.run);
	ok = parse_words(&args, argc, argv, err) && cli_run_args_check(&args.run, err);
	if (ok && !args.run.help && !args.run.version && !args.target.text)
		ok = fail(err, "attach: which namespace? PID, PATH or NAME is missing; see slirpgate attach --help");
	if (ok && args.daemon && args.run.stats != CLI_RUN_STATS_NONE)
		ok = fail(err, "--stats: with --daemon there is no standard error to print to at the end");
	if (ok)
		*ret = args;
	else
		cli_attach_args_clear(&args);
	return ok;
}

void cli_attach_args_clear(struct cli_attach_args *args)
{
	cli_run_args_clear(&args->run);
	g_free(args->pid_file);
	args->pid_file = NULL;
}
