/* cli_ctl.c - `slirpgate ctl`: a client of the control socket, for people and scripts.
 *
 * It knows no command by itself: the gateway's schema says what there is and how words become arguments.  Required arguments may stand without
 * their names, in the schema's order; others are NAME=VALUE.  Two words may make one command: "publish add" is publish-add.
 * Exit status: 0; 1 when the gateway cannot be reached or answers with an error; 2 for wrong usage.
 * Below: cli_option.h, cli_ctl_table.h, json-glib.  Above: cli.c.
 */
#include "gateway/doors/cli.h"
#include "gateway/doors/cli_ctl_table.h"
#include "gateway/doors/cli_option.h"
#include "gateway/journal.h"

#include <errno.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CTL_ERROR_USAGE = CLI_EXIT_USAGE, CTL_ERROR_RUNTIME = CLI_EXIT_RUNTIME };

struct ctl {
	const char *path;
	bool json, help;
	int fd;
	GString *in; /* received and not yet a line */
};

static bool set_socket(void *ctx, const char *value, GError **err)
{
	(void)err;
	((struct ctl *)ctx)->path = value;
	return true;
}

static bool set_json(void *ctx, const char *value, GError **err)
{
	(void)value;
	(void)err;
	((struct ctl *)ctx)->json = true;
	return true;
}

static bool set_help(void *ctx, const char *value, GError **err)
{
	(void)value;
	(void)err;
	((struct ctl *)ctx)->help = true;
	return true;
}

static const struct cli_option options[] = {
	{ 's', "socket", "PATH", "of the gateway's control socket (run --control PATH)", set_socket },
	{ 'j', "json", NULL, "print what comes back as it is", set_json },
	{ 'h', "help", NULL, "this text", set_help },
	{ 0, NULL, NULL, NULL, NULL },
};

static const char help_head[] = "Usage: slirpgate ctl -s PATH [OPTIONS] COMMAND [VALUE...] [NAME=VALUE...]\n"
				"\n"
				"Asks a running gateway, or changes it.  \"ctl -s PATH schema\" lists the commands.\n"
				"\n";

static bool fail(GError **err, int code, const char *format, ...) G_GNUC_PRINTF(3, 4);

static bool fail(GError **err, int code, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	g_set_error_literal(err, CLI_OPTION_ERROR, code, text);
	return false;
}

/* ---- the socket ---- */

static bool ctl_connect(struct ctl *c, GError **err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (g_strlcpy(sun.sun_path, c->path, sizeof(sun.sun_path)) >= sizeof(sun.sun_path))
		return fail(err, CTL_ERROR_USAGE, "%s: the path of a socket has at most %zu bytes", c->path, sizeof(sun.sun_path) - 1);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return fail(err, CTL_ERROR_RUNTIME, "%s: %s", c->path, errno == ECONNREFUSED ? "no gateway serves this socket" : g_strerror(errno));
	return true;
}

