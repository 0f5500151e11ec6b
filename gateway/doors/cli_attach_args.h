/* cli_attach_args.h - the options of `slirpgate attach` as a value.
 *
 * What it is: those of cli_run_args.h that attach takes too, its own, and which namespace is meant.  Nothing is looked up on the host here.
 * Below: cli_run_args.h, netns_attach.h.  Above: cli_attach.c, tests.
 */
#ifndef GATEWAY_DOORS_CLI_ATTACH_ARGS_H
#define GATEWAY_DOORS_CLI_ATTACH_ARGS_H

#include "gateway/doors/cli_run_args.h"
#include "gateway/netns_attach.h"

struct cli_attach_args {
	struct cli_run_args run; /* first: handlers of the shared rows get this struct too */
	bool daemon;
	char *pid_file; /* absolute; NULL: none */
	struct netns_attach_target target;
};

extern const struct cli_option cli_attach_args_table[];

/* Digits are a process, a word with a slash is a path, any other is a name.  text is kept by the caller as long as ret is used. */
bool cli_attach_args_target(const char *text, struct netns_attach_target *ret, GError **err);

/* argv: what stands behind "attach", NULL-terminated, kept by the caller as long as ret is used.  Options may stand behind the target too. */
bool cli_attach_args_parse(int argc, char **argv, struct cli_attach_args *ret, GError **err);
void cli_attach_args_clear(struct cli_attach_args *args);

#endif
