/* cli_run.c - `slirpgate run`: a gateway for one command in a namespace of its own.
 *
 * The order, which is the contract of netns.h: options, checks on the host, netns_spawn(); only then what changes this process
 * (signals, descriptor limit); then link and gateway; then netns_go(), and the loop until COMMAND has ended.
 * Exit status: COMMAND's own (128 + signal when killed); 125 our failure, 126 and 127 from exec; 2 wrong usage.
 * Below: netns.h, gateway.h, link_tap.h, cli_run_args.h, cli_report.h.  Above: cli.c.
 */
#include "gateway/doors/cli.h"
#include "gateway/doors/cli_report.h"
#include "gateway/doors/cli_run_args.h"
#include "gateway/link_tap.h"
#include "gateway/netns.h"

#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct run {
	struct cli_run_args args;
	struct journal *journal;
	struct netns_child child;
	GMainContext *ctx;
	GMainLoop *loop;
	struct gateway *gw;
	int signals; /* signalfd, -1: none */
	int status;  /* of COMMAND, as waitpid() gives it */
};

static const char help_head[] = "Usage: slirpgate run [OPTIONS] [--] [COMMAND...]\n"
				"\n"
				"Runs COMMAND (your shell) in a network namespace whose only way out is slirpgate.\n"
				"\n";

static const char help_tail[] = "\n"
				"Exit status: COMMAND's; 125 slirpgate failed, 126 COMMAND cannot be run, 127 not found.\n";

static bool fail(GError **err, const char *format, ...) G_GNUC_PRINTF(2, 3);

static bool fail(GError **err, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	g_set_error_literal(err, NETNS_ERROR, NETNS_ERROR_SETUP, text);
	return false;
}

/* ---- what the host must have ---- */

/* bind() is the judge: it also knows addresses that only a local route makes ours. */
static bool check_outbound(const struct addr *a, GError **err)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	bool v4 = addr_is_v4(a);
	char text[ADDR_STRLEN];
	int fd, rc;

	if (addr_is_unspecified(a))
		return true;
	memcpy(&in.sin_addr, addr_v4_bytes(a), 4);
	memcpy(&in6.sin6_addr, a->b, 16);
	fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	rc = fd < 0 ? -1 : v4 ? bind(fd, (struct sockaddr *)&in, sizeof(in)) : bind(fd, (struct sockaddr *)&in6, sizeof(in6));
	if (rc < 0)
		fail(err, "--outbound: %s: %s", addr_format(a, text),
		     errno == EADDRNOTAVAIL ? "no interface of this host has this address" : g_strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc == 0;
}

static bool check_outbound_if(const char *name, GError **err)
{
	int fd, rc, e;

	if (!*name)
		return true;
	if (!if_nametoindex(name))
		return fail(err, "--outbound-if: %s: this host has no such interface", name);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	rc = fd < 0 ? -1 : setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name) + 1);
	e = errno;
	if (fd >= 0)
		close(fd);
	return rc == 0 || fail(err, "--outbound-if: %s: cannot bind to it: %s", name, g_strerror(e));
}

static bool check_host(const struct gateway_config *net, GError **err)
{
	return check_outbound(&net->outbound4, err) && check_outbound(&net->outbound6, err) && check_outbound_if(net->outbound_if, err);
}

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
		.journal = r->journal,
	};

	return netns_spawn(&cfg, &r->child, err);
}

static void on_child(GPid pid, int status, void *arg)
{
	struct run *r = arg;

	r->child.pid = -1;
	r->status = status;
	g_main_loop_quit(r->loop);
}

static gboolean on_signal(int fd, GIOCondition condition, void *arg)
{
	struct run *r = arg;
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (r->child.pid > 0)
			kill(r->child.pid, (int)info.ssi_signo);
	}
	return G_SOURCE_CONTINUE;
}

static void on_link_gone(void *arg, int err)
{
	struct run *r = arg;

	journal_say(r->journal, JOURNAL_WARN, "the tap is gone (%s): the command has no network any more", g_strerror(err < 0 ? -err : err));
}

/* ---- this process ---- */

static void attach(struct run *r, GSource *source, GSourceFunc fn)
{
	g_source_set_callback(source, fn, r, NULL);
	g_source_attach(source, r->ctx);
	g_source_unref(source);
}

