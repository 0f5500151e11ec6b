/* cli_serve.h - what the commands that serve a tap share: checks of the host, signals, the gateway, the counters at the end.
 *
 * What it is not: knowledge of where the tap comes from, or of what ends the command.
 * Below: cli_run_args.h, gateway.h, link_tap.h, cli_report.h.  Above: cli_run.c, cli_attach.c.
 */
#ifndef GATEWAY_DOORS_CLI_SERVE_H
#define GATEWAY_DOORS_CLI_SERVE_H

#include "gateway/doors/cli_run_args.h"
#include "gateway/doors/control_command.h"

struct cli_serve {
	const struct cli_run_args *args;
	struct journal *journal;
	GMainContext *ctx;
	GMainLoop *loop;
	struct gateway *gw;
	struct publisher *publisher; /* NULL: nothing is published, and nothing can be */
	struct control *control;     /* NULL: there is no control socket */
	struct control_env control_env;
	int signals; /* signalfd, -1: none */
	void (*on_signal)(void *arg, int number);
	void *on_signal_arg;
};

/* args is kept by the caller. */
void cli_serve_init(struct cli_serve *s, const struct cli_run_args *args);
void cli_serve_clear(struct cli_serve *s);

/* Whether this host has what the options speak of. */
bool cli_serve_check(const struct cli_serve *s, GError **err);
/* Binds every port that is to be published: the first of the steps that may need a privilege. */
bool cli_serve_bind(struct cli_serve *s, GError **err);
/* Before the start, about who is served ("the command"). */
void cli_serve_warn(const struct cli_serve *s, const char *who);

/* Callbacks come from the loop.  source is taken. */
void cli_serve_attach(struct cli_serve *s, GSource *source, GSourceFunc fn, void *arg);
/* What the control socket's "shutdown" does; before cli_serve_link(). */
void cli_serve_on_shutdown(struct cli_serve *s, void (*fn)(void *arg), void *arg);
/* From here on these signals (0 ends the list) call fn, and SIGPIPE is ignored.  A HUP the caller had us ignore (nohup) stays so. */
void cli_serve_signals(struct cli_serve *s, const int *numbers, void (*fn)(void *arg, int number), void *arg);
/* Makes s->gw over the tap, which is taken also on failure; raises this process's descriptor limit for it; starts the
 * ports and the control socket. */
bool cli_serve_link(struct cli_serve *s, int tap, void (*on_gone)(void *arg, int err), void *arg, GError **err);
/* When it is over: the counters, if --stats wants them. */
void cli_serve_stats(const struct cli_serve *s);

/* A wrong command line: says it and returns the exit status. */
int cli_serve_usage(const GError *err);
/* Prints the version or the help, whichever was asked for, and returns the exit status. */
int cli_serve_text(const struct cli_run_args *args, const char *head, const struct cli_option *table, const char *tail);

#endif
