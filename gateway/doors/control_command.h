/* control_command.h - what can be asked over the control socket: rows of a table.
 *
 * What it is: name, arguments, help and handler of each command.  Arguments are checked against their rows before the handler runs: a
 * request that is wrong changes nothing.
 * What it is not: a knower of sockets and lines (control.h).
 * Below: gateway.h, publisher.h, json-glib.  Above: control.c, tests.
 * prefixes: control_
 */
#ifndef GATEWAY_DOORS_CONTROL_COMMAND_H
#define GATEWAY_DOORS_CONTROL_COMMAND_H

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

struct gateway;
struct journal;
struct publisher;

/* What commands work on. */
struct control_env {
	struct gateway *gw; /* NULL, here and below: commands that need it say so */
	struct publisher *publisher;
	struct journal *journal;
	void (*shutdown)(void *arg); /* the program is to end, after the answer */
	void *arg;
};

enum control_type {
	CONTROL_TEXT,
	CONTROL_NUMBER, /* a whole number from 0 on */
	CONTROL_BOOL,
};

struct control_arg {
	const char *name; /* NULL: end of the list */
	enum control_type type;
	bool required;
	const char *help;
};

/* What of struct control_env a command cannot do without. */
enum control_need {
	CONTROL_NEEDS_NOTHING,
	CONTROL_NEEDS_GATEWAY,
	CONTROL_NEEDS_PUBLISHER,
};

struct control_command {
	const char *name;
	const char *help;
	const struct control_arg *args;
	/* The value of "return", the caller's; or NULL with err.  args has what the rows say and nothing else. */
	JsonNode *(*run)(const struct control_env *env, JsonObject *args, GError **err);
	enum control_need need;
};

enum control_error {
	CONTROL_ERROR_GENERIC,	 /* "GenericError": it could not be done */
	CONTROL_ERROR_NOT_FOUND, /* "CommandNotFound" */
	CONTROL_ERROR_ARGUMENT,	 /* "InvalidArgument" */
};

#define CONTROL_ERROR (control_error_quark())
GQuark control_error_quark(void);

const struct control_command *control_command_find(const char *name); /* NULL: there is none */
/* Checks args (NULL: none) against the rows and runs the command. */
JsonNode *control_command_run(const struct control_command *c, const struct control_env *env, JsonObject *args, GError **err);

/* Tables of commands, each ended by a row without a name. */
extern const struct control_command control_general_commands[]; /* control_command.c */
extern const struct control_command control_publish_commands[]; /* control_publish.c */
extern const struct control_command control_flow_commands[];    /* control_flows.c */

/* For handlers: an empty object as "return". */
JsonNode *control_nothing(void);
/* An argument, or what stands for one that is not there. */
const char *control_text(JsonObject *args, const char *name, const char *otherwise);
gint64 control_number(JsonObject *args, const char *name, gint64 otherwise);

#endif