/* The terminal's signals are COMMAND's to judge; TERM and HUP are handed on to it.  A HUP the caller had us ignore (nohup) stays so. */
static void take_signals(struct run *r)
{
	struct sigaction hup = { 0 };
	sigset_t set;

	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTTOU, SIG_IGN); /* a warning while COMMAND has the terminal */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	if (sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r->signals >= 0)
		attach(r, g_unix_fd_source_new(r->signals, G_IO_IN), G_SOURCE_FUNC(on_signal));
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit); /* fewer descriptors mean fewer flows, nothing else */
	}
}

static bool serve(struct run *r, GError **err)
{
	struct link *link = link_tap_new(r->child.tap, r->args.net.mtu, err);

	r->child.tap = -1;
	if (!link)
		return false;
	r->args.net.journal = r->journal;
	r->gw = gateway_new(&r->args.net, link, r->ctx, err);
	if (!r->gw)
		return false;
	gateway_on_link_gone(r->gw, on_link_gone, r);
	return true;
}

static void print_stats(const struct run *r)
{
	struct gateway_stats st;
	g_autofree char *text = NULL;

	if (r->args.stats == CLI_RUN_STATS_NONE)
		return;
	gateway_stats(r->gw, &st);
	text = r->args.stats == CLI_RUN_STATS_JSON ? cli_report_stats_json(&st) : cli_report_stats_text(&st);
	journal_text(STDERR_FILENO, text);
}

/* Everything between the options and the end of COMMAND. */
static bool run_command(struct run *r, GError **err)
{
	if (!check_host(&r->args.net, err) || !spawn(r, err))
		return false;
	take_signals(r);
	raise_descriptor_limit();
	attach(r, g_child_watch_source_new(r->child.pid), G_SOURCE_FUNC(on_child));
	if (!serve(r, err) || !netns_go(&r->child, err))
		return false;
	g_main_loop_run(r->loop);
	print_stats(r);
	return true;
}

static void warn(const struct run *r)
{
	if (r->args.net.mtu < GATEWAY_MTU6_MIN && !r->args.net.v6 && !r->args.only_v4)
		journal_say(r->journal, JOURNAL_WARN, "--mtu: %u is below what IPv6 needs (%d): the guest gets IPv4 only", r->args.net.mtu,
			    GATEWAY_MTU6_MIN);
	journal_say(r->journal, JOURNAL_WARN, "no policy is given: the command may reach everything this user can reach");
}

static int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run(struct run *r)
{
	g_autoptr(GError) err = NULL;
	int rc;

	r->journal = journal_new(STDERR_FILENO, r->args.level);
	r->ctx = g_main_context_new();
	r->loop = g_main_loop_new(r->ctx, FALSE);
	warn(r);
	if (run_command(r, &err)) {
		rc = exit_status(r->status);
	} else {
		journal_say(r->journal, JOURNAL_ERROR, "run: %s", err->message);
		rc = err->domain == NETNS_ERROR ? err->code : NETNS_ERROR_SETUP;
	}
	netns_abandon(&r->child);
	gateway_free(r->gw);
	if (r->signals >= 0)
		close(r->signals);
	g_main_loop_unref(r->loop);
	g_main_context_unref(r->ctx);
	journal_free(r->journal);
	return rc;
}

static int usage_error(const GError *err)
{
	struct journal *journal = journal_new(STDERR_FILENO, JOURNAL_ERROR);

	journal_say(journal, JOURNAL_ERROR, "%s", err->message);
	journal_free(journal);
	return CLI_EXIT_USAGE;
}

int cli_run(int argc, char **argv)
{
	struct run r = { .child = { .pid = -1, .sock = -1, .tap = -1 }, .signals = -1 };
	g_autoptr(GError) err = NULL;

	if (!cli_run_args_parse(argc, argv, &r.args, &err))
		return usage_error(err);
	if (r.args.version)
		return journal_text(STDOUT_FILENO, "slirpgate " SLIRPGATE_VERSION "\n") < 0 ? CLI_EXIT_RUNTIME : 0;
	if (r.args.help) {
		g_autofree char *rows = cli_option_help(cli_run_args_table);
		g_autofree char *text = g_strconcat(help_head, rows, help_tail, NULL);

		return journal_text(STDOUT_FILENO, text) < 0 ? CLI_EXIT_RUNTIME : 0;
	}
	return run(&r);
}
