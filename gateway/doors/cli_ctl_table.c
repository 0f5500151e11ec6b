/* cli_ctl_table.c - JSON to text.  See cli_ctl_table.h. */
#include "gateway/doors/cli_ctl_table.h"

#include <stdbool.h>
#include <string.h>

enum { INDENT = 2, COLUMN_GAP = 2 };

static bool is_table(JsonNode *value)
{
	JsonArray *list = JSON_NODE_HOLDS_ARRAY(value) ? json_node_get_array(value) : NULL;

	if (!list || !json_array_get_length(list))
		return false;
	for (guint i = 0; i < json_array_get_length(list); i++)
		if (!JSON_NODE_HOLDS_OBJECT(json_array_get_element(list, i)))
			return false;
	return true;
}

/* A list of things that have names, as the names; in brackets what is not required. */
static char *names_of(JsonArray *list)
{
	GString *s = g_string_new(NULL);

	for (guint i = 0; i < json_array_get_length(list); i++) {
		JsonObject *o = json_array_get_object_element(list, i);
		const char *name = json_object_get_string_member_with_default(o, "name", "?");
		bool needed = json_object_get_boolean_member_with_default(o, "required", TRUE);

		g_string_append_printf(s, "%s%s%s%s", i ? " " : "", needed ? "" : "[", name, needed ? "" : "]");
	}
	return g_string_free(s, FALSE);
}

/* One value in one line, without control characters. */
static char *cell(JsonNode *value)
{
	char *text;

	if (!value)
		return g_strdup("");
	if (json_node_get_value_type(value) == G_TYPE_STRING)
		text = g_strdup(json_node_get_string(value));
	else if (JSON_NODE_HOLDS_ARRAY(value) && !json_array_get_length(json_node_get_array(value)))
		text = g_strdup("-");
	else if (is_table(value))
		text = names_of(json_node_get_array(value));
	else
		text = json_to_string(value, FALSE);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return text;
}

static void pad(GString *s, const char *text, glong width)
{
	g_string_append_printf(s, "%s%*s", text, (int)MAX(width - g_utf8_strlen(text, -1), 0), "");
}

/* How wide the column called name has to be. */
static glong column_width(JsonArray *list, const char *name)
{
	glong width = g_utf8_strlen(name, -1);

	for (guint i = 0; i < json_array_get_length(list); i++) {
		g_autofree char *text = cell(json_object_get_member(json_array_get_object_element(list, i), name));

		width = MAX(width, g_utf8_strlen(text, -1));
	}
	return width + COLUMN_GAP;
}

static void trim_line(GString *s)
{
	while (s->len && s->str[s->len - 1] == ' ')
		g_string_truncate(s, s->len - 1);
	g_string_append_c(s, '\n');
}

/* The first object's names are the columns. */
static void put_table(GString *s, JsonArray *list, int indent)
{
	g_autoptr(GList) names = json_object_get_members(json_array_get_object_element(list, 0));

	g_string_append_printf(s, "%*s", indent, "");
	for (GList *at = names; at; at = at->next)
		pad(s, at->data, column_width(list, at->data));
	trim_line(s);
	for (guint i = 0; i < json_array_get_length(list); i++) {
		JsonObject *row = json_array_get_object_element(list, i);

		g_string_append_printf(s, "%*s", indent, "");
		for (GList *at = names; at; at = at->next) {
			g_autofree char *text = cell(json_object_get_member(row, at->data));

			pad(s, text, column_width(list, at->data));
		}
		trim_line(s);
	}
}

static void put_object(GString *s, JsonObject *o, int indent)
{
	g_autoptr(GList) names = json_object_get_members(o);
	glong width = 0;

	for (GList *at = names; at; at = at->next)
		width = MAX(width, g_utf8_strlen(at->data, -1) + COLUMN_GAP);
	for (GList *at = names; at; at = at->next) {
		JsonNode *value = json_object_get_member(o, at->data);

		g_string_append_printf(s, "%*s", indent, "");
		if (JSON_NODE_HOLDS_OBJECT(value) && json_object_get_size(json_node_get_object(value))) {
			g_string_append_printf(s, "%s\n", (const char *)at->data);
			put_object(s, json_node_get_object(value), indent + INDENT);
		} else if (is_table(value)) {
			g_string_append_printf(s, "%s\n", (const char *)at->data);
			put_table(s, json_node_get_array(value), indent + INDENT);
		} else {
			g_autofree char *text = cell(value);

			pad(s, at->data, width);
			g_string_append(s, text);
			trim_line(s);
		}
	}
}

char *cli_ctl_table(JsonNode *value)
{
	GString *s = g_string_new(NULL);

	if (is_table(value)) {
		put_table(s, json_node_get_array(value), 0);
	} else if (JSON_NODE_HOLDS_OBJECT(value)) {
		put_object(s, json_node_get_object(value), 0);
	} else if (JSON_NODE_HOLDS_ARRAY(value) && !json_array_get_length(json_node_get_array(value))) {
		g_string_append(s, "nothing\n");
	} else {
		g_autofree char *text = cell(value);

		g_string_append_printf(s, "%s\n", text);
	}
	return g_string_free(s, FALSE);
}
