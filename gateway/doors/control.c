/* control.c - the control socket: clients, lines, answers.  See control.h.
 *
 * A client costs its input buffer and its unread answers, both bounded.  Each event reads one portion and answers what is whole in it.
 * System calls: socket bind listen accept4 getsockopt read send close unlink.
 */
#include "gateway/doors/control.h"

#include "gateway/journal.h"
#include "publish/listener.h"
#include "slirp/base/list.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONTROL_PORTION = 4096 /* bytes read for one event */ };

struct control {
	struct listener listener;
	struct listener_spare spare;
	GMainContext *ctx;
	const struct control_env *env;
	GSource *accepting;
	struct list clients; /* struct client, the longest silent first */
	unsigned n_clients;
};

struct client {
	struct list node;
	struct control *control;
	int fd;
	GString *in, *out;
	GSource *reading, *writing; /* NULL: not watched */
	bool skipping;		    /* the rest of a line that was too long */
	bool ended;		    /* its stream has: closed when the answers are out */
};

/* --- one request --- */

/* Deep nesting would be recursion in the parser. */
static bool control_too_deep(const char *line, size_t len)
{
	bool text = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (text && line[i] == '\\')
			i++;
		else if (line[i] == '"')
			text = !text;
		else if (!text && (line[i] == '[' || line[i] == '{') && ++depth > CONTROL_DEPTH_MAX)
			return true;
		else if (!text && (line[i] == ']' || line[i] == '}'))
			depth--;
	}
	return false;
}

static bool control_bad(GError **err, const char *what)
{
	g_set_error(err, CONTROL_ERROR, CONTROL_ERROR_GENERIC, "bad request: %s", what);
	return false;
}

/* The request as an object; NULL: err says what it is instead. */
static JsonObject *control_parse(JsonParser *parser, const char *line, size_t len, GError **err)
{
	g_autoptr(GError) syntax = NULL;
	JsonNode *root;

	if (!g_utf8_validate(line, (gssize)len, NULL))
		control_bad(err, "it is not UTF-8");
	else if (control_too_deep(line, len))
		control_bad(err, "it is nested too deeply");
	else if (!json_parser_load_from_data(parser, line, (gssize)len, &syntax))
		control_bad(err, syntax->message);
	else if (!(root = json_parser_get_root(parser)) || !JSON_NODE_HOLDS_OBJECT(root))
		control_bad(err, "it is not an object");
	else
		return json_node_get_object(root);
	return NULL;
}

static JsonNode *control_execute(const struct control_env *env, JsonObject *request, GError **err)
{
	JsonNode *name = json_object_get_member(request, "execute"), *args = json_object_get_member(request, "arguments");
	const struct control_command *c;

	if (!name || json_node_get_value_type(name) != G_TYPE_STRING) {
		control_bad(err, "\"execute\" is missing, or not a string");
		return NULL;
	}
	if (args && !JSON_NODE_HOLDS_OBJECT(args)) {
		control_bad(err, "\"arguments\" is not an object");
		return NULL;
	}
	c = control_command_find(json_node_get_string(name));
	if (!c) {
		g_set_error(err, CONTROL_ERROR, CONTROL_ERROR_NOT_FOUND, "bad request: there is no command %s", json_node_get_string(name));
		return NULL;
	}
	return control_command_run(c, env, args ? json_node_get_object(args) : NULL, err);
}

static JsonNode *control_error_node(const GError *err)
{
	static const char *const classes[] = { "GenericError", "CommandNotFound", "InvalidArgument" };
	JsonObject *o = json_object_new();
	JsonNode *node = json_node_alloc();

	json_object_set_string_member(o, "class", classes[err->domain == CONTROL_ERROR ? err->code : CONTROL_ERROR_GENERIC]);
	json_object_set_string_member(o, "desc", err->message);
	return json_node_init_object(node, o);
}