/* The next line without its end; NULL: the gateway has gone. */
static char *ctl_line(struct ctl *c)
{
	char buf[65536], *end, *line;

	while (!(end = memchr(c->in->str, '\n', c->in->len))) {
		ssize_t n = read(c->fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return NULL;
		g_string_append_len(c->in, buf, n);
	}
	line = g_strndup(c->in->str, (gsize)(end - c->in->str));
	g_string_erase(c->in, 0, (gssize)(end - c->in->str) + 1);
	return line;
}

/* What "return" holds; NULL: err has what "error" says. */
static JsonNode *ctl_result(JsonNode *answer, GError **err)
{
	JsonObject *o = JSON_NODE_HOLDS_OBJECT(answer) ? json_node_get_object(answer) : NULL;
	JsonNode *result = o ? json_object_get_member(o, "return") : NULL;
	JsonObject *error;

	if (result)
		return json_node_copy(result);
	error = o && json_object_has_member(o, "error") ? json_object_get_object_member(o, "error") : NULL;
	fail(err, CTL_ERROR_RUNTIME, "%s", error ? json_object_get_string_member_with_default(error, "desc", "an error without a text") :
						   "this is no answer of a gateway");
	return NULL;
}

/* Sends one request and waits for its answer.  args is taken. */
static JsonNode *ctl_ask(struct ctl *c, const char *command, JsonObject *args, GError **err)
{
	g_autoptr(JsonObject) o = json_object_new();
	g_autoptr(JsonNode) root = json_node_init_object(json_node_alloc(), o), answer = NULL;
	g_autofree char *text = NULL, *line = NULL;

	json_object_set_string_member(o, "execute", command);
	json_object_set_object_member(o, "arguments", args);
	text = json_to_string(root, FALSE);
	if (send(c->fd, text, strlen(text), MSG_NOSIGNAL) < 0 || send(c->fd, "\n", 1, MSG_NOSIGNAL) < 0 || !(line = ctl_line(c))) {
		fail(err, CTL_ERROR_RUNTIME, "%s: the gateway has closed the connection", c->path);
		return NULL;
	}
	answer = json_from_string(line, err);
	return answer ? ctl_result(answer, err) : NULL;
}

/* ---- words to arguments ---- */

/* The schema's row for words[0], or for words[0] and words[1] with a dash between; *used tells how many. */
static JsonObject *find_command(JsonArray *schema, char **words, int *used)
{
	g_autofree char *two = words[1] ? g_strconcat(words[0], "-", words[1], NULL) : NULL;

	for (guint i = 0; i < json_array_get_length(schema); i++) {
		JsonObject *row = json_array_get_object_element(schema, i);
		const char *name = json_object_get_string_member(row, "name");

		*used = !strcmp(name, words[0]) ? 1 : two && !strcmp(name, two) ? 2 : 0;
		if (*used)
			return row;
	}
	return NULL;
}

/* The row of an argument by name, or the n-th required one when name is NULL. */
static JsonObject *find_arg(JsonArray *rows, const char *name, guint nth)
{
	for (guint i = 0; i < json_array_get_length(rows); i++) {
		JsonObject *row = json_array_get_object_element(rows, i);

		if (name ? !strcmp(json_object_get_string_member(row, "name"), name) :
			   json_object_get_boolean_member(row, "required") && nth-- == 0)
			return row;
	}
	return NULL;
}

static bool set_value(JsonObject *args, JsonObject *row, const char *value, GError **err)
{
	const char *name = json_object_get_string_member(row, "name"), *type = json_object_get_string_member(row, "type");
	guint64 number;

	if (!strcmp(type, "number")) {
		if (!g_ascii_string_to_unsigned(value, 10, 0, G_MAXINT64, &number, NULL))
			return fail(err, CTL_ERROR_USAGE, "%s: %s: not a number", name, value);
		json_object_set_int_member(args, name, (gint64)number);
	} else if (!strcmp(type, "boolean")) {
		if (strcmp(value, "true") && strcmp(value, "false"))
			return fail(err, CTL_ERROR_USAGE, "%s: %s: neither true nor false", name, value);
		json_object_set_boolean_member(args, name, !strcmp(value, "true"));
	} else {
		json_object_set_string_member(args, name, value);
	}
	return true;
}

/* NAME=VALUE where the schema has such a name, else the next required argument. */
static bool add_word(JsonArray *rows, JsonObject *args, const char *word, guint *nth, GError **err)
{
	const char *equals = strchr(word, '=');
	g_autofree char *name = equals ? g_strndup(word, (gsize)(equals - word)) : NULL;
	JsonObject *row = name ? find_arg(rows, name, 0) : NULL;

	if (row)
		return set_value(args, row, equals + 1, err);
	row = find_arg(rows, NULL, (*nth)++);
	return row ? set_value(args, row, word, err) : fail(err, CTL_ERROR_USAGE, "%s: one argument too many", word);
}

static JsonNode *run_words(struct ctl *c, char **words, GError **err)
{
	g_autoptr(JsonNode) schema = ctl_ask(c, "schema", json_object_new(), err);
	g_autoptr(JsonObject) args = json_object_new();
	JsonObject *command;
	JsonArray *rows;
	guint nth = 0;
	int used;

	if (!schema)
		return NULL;
	command = find_command(json_node_get_array(schema), words, &used);
	if (!command) {
		fail(err, CTL_ERROR_USAGE, "%s: the gateway has no such command; \"ctl -s %s schema\" lists them", words[0], c->path);
		return NULL;
	}
	rows = json_object_get_array_member(command, "arguments");
	for (words += used; *words; words++)
		if (!add_word(rows, args, *words, &nth, err))
			return NULL;
	return ctl_ask(c, json_object_get_string_member(command, "name"), g_steal_pointer(&args), err);
}

/* ---- the command ---- */

static int say(const GError *err)
{
	struct journal *journal = journal_new(STDERR_FILENO, JOURNAL_ERROR);
	int code = err->domain == CLI_OPTION_ERROR && err->code == CTL_ERROR_RUNTIME ? CLI_EXIT_RUNTIME : CLI_EXIT_USAGE;

	journal_say(journal, JOURNAL_ERROR, "ctl: %s", err->message);
	journal_free(journal);
	return code;
}

static int print(const struct ctl *c, JsonNode *result)
{
	g_autofree char *json = json_to_string(result, TRUE), *text = c->json ? g_strconcat(json, "\n", NULL) : cli_ctl_table(result);

	return journal_text(STDOUT_FILENO, text) < 0 ? CLI_EXIT_RUNTIME : 0;
}

static int help(void)
{
	g_autofree char *rows = cli_option_help(options, NULL), *text = g_strconcat(help_head, rows, NULL);

	return journal_text(STDOUT_FILENO, text) < 0 ? CLI_EXIT_RUNTIME : 0;
}

int cli_ctl(int argc, char **argv)
{
	struct ctl c = { .fd = -1 };
	g_autoptr(GError) err = NULL;
	g_autoptr(JsonNode) result = NULL;
	int used = cli_option_parse(options, &c, argc, argv, &err);

	if (used >= 0 && c.help)
		return help();
	if (used >= 0 && !c.path)
		fail(&err, CTL_ERROR_USAGE, "which gateway? --socket PATH is missing");
	else if (used >= 0 && used == argc)
		fail(&err, CTL_ERROR_USAGE, "a command is missing; \"ctl -s %s schema\" lists them", c.path);
	if (err)
		return say(err);
	c.in = g_string_new(NULL);
	if (ctl_connect(&c, &err))
		result = run_words(&c, argv + used, &err);
	if (c.fd >= 0)
		close(c.fd);
	g_string_free(c.in, TRUE);
	return result ? print(&c, result) : say(err);
}
