/* cli_run.c - `slirpgate run`: a gateway for one command in a namespace of its own.
 *
 * The order, which is the contract of netns.h: options, checks on the host, netns_spawn(); only then what changes this process
 * (signals, descriptor limit); then link and gateway; then netns_go(), and the loop until COMMAND has ended.
 * Exit status: COMMAND's own (128 + signal when killed); 125 our failure, 126 and 127 from exec; 2 wrong usage.
 * Below: netns.h, cli_serve.h, cli_run_args.h.  Above: cli.c.
 */
#include "gateway/doors/cli.h"
#include "gateway/doors/cli_run_args.h"
#include "gateway/doors/cli_serve.h"
#include "gateway/netns.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct run {
	struct cli_serve serve;
	struct cli_run_args args;
	struct netns_child child;
	int status; /* of COMMAND, as waitpid() gives it */
};

static const char help_head[] = "Usage: slirpgate run [OPTIONS] [--] [COMMAND...]\n"
				"\n"
				"Runs COMMAND (your shell) in a network namespace whose only way out is slirpgate.\n"
				"\n";

static const char help_tail[] = "\n"
				"Exit status: COMMAND's; 125 slirpgate failed, 126 COMMAND cannot be run, 127 not found.\n";

/* ---- COMMAND ---- */

static bool spawn(struct run *r, GError **err)
{
	const char *shell = g_getenv("SHELL");
	char *own[] = { (char *)(shell && *shell ? shell : "/bin/sh"), NULL };
	struct netns_config cfg = {
		.net = &r->args.net,
		.ifname = r->args.ifname,
		.search = r->args.search,
		.offload = r->args.offload,
		.map_root = r->args.map_root,
		.argv = *r->args.command ? r->args.command : own,
		.journal = r->serve.journal,
	};

	return netns_spawn(&cfg, &r->child, err);
}

static void on_child(GPid pid, int status, void *arg)
{
	struct run *r = arg;

	r->child.pid = -1;
	r->status = status;
	g_main_loop_quit(r->serve.loop);
}

static void on_link_gone(void *arg, int err)
{
	struct run *r = arg;

	journal_say(r->serve.journal, JOURNAL_WARN, "the tap is gone (%s): the command has no network any more", g_strerror(err < 0 ? -err : err));
}

/* ---- this process ---- */

static void on_signal(void *arg, int number)
{
	struct run *r = arg;

	if (r->child.pid > 0)
		kill(r->child.pid, number);
}

static void on_shutdown(void *arg)
{
	on_signal(arg, SIGTERM);
}

/* The terminal's signals are COMMAND's to judge; TERM and HUP are handed on to it. */
static void take_signals(struct run *r)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGTTOU, SIG_IGN); /* a warning while COMMAND has the terminal */
	cli_serve_signals(&r->serve, (const int[]){ SIGTERM, SIGHUP, 0 }, on_signal, r);
}

/* Everything between the options and the end of COMMAND. */
static bool run_command(struct run *r, GError **err)
{
	int tap;

	if (!cli_serve_check(&r->serve, err) || !cli_serve_bind(&r->serve, err) || !spawn(r, err))
		return false;
	take_signals(r);
	cli_serve_on_shutdown(&r->serve, on_shutdown, r);
	cli_serve_attach(&r->serve, g_child_watch_source_new(r->child.pid), G_SOURCE_FUNC(on_child), r);
	tap = r->child.tap;
	r->child.tap = -1;
	if (!cli_serve_link(&r->serve, tap, on_link_gone, r, err) || !netns_go(&r->child, err))
		return false;
	g_main_loop_run(r->serve.loop);
	cli_serve_stats(&r->serve);
	return true;
}

static int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run(struct run *r)
{
	g_autoptr(GError) err = NULL;
	int rc;

	cli_serve_init(&r->serve, &r->args);
	cli_serve_warn(&r->serve, "the command");
	if (run_command(r, &err)) {
		rc = exit_status(r->status);
	} else {
		journal_say(r->serve.journal, JOURNAL_ERROR, "run: %s", err->message);
		rc = err->domain == NETNS_ERROR ? err->code : NETNS_ERROR_SETUP;
	}
	netns_child_end(&r->child);
	cli_serve_clear(&r->serve);
	cli_run_args_clear(&r->args);
	return rc;
}

int cli_run(int argc, char **argv)
{
	struct run r = { .child = { .pid = -1, .sock = -1, .tap = -1 } };
	g_autoptr(GError) err = NULL;

	if (!cli_run_args_parse(argc, argv, &r.args, &err))
		return cli_serve_usage(err);
	if (r.args.help || r.args.version) {
		cli_run_args_clear(&r.args);
		return cli_serve_text(&r.args, help_head, cli_run_args_table, help_tail);
	}
	return run(&r);
}