/* {"return": ...} or {"error": ...} as a line. */
static char *control_line(JsonNode *result, const GError *err, JsonNode *id)
{
	g_autoptr(JsonObject) o = json_object_new();
	g_autoptr(JsonNode) root = json_node_init_object(json_node_alloc(), o);
	g_autofree char *text = NULL, *valid = NULL;

	if (result)
		json_object_set_member(o, "return", result);
	else
		json_object_set_member(o, "error", control_error_node(err));
	if (id)
		json_object_set_member(o, "id", json_node_copy(id));
	text = json_to_string(root, FALSE);
	valid = g_utf8_make_valid(text, -1); /* half of a surrogate pair in a request would come back as it is */
	return g_strconcat(valid, "\n", NULL);
}

char *control_answer(const struct control_env *env, const char *line, size_t len)
{
	g_autoptr(JsonParser) parser = json_parser_new_immutable();
	g_autoptr(GError) err = NULL;
	JsonObject *request = control_parse(parser, line, len, &err);
	JsonNode *result = request ? control_execute(env, request, &err) : NULL;

	return control_line(result, err, request ? json_object_get_member(request, "id") : NULL);
}

/* --- clients --- */

static void client_unwatch(GSource **source)
{
	if (!*source)
		return;
	g_source_destroy(*source);
	g_source_unref(*source);
	*source = NULL;
}

static void client_free(struct client *cl)
{
	client_unwatch(&cl->reading);
	client_unwatch(&cl->writing);
	list_unlink(&cl->node);
	cl->control->n_clients--;
	close(cl->fd);
	g_string_free(cl->in, TRUE);
	g_string_free(cl->out, TRUE);
	g_free(cl);
}

static void client_watch(struct client *cl, GSource **source, GIOCondition condition, GUnixFDSourceFunc fn)
{
	if (*source)
		return;
	*source = g_unix_fd_source_new(cl->fd, condition);
	g_source_set_callback(*source, G_SOURCE_FUNC(fn), cl, NULL);
	g_source_attach(*source, cl->control->ctx);
}

static gboolean client_readable(gint fd, GIOCondition condition, gpointer arg);
static gboolean client_writable(gint fd, GIOCondition condition, gpointer arg);

/* Sends what is waiting, then watches for what the client's state allows.  The client may be gone afterwards. */
static void client_settle(struct client *cl)
{
	ssize_t n = cl->out->len ? send(cl->fd, cl->out->str, cl->out->len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		client_free(cl);
		return;
	}
	if (n > 0)
		g_string_erase(cl->out, 0, n);
	if (cl->ended && !cl->out->len) {
		client_free(cl);
		return;
	}
	if (cl->out->len)
		client_watch(cl, &cl->writing, G_IO_OUT, client_writable);
	else
		client_unwatch(&cl->writing);
	if (cl->ended || cl->out->len >= CONTROL_PENDING_MAX)
		client_unwatch(&cl->reading);
	else
		client_watch(cl, &cl->reading, G_IO_IN, client_readable);
}

static void client_answer(struct client *cl, const char *line, size_t len)
{
	g_autofree char *answer = NULL;

	if (strspn(line, " \t\r") >= len)
		return; /* an empty line asks for nothing */
	answer = control_answer(cl->control->env, line, len);
	g_string_append(cl->out, answer);
}

static void client_too_long(struct client *cl)
{
	g_autoptr(GError) err = g_error_new(CONTROL_ERROR, CONTROL_ERROR_GENERIC, "bad request: longer than %d bytes", CONTROL_REQUEST_MAX);
	g_autofree char *answer = control_line(NULL, err, NULL);

	g_string_append(cl->out, answer);
	g_string_truncate(cl->in, 0);
	cl->skipping = true;
}

