/* cli_run_args.h - the options of `slirpgate run` as a value.
 *
 * What it is: the table of options and what a command line makes of it; most rows are a table of their own, which attach takes too.
 * Nothing is looked up on the host here but its range of ephemeral ports.
 * Below: cli_option.h, cli_value.h, gateway.h.  Above: cli_run.c, cli_attach_args.h, cli_serve.h, tests.
 */
#ifndef GATEWAY_DOORS_CLI_RUN_ARGS_H
#define GATEWAY_DOORS_CLI_RUN_ARGS_H

#include "gateway/doors/cli_option.h"
#include "gateway/gateway.h"
#include "gateway/journal.h"
#include "publish/publish.h"

enum cli_run_stats {
	CLI_RUN_STATS_NONE,
	CLI_RUN_STATS_TEXT,
	CLI_RUN_STATS_JSON,
};

enum { CLI_RUN_ARGS_SEARCH_MAX = 32 };

struct cli_run_args {
	struct gateway_config net;
	char ifname[IF_NAMESIZE];
	const char *search[CLI_RUN_ARGS_SEARCH_MAX + 1]; /* point into argv; NULL-terminated */
	unsigned n_search;
	bool only_v4, only_v6;
	bool offload;
	bool map_root;
	enum cli_run_stats stats;
	enum journal_level level;
	enum publish_source source; /* what the guest sees of the clients of its ports */
	const char *control; /* path of the control socket, in argv; NULL: none */
	GArray *services; /* struct cli_service; NULL: none */
	GArray *ports; /* struct portspec_rule: what is published; NULL: nothing */
	bool help, version;
	const char *topic; /* of the help; NULL: what it begins with */
	char **command; /* behind the options, NULL-terminated; empty: the caller's shell */
};

extern const struct cli_option cli_run_args_table[];
/* The rows that do not speak of COMMAND; ctx: a struct cli_run_args, or a struct that begins with one. */
extern const struct cli_option cli_run_args_shared[];

/* What is in force when no option is given. */
void cli_run_args_init(struct cli_run_args *args);
/* When all options are read: what only several together make wrong. */
bool cli_run_args_check(struct cli_run_args *args, GError **err);

/* Frees what the options have gathered; harmless when nothing has been read. */
void cli_run_args_clear(struct cli_run_args *args);

/* argv: what stands behind "run", NULL-terminated, kept by the caller as long as ret is used. */
bool cli_run_args_parse(int argc, char **argv, struct cli_run_args *ret, GError **err);

#endif
