/* cli_serve.c - one gateway on a tap, from the checks of the host to the counters at the end.  See cli_serve.h. */
#include "gateway/doors/cli_serve.h"

#include "gateway/doors/cli.h"
#include "gateway/doors/cli_report.h"
#include "gateway/doors/cli_service.h"
#include "gateway/doors/control.h"
#include "gateway/hostinfo.h"
#include "gateway/link_tap.h"
#include "gateway/netns_child.h"
#include "gateway/publisher.h"

#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

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

bool cli_serve_check(const struct cli_serve *s, GError **err)
{
	const struct gateway_config *net = &s->args->net;

	return check_outbound(&net->outbound4, err) && check_outbound(&net->outbound6, err) && check_outbound_if(net->outbound_if, err);
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit); /* fewer descriptors mean fewer flows, nothing else */
	}
}

bool cli_serve_bind(struct cli_serve *s, GError **err)
{
	const struct publish_policy policy = { .source = s->args->source };
	const GArray *ports = s->args->ports;

	if ((!ports || !ports->len) && !s->args->control)
		return true;
	raise_descriptor_limit();
	s->publisher = publisher_new(s->journal, err);
	for (guint i = 0; s->publisher && ports && i < ports->len; i++)
		if (!publish_bind(publisher_registry(s->publisher), &g_array_index(ports, struct portspec_rule, i), &policy, err))
			return false;
	return s->publisher != NULL;
}

/* ---- life ---- */

void cli_serve_init(struct cli_serve *s, const struct cli_run_args *args)
{
	*s = (struct cli_serve){ .args = args, .journal = journal_new(STDERR_FILENO, args->level), .signals = -1 };
	s->ctx = g_main_context_new();
	s->loop = g_main_loop_new(s->ctx, FALSE);
}

void cli_serve_clear(struct cli_serve *s)
{
	control_free(s->control);
	gateway_free(s->gw);
	publisher_free(s->publisher);
	if (s->signals >= 0)
		close(s->signals);
	g_main_loop_unref(s->loop);
	g_main_context_unref(s->ctx);
	journal_free(s->journal);
}

void cli_serve_attach(struct cli_serve *s, GSource *source, GSourceFunc fn, void *arg)
{
	g_source_set_callback(source, fn, arg, NULL);
	g_source_attach(source, s->ctx);
	g_source_unref(source);
}

void cli_serve_on_shutdown(struct cli_serve *s, void (*fn)(void *arg), void *arg)
{
	s->control_env.shutdown = fn;
	s->control_env.arg = arg;
}

static gboolean on_signal(int fd, GIOCondition condition, void *arg)
{
	struct cli_serve *s = arg;
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == sizeof(info))
		s->on_signal(s->on_signal_arg, (int)info.ssi_signo);
	return G_SOURCE_CONTINUE;
}

void cli_serve_signals(struct cli_serve *s, const int *numbers, void (*fn)(void *arg, int number), void *arg)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	for (; *numbers; numbers++) {
		struct sigaction action = { 0 };

		if (sigaction(*numbers, NULL, &action) == 0 && action.sa_handler == SIG_IGN && *numbers == SIGHUP)
			continue;
		sigaddset(&set, *numbers);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->on_signal = fn;
	s->on_signal_arg = arg;
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals >= 0)
		cli_serve_attach(s, g_unix_fd_source_new(s->signals, G_IO_IN), G_SOURCE_FUNC(on_signal), s);
}

bool cli_serve_link(struct cli_serve *s, int tap, void (*on_gone)(void *arg, int err), void *arg, GError **err)
{
	struct link *link = link_tap_new(tap, s->args->net.mtu, err);
	struct gateway_config net = s->args->net;

	raise_descriptor_limit();
	if (!link)
		return false;
	net.journal = s->journal;
	net.hostinfo = hostinfo_new;
	net.publisher = s->publisher;
	s->gw = gateway_new(&net, link, s->ctx, err);
	if (!s->gw)
		return false;
	gateway_on_link_gone(s->gw, on_gone, arg);
	for (guint i = 0; s->args->services && i < s->args->services->len; i++)
		if (!cli_service_add(&g_array_index(s->args->services, struct cli_service, i), s->gw, err))
			return false;
	if (s->publisher && !publisher_start(s->publisher, err))
		return false;
	if (!s->args->control)
		return true;
	s->control_env.gw = s->gw;
	s->control_env.publisher = s->publisher;
	s->control_env.journal = s->journal;
	s->control = control_new(s->args->control, s->ctx, &s->control_env, err);
	return s->control != NULL;
}

/* ---- what is said ---- */

void cli_serve_stats(const struct cli_serve *s)
{
	struct gateway_stats st;
	g_autofree char *text = NULL;

	if (s->args->stats == CLI_RUN_STATS_NONE)
		return;
	gateway_stats(s->gw, &st);
	text = s->args->stats == CLI_RUN_STATS_JSON ? cli_report_stats_json(&st) : cli_report_stats_text(&st);
	journal_text(STDERR_FILENO, text);
}

void cli_serve_warn(const struct cli_serve *s, const char *who)
{
	const struct gateway_config *net = &s->args->net;

	if (net->mtu < GATEWAY_MTU6_MIN && !net->v6 && !s->args->only_v4)
		journal_say(s->journal, JOURNAL_WARN, "--mtu: %u is below what IPv6 needs (%d): the guest gets IPv4 only", net->mtu, GATEWAY_MTU6_MIN);
	journal_say(s->journal, JOURNAL_WARN, "no policy is given: %s may reach everything this user can reach", who);
}

int cli_serve_usage(const GError *err)
{
	struct journal *journal = journal_new(STDERR_FILENO, JOURNAL_ERROR);

	journal_say(journal, JOURNAL_ERROR, "%s", err->message);
	journal_free(journal);
	return CLI_EXIT_USAGE;
}

int cli_serve_text(const struct cli_run_args *args, const char *head, const struct cli_option *table, const char *tail)
{
	g_autofree char *rows = cli_option_help(table, args->topic);
	g_autofree char *text = args->topic ? g_strdup(rows) : g_strconcat(head, rows, tail, NULL);

	return journal_text(STDOUT_FILENO, args->version ? "slirpgate " SLIRPGATE_VERSION "\n" : text) < 0 ? CLI_EXIT_RUNTIME : 0;
}
