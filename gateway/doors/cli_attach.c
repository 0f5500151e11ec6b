/* cli_attach.c - `slirpgate attach`: a gateway for a network namespace that exists already.
 *
 * The order: options, checks on the host, netns_attach(); with --daemon the fork, before any loop runs; then signals, link, gateway,
 * PID file; then the caller is let go, and the loop runs until the tap is gone with its namespace, or a signal ends it.
 * Exit status: 0, 1 for what fails, 2 for wrong usage.
 * Below: netns_attach.h, pidfile.h, cli_serve.h, cli_attach_args.h.  Above: cli.c.
 */
#include "gateway/doors/cli.h"
#include "gateway/doors/cli_attach_args.h"
#include "gateway/doors/cli_serve.h"
#include "gateway/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

struct attach {
	struct cli_serve serve;
	struct cli_attach_args args;
	int tap;     /* until the gateway has it, then -1 */
	int caller;  /* a daemon's pipe to the process that was called; -1: none */
	int pid_fd;  /* of the PID file, -1: none */
};

static const char help_head[] = "Usage: slirpgate attach [OPTIONS] PID|PATH|NAME\n"
				"\n"
				"Gives a network namespace that exists already a tap driven by slirpgate, until it goes.\n"
				"PID: that of a process; PATH: a namespace file; NAME: as ip netns list shows it.\n"
				"\n";

static const char help_tail[] = "\n"
				"Exit status: 0 when the namespace has gone, or at Ctrl-C or SIGTERM; 1 slirpgate failed.\n";

static bool fail(GError **err, const char *what)
{
	g_set_error(err, NETNS_ERROR, NETNS_ERROR_SETUP, "%s: %s", what, g_strerror(errno));
	return false;
}

/* ---- the daemon ---- */

/* True in the process that goes on.  The one that was called never returns from here: it ends with 0 when the other has written a byte, and
 * otherwise with 1, after the other has said why. */
static bool go_to_background(struct attach *a, GError **err)
{
	int ends[2];
	char byte;
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail(err, "cannot make a pipe");
	pid = fork();
	if (pid < 0)
		return fail(err, "cannot start a process");
	if (pid == 0) {
		close(ends[0]);
		a->caller = ends[1];
		setsid();
		return true;
	}
	close(ends[1]);
	do
		n = read(ends[0], &byte, 1);
	while (n < 0 && errno == EINTR);
	_exit(n == 1 ? 0 : CLI_EXIT_RUNTIME);
}

/* Nothing of the caller's is held from here on: its terminal, its pipes, its directory.  Then it is told. */
static bool let_caller_go(struct attach *a, GError **err)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (a->caller < 0) {
		if (null >= 0)
			close(null);
		return true;
	}
	if (null < 0 || chdir("/") < 0)
		return fail(err, "cannot leave the caller's files");
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (dup2(null, fd) < 0)
			return fail(err, "cannot leave the caller's files");
	}
	close(null);
	if (write(a->caller, "", 1) < 0)
		errno = 0; /* it has been killed; we serve */
	close(a->caller);
	a->caller = -1;
	return true;
}

/* ---- serving ---- */

static void on_signal(void *arg, int number)
{
	g_main_loop_quit(((struct attach *)arg)->serve.loop);
}

static void on_shutdown(void *arg)
{
	on_signal(arg, SIGTERM);
}

static void on_link_gone(void *arg, int err)
{
	struct attach *a = arg;

	journal_say(a->serve.journal, JOURNAL_INFO, "%s is gone (%s): its namespace has ended, or somebody has removed it", a->args.run.ifname,
		    g_strerror(err < 0 ? -err : err));
	g_main_loop_quit(a->serve.loop);
}

static bool take_tap(struct attach *a, GError **err)
{
	struct netns_attach_config cfg = {
		.target = a->args.target,
		.net = &a->args.run.net,
		.ifname = a->args.run.ifname,
		.offload = a->args.run.offload,
	};
	g_autofree char *warning = NULL;

	a->tap = netns_attach(&cfg, err);
	if (a->tap < 0)
		return false;
	warning = netns_attach_resolv_warning(&a->args.target, &a->args.run.net);
	if (warning)
		journal_say(a->serve.journal, JOURNAL_WARN, "%s", warning);
	return true;
}

static bool serve(struct attach *a, GError **err)
{
	int tap = a->tap;

	cli_serve_signals(&a->serve, (const int[]){ SIGINT, SIGTERM, SIGQUIT, SIGHUP, 0 }, on_signal, a);
	cli_serve_on_shutdown(&a->serve, on_shutdown, a);
	a->tap = -1;
	if (!cli_serve_link(&a->serve, tap, on_link_gone, a, err))
		return false;
	if (a->args.pid_file) {
		a->pid_fd = pidfile_write(a->args.pid_file, err);
		if (a->pid_fd < 0)
			return false;
	}
	return let_caller_go(a, err);
}

static bool attach(struct attach *a, GError **err)
{
	if (!cli_serve_check(&a->serve, err) || !cli_serve_bind(&a->serve, err) || (a->args.pid_file && !pidfile_check(a->args.pid_file, err)))
		return false;
	if (!take_tap(a, err) || (a->args.daemon && !go_to_background(a, err)) || !serve(a, err))
		return false;
	g_main_loop_run(a->serve.loop);
	cli_serve_stats(&a->serve);
	return true;
}

static int run(struct attach *a)
{
	g_autoptr(GError) err = NULL;
	int rc = 0;

	cli_serve_init(&a->serve, &a->args.run);
	cli_serve_warn(&a->serve, "the namespace");
	if (!attach(a, &err)) {
		journal_say(a->serve.journal, JOURNAL_ERROR, "attach: %s", err->message);
		rc = CLI_EXIT_RUNTIME;
	}
	cli_serve_clear(&a->serve);
	if (a->tap >= 0)
		close(a->tap);
	pidfile_remove(a->args.pid_file, a->pid_fd);
	cli_attach_args_clear(&a->args);
	return rc;
}

int cli_attach(int argc, char **argv)
{
	struct attach a = { .tap = -1, .caller = -1, .pid_fd = -1 };
	g_autoptr(GError) err = NULL;

	if (!cli_attach_args_parse(argc, argv, &a.args, &err))
		return cli_serve_usage(err);
	if (a.args.run.help || a.args.run.version) {
		cli_attach_args_clear(&a.args);
		return cli_serve_text(&a.args.run, help_head, cli_attach_args_table, help_tail);
	}
	return run(&a);
}
