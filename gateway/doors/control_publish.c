/* control_publish.c - ports added, removed, paused and listed while traffic flows; and the three requests of slirp4netns's API socket.
 *
 * add_hostfwd, list_hostfwd and remove_hostfwd are as slirp4netns(1) documents them ("API SOCKET"), for its clients: the same shapes, here
 * for both families.
 */
#include "gateway/doors/control_command.h"
#include "gateway/publisher.h"

#include <string.h>

/* ---- what is there ---- */

static const struct publish_port *first_port(const struct publish_set *s)
{
	return list_empty(&s->ports) ? NULL : container_of(s->ports.next, struct publish_port, node);
}

/* A set's rule with the port the kernel has chosen, if it has. */
static struct portspec_rule bound_rule(const struct publish_set *s)
{
	struct portspec_rule r = s->rule;

	if (!r.first && first_port(s))
		r.first = r.last = first_port(s)->listener.bound.port;
	return r;
}

static JsonObject *describe(const struct publish_set *s)
{
	struct portspec_rule r = bound_rule(s);
	JsonObject *o = json_object_new();
	gint64 clients = 0, let_in = 0, turned_away = 0;
	char text[PORTSPEC_TEXT_MAX], addr[ADDR_STRLEN];

	for (const struct list *at = s->ports.next; at != &s->ports; at = at->next) {
		const struct publish_port *p = container_of(at, struct publish_port, node);

		clients += p->clients;
		let_in += (gint64)p->let_in;
		turned_away += (gint64)p->turned_away;
	}
	json_object_set_int_member(o, "id", s->id);
	json_object_set_string_member(o, "rule", portspec_format(&r, text));
	json_object_set_string_member(o, "proto", r.proto == PORTSPEC_TCP ? "tcp" : "udp");
	if (r.path[0])
		json_object_set_string_member(o, "path", r.path);
	else
		json_object_set_string_member(o, "address", r.dual ? "*" : addr_format(&r.bind, addr));
	json_object_set_int_member(o, "port", r.first);
	json_object_set_int_member(o, "ports", portspec_count(&r));
	json_object_set_int_member(o, "guest_port", r.to_first);
	json_object_set_string_member(o, "source", publish_source_name(s->policy.source));
	json_object_set_boolean_member(o, "paused", s->paused);
	json_object_set_int_member(o, "clients", clients);
	json_object_set_int_member(o, "let_in", let_in);
	json_object_set_int_member(o, "turned_away", turned_away);
	json_object_set_int_member(o, "left_out", s->left_out);
	return o;
}

static JsonNode *object_node(JsonObject *o)
{
	return json_node_init_object(json_node_alloc(), o);
}

static JsonNode *run_list(const struct control_env *env, JsonObject *args, GError **err)
{
	struct publish *reg = publisher_registry(env->publisher);
	JsonArray *list = json_array_new();

	(void)args;
	(void)err;
	for (const struct publish_set *s = publish_next(reg, NULL); s; s = publish_next(reg, s))
		json_array_add_object_element(list, describe(s));
	return json_node_init_array(json_node_alloc(), list);
}

/* ---- change ---- */

static struct publish_set *find(const struct control_env *env, JsonObject *args, GError **err)
{
	gint64 id = control_number(args, "id", 0);
	struct publish_set *s = id > 0 && id <= G_MAXUINT32 ? publish_find(publisher_registry(env->publisher), (uint32_t)id) : NULL;

	if (!s)
		g_set_error(err, CONTROL_ERROR, CONTROL_ERROR_GENERIC, "bad request: nothing is published as %" G_GINT64_FORMAT, id);
	return s;
}

static bool parse_proto(JsonObject *args, enum portspec_proto *ret, GError **err)
{
	const char *text = control_text(args, "proto", "tcp");

	*ret = strcmp(text, "udp") ? PORTSPEC_TCP : PORTSPEC_UDP;
	if (*ret == PORTSPEC_UDP || !strcmp(text, "tcp"))
		return true;
	g_set_error(err, CONTROL_ERROR, CONTROL_ERROR_ARGUMENT, "bad request: argument proto is neither tcp nor udp: %s", text);
	return false;
}

static bool parse_source(JsonObject *args, enum publish_source *ret, GError **err)
{
	const char *text = control_text(args, "source", publish_source_name(PUBLISH_SOURCE_CLIENT));

	if (publish_source_parse(text, ret))
		return true;
	g_set_error(err, CONTROL_ERROR, CONTROL_ERROR_ARGUMENT, "bad request: argument source is none of client, gateway, proxy1, proxy2: %s",
		    text);
	return false;
}

