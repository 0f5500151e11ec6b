/* cli_option.h - options are rows of a table.
 *
 * What it is: walking argv by a table, and printing the help from the same table.
 * What it is not: a parser of values; a row's handler does that, with cli_value.h.
 * Below: GLib.  Above: cli.c, cli_run_args.c, cli_doctor.c, tests.
 *
 * Long options take --name=VALUE and --name VALUE, short ones -xVALUE and -x VALUE; flags may stand together (-46).  The first word
 * that is no option ends the walk, and so does "--", which is passed over.
 */
#ifndef GATEWAY_DOORS_CLI_OPTION_H
#define GATEWAY_DOORS_CLI_OPTION_H

#include <glib.h>
#include <stdbool.h>

#define CLI_OPTION_ERROR (cli_option_error_quark())
GQuark cli_option_error_quark(void);

struct cli_option {
	char letter;	  /* 0: none */
	const char *name; /* NULL: end of the table */
	const char *arg;  /* what the help calls the value; NULL: a flag; "=X" in front: the value is optional and only comes as --name=X */
	const char *help;
	/* value: NULL for a flag and for an optional value that is not there.  Its error says "VALUE: what is wrong, column N". */
	bool (*set)(void *ctx, const char *value, GError **err);
	const struct cli_option *next; /* in the last row: the table that goes on behind it, with the same ctx; NULL: none */
	const char *topic;	       /* in the last row: next is a topic of the help by itself, called so; NULL: it is part of this one */
};

/* Walks argv from argv[0] (the first argument, not a program's name).  Returns how many words were options, or -1; an error is one
 * sentence that begins with the option as it is called ("--net: 10.0.2.0/33: prefix length above 32, column 10"). */
int cli_option_parse(const struct cli_option *table, void *ctx, int argc, char **argv, GError **err);

/* The lines of the help that describe a topic, to be freed by the caller.  topic NULL: what the table begins with.  NULL: no such topic. */
char *cli_option_help(const struct cli_option *table, const char *topic);

#endif
