/* control_flows.c - connections listed and ended, and limits changed, while traffic flows.
 *
 * prefixes: control_
 */
#include "gateway/doors/control_command.h"
#include "gateway/gateway.h"
#include "gateway/gateway_tunable.h"
#include "slirp/tcp_conn.h"

#include <string.h>

enum { FLOWS_DEFAULT = 100, FLOWS_MAX = 5000 };

/* ---- connections */

/* "192.0.2.1:443" or "[2001:db8::1]:443". */
static bool parse_endpoint(JsonObject *args, const char *name, struct endpoint *ret, GError **err)
{
	const char *text = control_text(args, name, ""), *colon = strrchr(text, ':');
	g_autofree char *addr = colon ? g_strndup(text, (gsize)(colon - text)) : NULL;
	gsize len = addr ? strlen(addr) : 0;
	guint64 port;

	if (len > 2 && addr[0] == '[' && addr[len - 1] == ']') {
		memmove(addr, addr + 1, len - 2);
		addr[len - 2] = '\0';
	}
	if (addr && addr_parse(addr, &ret->addr, NULL) && g_ascii_string_to_unsigned(colon + 1, 10, 1, G_MAXUINT16, &port, NULL)) {
		ret->port = (uint16_t)port;
		return true;
	}
	g_set_error(err, CONTROL_ERROR, CONTROL_ERROR_ARGUMENT, "bad request: argument %s is not ADDRESS:PORT: %s", name, text);
	return false;
}

struct flow_list {
	JsonArray *rows;
	gint64 limit;
	bool by_far;
	struct addr far; /* if by_far */
	gint64 all;	 /* that match */
};

static void list_flow(void *arg, const struct tcp_conn *c)
{
	struct flow_list *l = arg;
	char guest[ENDPOINT_STRLEN], far[ENDPOINT_STRLEN];
	JsonObject *o;

	if (l->by_far && !addr_eq(&c->tuple.far.addr, &l->far))
		return;
	if (l->all++ >= l->limit)
		return;
	o = json_object_new();
	json_object_set_string_member(o, "guest", endpoint_format(&c->tuple.guest, guest));
	json_object_set_string_member(o, "far", endpoint_format(&c->tuple.far, far));
	json_object_set_string_member(o, "state", tcp_conn_state_name(c->state));
	json_object_set_int_member(o, "unacknowledged", c->snd_max - c->snd_una);
	json_array_add_object_element(l->rows, o);
}

static JsonNode *run_flows(const struct control_env *env, JsonObject *args, GError **err)
{
	const char *far = control_text(args, "far", NULL);
	struct flow_list l = { .limit = MIN(control_number(args, "limit", FLOWS_DEFAULT), FLOWS_MAX), .by_far = far != NULL };
	JsonObject *o;

	if (far && !addr_parse(far, &l.far, NULL)) {
		g_set_error(err, CONTROL_ERROR, CONTROL_ERROR_ARGUMENT, "bad request: argument far is not an address: %s", far);
		return NULL;
	}
	l.rows = json_array_new();
	tcp_conn_each(gateway_stack(env->gw), list_flow, &l);
	o = json_object_new();
	json_object_set_int_member(o, "matching", l.all);
	json_object_set_array_member(o, "flows", l.rows);
	return json_node_init_object(json_node_alloc(), o);
}

static JsonNode *run_close(const struct control_env *env, JsonObject *args, GError **err)
{
	struct tuple t;

	memset(&t, 0, sizeof(t));
	if (!parse_endpoint(args, "guest", &t.guest, err) || !parse_endpoint(args, "far", &t.far, err))
		return NULL;
	if (gateway_close_flow(env->gw, &t))
		return control_nothing();
	g_set_error(err, CONTROL_ERROR, CONTROL_ERROR_GENERIC, "bad request: there is no connection between %s and %s",
		    control_text(args, "guest", ""), control_text(args, "far", ""));
	return NULL;
}

/* ---- limits */

static void list_table(JsonArray *list, const struct tunable_table *table, const void *values)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct tunable_row *r = &table->rows[i];
		JsonObject *o = json_object_new();

		json_object_set_string_member(o, "name", r->name);
		json_object_set_int_member(o, "value", tunable_get(r, values));
		json_object_set_string_member(o, "unit", !strcmp(r->unit, "US") ? "us" : !strcmp(r->unit, "BYTES") ? "bytes" : "count");
		json_object_set_int_member(o, "default", r->def);
		json_object_set_int_member(o, "min", r->min);
		json_object_set_int_member(o, "max", r->max);
		json_object_set_string_member(o, "why", r->why);
		json_array_add_object_element(list, o);
	}
}

static JsonNode *run_tunables(const struct control_env *env, JsonObject *args, GError **err)
{
	JsonArray *list = json_array_new();

	(void)args;
	(void)err;
	list_table(list, &gateway_tunable_table, gateway_tunables(env->gw));
	list_table(list, &stack_tunable_table, stack_tune(gateway_stack(env->gw)));
	return json_node_init_array(json_node_alloc(), list);
}

static JsonNode *run_tune(const struct control_env *env, JsonObject *args, GError **err)
{
	const char *name = control_text(args, "name", "");
	gint64 value = control_number(args, "value", 0);
	int64_t min, max;

	if (gateway_tunable_set(gateway_tunables(env->gw), name, value, &min, &max))
		return control_nothing();
	if (!min && !max && stack_tunable_set(stack_tune(gateway_stack(env->gw)), name, value, &min, &max))
		return control_nothing();
	if (!min && !max)
		g_set_error(err, CONTROL_ERROR, CONTROL_ERROR_ARGUMENT, "bad request: there is no limit called %s", name);
	else
		g_set_error(err, CONTROL_ERROR, CONTROL_ERROR_ARGUMENT,
			    "bad request: %s is %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT ", not %" G_GINT64_FORMAT, name, min, max, value);
	return NULL;
}

/* ---- rows */

static const struct control_arg no_args[] = { { NULL } };

static const struct control_arg flows_args[] = {
	{ "far", CONTROL_TEXT, false, "only those with this far address" },
	{ "limit", CONTROL_NUMBER, false, "at most so many (100; 5000 at most)" },
	{ NULL },
};

static const struct control_arg close_args[] = {
	{ "guest", CONTROL_TEXT, true, "the guest's ADDRESS:PORT" },
	{ "far", CONTROL_TEXT, true, "the far ADDRESS:PORT, as the guest sees it" },
	{ NULL },
};

static const struct control_arg tune_args[] = {
	{ "name", CONTROL_TEXT, true, "of the limit" },
	{ "value", CONTROL_NUMBER, true, "in its unit" },
	{ NULL },
};

const struct control_command control_flow_commands[] = {
	{ "flows", "the TCP connections", flows_args, run_flows, CONTROL_NEEDS_GATEWAY },
	{ "flow-close", "resets one connection, for both sides", close_args, run_close, CONTROL_NEEDS_GATEWAY },
	{ "tunables", "every limit, its value and why it is so", no_args, run_tunables, CONTROL_NEEDS_GATEWAY },
	{ "tune", "changes one limit from now on", tune_args, run_tune, CONTROL_NEEDS_GATEWAY },
	{ NULL },
};