/* Rules that the registry has already, so that a new one can be compared with them. */
static GArray *present_rules(const struct control_env *env)
{
	struct publish *reg = publisher_registry(env->publisher);
	GArray *table = portspec_table_new();

	for (const struct publish_set *s = publish_next(reg, NULL); s; s = publish_next(reg, s)) {
		struct portspec_rule r = bound_rule(s);

		g_array_append_val(table, r);
	}
	return table;
}

/* Binds and starts the rules of the table from `from` on: all or none.  Their ids go to list. */
static bool add_rules(const struct control_env *env, const GArray *table, guint from, const struct publish_policy *policy, JsonArray *list,
		      GError **err)
{
	struct publish *reg = publisher_registry(env->publisher);
	bool good = true;

	for (guint i = from; good && i < table->len; i++) {
		struct publish_set *s = publish_bind(reg, &g_array_index(table, struct portspec_rule, i), policy, err);

		good = s && publish_start(s, err);
		if (good)
			json_array_add_int_element(list, s->id);
	}
	for (guint i = 0; !good && i < json_array_get_length(list); i++)
		publish_remove(publish_find(reg, (uint32_t)json_array_get_int_element(list, i)));
	return good;
}

static JsonNode *run_add(const struct control_env *env, JsonObject *args, GError **err)
{
	static const struct portspec_dialect dialect = { .any_port = true, .unix_path = true };
	g_autoptr(GArray) table = present_rules(env);
	g_autoptr(JsonArray) ids = json_array_new();
	struct publish_policy policy = { 0 };
	JsonObject *o;
	enum portspec_proto proto;
	guint before = table->len;

	policy.max_clients = (uint32_t)MIN(control_number(args, "max_clients", 0), G_MAXUINT32);
	policy.max_source = (uint32_t)MIN(control_number(args, "max_source", 0), G_MAXUINT32);
	policy.freebind = json_object_get_boolean_member_with_default(args, "freebind", FALSE);
	if (!parse_proto(args, &proto, err) || !parse_source(args, &policy.source, err) ||
	    !portspec_add(table, proto, control_text(args, "spec", ""), &dialect, err) || !add_rules(env, table, before, &policy, ids, err))
		return NULL;
	o = json_object_new();
	json_object_set_array_member(o, "ids", g_steal_pointer(&ids));
	return object_node(o);
}

static JsonNode *run_remove(const struct control_env *env, JsonObject *args, GError **err)
{
	struct publish_set *s = find(env, args, err);

	if (!s)
		return NULL;
	publish_remove(s);
	return control_nothing();
}

static JsonNode *set_paused(const struct control_env *env, JsonObject *args, bool paused, GError **err)
{
	struct publish_set *s = find(env, args, err);

	if (!s)
		return NULL;
	publish_pause(s, paused);
	return control_nothing();
}

static JsonNode *run_pause(const struct control_env *env, JsonObject *args, GError **err)
{
	return set_paused(env, args, true, err);
}

static JsonNode *run_resume(const struct control_env *env, JsonObject *args, GError **err)
{
	return set_paused(env, args, false, err);
}

/* ---- slirp4netns's API ---- */

static bool hostfwd_addr(JsonObject *args, const char *name, const char *otherwise, struct addr *ret, GError **err)
{
	const char *text = control_text(args, name, otherwise);

	if (addr_parse(text, ret, NULL))
		return true;
	g_set_error(err, CONTROL_ERROR, CONTROL_ERROR_ARGUMENT, "bad request: argument %s is not an address: %s", name, text);
	return false;
}

static bool hostfwd_port(JsonObject *args, const char *name, uint16_t *ret, GError **err)
{
	gint64 port = control_number(args, name, 0);

	*ret = (uint16_t)port;
	if (port >= 1 && port <= G_MAXUINT16)
		return true;
	g_set_error(err, CONTROL_ERROR, CONTROL_ERROR_ARGUMENT, "bad request: argument %s is not a port: %" G_GINT64_FORMAT, name, port);
	return false;
}

static bool hostfwd_rule(JsonObject *args, struct portspec_rule *r, GError **err)
{
	struct addr none = addr_from_v4((const uint8_t[4]){ 0 });

	if (!parse_proto(args, &r->proto, err) || !hostfwd_addr(args, "host_addr", "0.0.0.0", &r->bind, err) ||
	    !hostfwd_addr(args, "guest_addr", "0.0.0.0", &r->to, err) || !hostfwd_port(args, "host_port", &r->first, err) ||
	    !hostfwd_port(args, "guest_port", &r->to_first, err))
		return false;
	r->last = r->first;
	r->has_to = !addr_eq(&r->to, &none);
	return true;
}