/* Every whole line in the buffer is answered; what is left is the beginning of one. */
static void client_lines(struct client *cl)
{
	size_t at = 0;
	char *end;

	while ((end = memchr(cl->in->str + at, '\n', cl->in->len - at))) {
		*end = '\0';
		if (!cl->skipping)
			client_answer(cl, cl->in->str + at, (size_t)(end - cl->in->str) - at);
		cl->skipping = false;
		at = (size_t)(end - cl->in->str) + 1;
	}
	g_string_erase(cl->in, 0, (gssize)at);
	if (cl->skipping)
		g_string_truncate(cl->in, 0);
	else if (cl->in->len > CONTROL_REQUEST_MAX)
		client_too_long(cl);
}

static gboolean client_readable(gint fd, GIOCondition condition, gpointer arg)
{
	struct client *cl = arg;
	char buf[CONTROL_PORTION];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	(void)condition;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	list_unlink(&cl->node);
	list_push_tail(&cl->control->clients, &cl->node);
	if (n > 0) {
		g_string_append_len(cl->in, buf, n);
		client_lines(cl);
	} else {
		cl->ended = true;
		if (n == 0 && !cl->skipping)
			client_answer(cl, cl->in->str, cl->in->len);
	}
	client_settle(cl); /* may have destroyed this source: what is returned then does not matter */
	return G_SOURCE_CONTINUE;
}

static gboolean client_writable(gint fd, GIOCondition condition, gpointer arg)
{
	(void)fd;
	(void)condition;
	client_settle(arg);
	return G_SOURCE_CONTINUE;
}

/* --- the socket --- */

/* root, and whoever we are. */
static bool control_welcome(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) && (cred.uid == 0 || cred.uid == geteuid());
}

static void control_add(struct control *c, int fd)
{
	struct client *cl;

	if (!control_welcome(fd)) {
		journal_say(c->env->journal, JOURNAL_WARN, "control: a client of another user is not listened to");
		close(fd);
		return;
	}
	if (c->n_clients >= CONTROL_CLIENTS_MAX)
		client_free(container_of(c->clients.next, struct client, node));
	cl = g_new0(struct client, 1);
	cl->control = c;
	cl->fd = fd;
	cl->in = g_string_new(NULL);
	cl->out = g_string_new(NULL);
	list_push_tail(&c->clients, &cl->node);
	c->n_clients++;
	client_settle(cl);
}

static gboolean control_acceptable(gint fd, GIOCondition condition, gpointer arg)
{
	struct control *c = arg;
	struct endpoint from, local;
	int client = listener_accept(&c->listener, &c->spare, &from, &local);

	(void)fd;
	(void)condition;
	if (client >= 0)
		control_add(c, client);
	return G_SOURCE_CONTINUE;
}

struct control *control_new(const char *path, GMainContext *ctx, const struct control_env *env, GError **err)
{
	struct portspec_rule rule = { .proto = PORTSPEC_TCP };
	struct control *c = g_new0(struct control, 1);
	mode_t mask;
	bool bound;

	*c = (struct control){ .listener.fd = -1, .spare.fd = -1, .ctx = ctx, .env = env };
	list_init(&c->clients);
	if (g_strlcpy(rule.path, path, sizeof(rule.path)) >= sizeof(rule.path)) {
		g_set_error(err, CONTROL_ERROR, CONTROL_ERROR_GENERIC, "%s: the path of a socket has at most %zu bytes", path, sizeof(rule.path) - 1);
		control_free(c);
		return NULL;
	}
	mask = umask(0177);
	bound = listener_bind(&c->listener, &rule, 0, false, err);
	umask(mask);
	if (!bound || !listener_start(&c->listener, err)) {
		control_free(c);
		return NULL;
	}
	listener_spare_open(&c->spare);
	c->accepting = g_unix_fd_source_new(c->listener.fd, G_IO_IN);
	g_source_set_callback(c->accepting, G_SOURCE_FUNC(control_acceptable), c, NULL);
	g_source_attach(c->accepting, ctx);
	return c;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	while (!list_empty(&c->clients))
		client_free(container_of(c->clients.next, struct client, node));
	client_unwatch(&c->accepting);
	listener_close(&c->listener);
	listener_spare_close(&c->spare);
	g_free(c);
}
