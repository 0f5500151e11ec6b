/* control_command.c - the table of commands, the check of arguments, and the commands that belong to nothing in particular. */
#include "gateway/doors/control_command.h"

#include "gateway/doors/cli_report.h"
#include "gateway/gateway.h"
#include "gateway/journal.h"

#include <string.h>

GQuark control_error_quark(void)
{
	return g_quark_from_static_string("control-error");
}

/* ---- arguments ---- */

static const char *const type_names[] = { [CONTROL_TEXT] = "string", [CONTROL_NUMBER] = "number", [CONTROL_BOOL] = "boolean" };

static bool type_fits(JsonNode *value, enum control_type type)
{
	GType have = json_node_get_value_type(value);

	switch (type) {
	case CONTROL_TEXT:
		return have == G_TYPE_STRING;
	case CONTROL_NUMBER:
		return have == G_TYPE_INT64 && json_node_get_int(value) >= 0;
	case CONTROL_BOOL:
		return have == G_TYPE_BOOLEAN;
	}
	return false;
}

static bool refuse(GError **err, const char *name, const char *what)
{
	g_set_error(err, CONTROL_ERROR, CONTROL_ERROR_ARGUMENT, "bad request: argument %s%s", name, what);
	return false;
}

static const struct control_arg *find_row(const struct control_arg *rows, const char *name)
{
	for (; rows->name; rows++)
		if (!strcmp(rows->name, name))
			return rows;
	return NULL;
}

static bool check_args(const struct control_arg *rows, JsonObject *args, GError **err)
{
	g_autoptr(GList) names = json_object_get_members(args);

	for (GList *at = names; at; at = at->next) {
		const struct control_arg *row = find_row(rows, at->data);
		g_autofree char *wrong = NULL;

		if (!row)
			return refuse(err, at->data, " is none of this command's");
		wrong = g_strconcat(" is not a ", type_names[row->type], NULL);
		if (!type_fits(json_object_get_member(args, at->data), row->type))
			return refuse(err, at->data, wrong);
	}
	for (; rows->name; rows++)
		if (rows->required && !json_object_has_member(args, rows->name))
			return refuse(err, rows->name, " is missing");
	return true;
}

JsonNode *control_command_run(const struct control_command *c, const struct control_env *env, JsonObject *args, GError **err)
{
	g_autoptr(JsonObject) none = json_object_new();

	if (!args)
		args = none;
	if (!check_args(c->args, args, err))
		return NULL;
	if ((c->need == CONTROL_NEEDS_GATEWAY && !env->gw) || (c->need == CONTROL_NEEDS_PUBLISHER && !env->publisher)) {
		g_set_error(err, CONTROL_ERROR, CONTROL_ERROR_GENERIC, "%s: there is none here to ask", c->name);
		return NULL;
	}
	return c->run(env, args, err);
}

const char *control_text(JsonObject *args, const char *name, const char *otherwise)
{
	return json_object_get_string_member_with_default(args, name, otherwise);
}

gint64 control_number(JsonObject *args, const char *name, gint64 otherwise)
{
	return json_object_get_int_member_with_default(args, name, otherwise);
}

JsonNode *control_nothing(void)
{
	return json_node_init_object(json_node_alloc(), json_object_new());
}

/* ---- the tables ---- */

static const struct control_command *const tables[] = { control_general_commands, control_publish_commands, control_flow_commands };

const struct control_command *control_command_find(const char *name)
{
	for (unsigned i = 0; i < G_N_ELEMENTS(tables); i++)
		for (const struct control_command *c = tables[i]; c->name; c++)
			if (!strcmp(c->name, name))
				return c;
	return NULL;
}

static JsonNode *describe_args(const struct control_arg *rows)
{
	JsonArray *list = json_array_new();

	for (; rows->name; rows++) {
		JsonObject *o = json_object_new();

		json_object_set_string_member(o, "name", rows->name);
		json_object_set_string_member(o, "type", type_names[rows->type]);
		json_object_set_boolean_member(o, "required", rows->required);
		json_object_set_string_member(o, "help", rows->help);
		json_array_add_object_element(list, o);
	}
	return json_node_init_array(json_node_alloc(), list);
}

/* ---- commands ---- */

static const struct control_arg no_args[] = { { NULL } };

static JsonNode *run_schema(const struct control_env *env, JsonObject *args, GError **err)
{
	JsonArray *list = json_array_new();

	(void)env;
	(void)args;
	(void)err;
	for (unsigned i = 0; i < G_N_ELEMENTS(tables); i++)
		for (const struct control_command *c = tables[i]; c->name; c++) {
			JsonObject *o = json_object_new();

			json_object_set_string_member(o, "name", c->name);
			json_object_set_string_member(o, "help", c->help);
			json_object_set_member(o, "arguments", describe_args(c->args));
			json_array_add_object_element(list, o);
		}
	return json_node_init_array(json_node_alloc(), list);
}

static JsonNode *run_stats(const struct control_env *env, JsonObject *args, GError **err)
{
	struct gateway_stats st;
	g_autofree char *text = NULL;

	(void)args;
	gateway_stats(env->gw, &st);
	text = cli_report_stats_json(&st);
	return json_from_string(text, err);
}

static JsonNode *run_version(const struct control_env *env, JsonObject *args, GError **err)
{
	JsonObject *o = json_object_new();

	(void)env;
	(void)args;
	(void)err;
	json_object_set_string_member(o, "version", SLIRPGATE_VERSION);
	return json_node_init_object(json_node_alloc(), o);
}

static JsonNode *run_log_level(const struct control_env *env, JsonObject *args, GError **err)
{
	const char *text = control_text(args, "level", "");
	enum journal_level level;

	if (!journal_level_parse(text, &level)) {
		refuse(err, "level", " is none of error, warn, info, debug");
		return NULL;
	}
	journal_set_level(env->journal, level);
	return control_nothing();
}

static JsonNode *run_shutdown(const struct control_env *env, JsonObject *args, GError **err)
{
	(void)args;
	(void)err;
	env->shutdown(env->arg);
	return control_nothing();
}

static const struct control_arg log_level_args[] = {
	{ "level", CONTROL_TEXT, true, "error, warn, info or debug" },
	{ NULL },
};

const struct control_command control_general_commands[] = {
	{ "schema", "every command, its arguments and what it does", no_args, run_schema },
	{ "version", "of the program", no_args, run_version },
	{ "stats", "the counters", no_args, run_stats, CONTROL_NEEDS_GATEWAY },
	{ "log-level", "how much is said on standard error", log_level_args, run_log_level },
	{ "shutdown", "ends the gateway, and run's command with it", no_args, run_shutdown },
	{ NULL },
};