static JsonNode *run_add_hostfwd(const struct control_env *env, JsonObject *args, GError **err)
{
	static const struct publish_policy policy = { 0 };
	struct portspec_rule rule = { 0 };
	struct publish_set *s;
	JsonObject *o;

	if (!hostfwd_rule(args, &rule, err))
		return NULL;
	s = publish_bind(publisher_registry(env->publisher), &rule, &policy, err);
	if (!s || !publish_start(s, err))
		return NULL;
	o = json_object_new();
	json_object_set_int_member(o, "id", s->id);
	return object_node(o);
}

static JsonObject *describe_hostfwd(const struct publish_set *s)
{
	struct portspec_rule r = bound_rule(s);
	JsonObject *o = json_object_new();
	char host[ADDR_STRLEN], guest[ADDR_STRLEN];

	json_object_set_int_member(o, "id", s->id);
	json_object_set_string_member(o, "proto", r.proto == PORTSPEC_TCP ? "tcp" : "udp");
	json_object_set_string_member(o, "host_addr", r.dual ? "0.0.0.0" : addr_format(&r.bind, host));
	json_object_set_int_member(o, "host_port", r.first);
	json_object_set_string_member(o, "guest_addr", r.has_to ? addr_format(&r.to, guest) : "0.0.0.0");
	json_object_set_int_member(o, "guest_port", r.to_first);
	return o;
}

static JsonNode *run_list_hostfwd(const struct control_env *env, JsonObject *args, GError **err)
{
	struct publish *reg = publisher_registry(env->publisher);
	JsonArray *list = json_array_new();
	JsonObject *o = json_object_new();

	(void)args;
	(void)err;
	for (const struct publish_set *s = publish_next(reg, NULL); s; s = publish_next(reg, s))
		if (!s->rule.path[0])
			json_array_add_object_element(list, describe_hostfwd(s));
	json_object_set_array_member(o, "entries", list);
	return object_node(o);
}

/* ---- rows ---- */

static const struct control_arg no_args[] = { { NULL } };

static const struct control_arg id_args[] = {
	{ "id", CONTROL_NUMBER, true, "of what was published" },
	{ NULL },
};

static const struct control_arg add_args[] = {
	{ "spec", CONTROL_TEXT, true, "as the option --tcp-ports takes it" },
	{ "proto", CONTROL_TEXT, false, "tcp or udp (tcp)" },
	{ "source", CONTROL_TEXT, false, "what the guest sees: client, gateway, proxy1 or proxy2 (client)" },
	{ "freebind", CONTROL_BOOL, false, "also an address that the host does not have yet" },
	{ "max_clients", CONTROL_NUMBER, false, "of each port at once" },
	{ "max_source", CONTROL_NUMBER, false, "from one address at once" },
	{ NULL },
};

static const struct control_arg hostfwd_args[] = {
	{ "proto", CONTROL_TEXT, true, "tcp or udp" },
	{ "host_addr", CONTROL_TEXT, false, "where to listen (0.0.0.0)" },
	{ "host_port", CONTROL_NUMBER, true, "where to listen" },
	{ "guest_addr", CONTROL_TEXT, false, "whom to reach (the guest)" },
	{ "guest_port", CONTROL_NUMBER, true, "what to reach" },
	{ NULL },
};

const struct control_command control_publish_commands[] = {
	{ "publish-list", "what is published", no_args, run_list, CONTROL_NEEDS_PUBLISHER },
	{ "publish-add", "publishes ports; all of them or none", add_args, run_add, CONTROL_NEEDS_PUBLISHER },
	{ "publish-remove", "ends a published rule; its clients stay", id_args, run_remove, CONTROL_NEEDS_PUBLISHER },
	{ "publish-pause", "turns new clients away", id_args, run_pause, CONTROL_NEEDS_PUBLISHER },
	{ "publish-resume", "lets clients in again", id_args, run_resume, CONTROL_NEEDS_PUBLISHER },
	{ "add_hostfwd", "publishes one port, as slirp4netns's API does", hostfwd_args, run_add_hostfwd, CONTROL_NEEDS_PUBLISHER },
	{ "list_hostfwd", "what is published, as slirp4netns's API says it", no_args, run_list_hostfwd, CONTROL_NEEDS_PUBLISHER },
	{ "remove_hostfwd", "ends a published rule, as slirp4netns's API does", id_args, run_remove, CONTROL_NEEDS_PUBLISHER },
	{ NULL },
};
