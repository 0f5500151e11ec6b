/* cli_option.c - argv against a table of options.  Below: GLib.  Above: the commands. */
#include "gateway/doors/cli_option.h"

#include "gateway/doors/cli.h"

#include <string.h>

enum { HELP_COLUMN = 28 }; /* where the second column of the help begins */

/* What the walk stands on. */
struct walk {
	const struct cli_option *table;
	void *ctx;
	int argc;
	char **argv;
	int at;
};

GQuark cli_option_error_quark(void)
{
	return g_quark_from_static_string("cli-option-error");
}

/* The row that o stands on or leads to, NULL behind the last. */
static const struct cli_option *row(const struct cli_option *o)
{
	while (o && !o->name)
		o = o->next;
	return o;
}

static bool takes_value(const struct cli_option *o)
{
	return o->arg && *o->arg != '=';
}

static const struct cli_option *find_name(const struct cli_option *table, const char *name, size_t len)
{
	for (const struct cli_option *o = row(table); o; o = row(o + 1)) {
		if (strlen(o->name) == len && !strncmp(o->name, name, len))
			return o;
	}
	return NULL;
}

static const struct cli_option *find_letter(const struct cli_option *table, char letter)
{
	for (const struct cli_option *o = row(table); o; o = row(o + 1)) {
		if (letter && o->letter == letter)
			return o;
	}
	return NULL;
}

static bool fail(GError **err, const char *what, int len, const char *why)
{
	g_set_error(err, CLI_OPTION_ERROR, CLI_EXIT_USAGE, "%.*s: %s", len, what, why);
	return false;
}

static bool apply(const struct walk *w, const struct cli_option *o, const char *value, const char *called, int len, GError **err)
{
	GError *why = NULL;

	if (o->set(w->ctx, value, &why))
		return true;
	g_propagate_prefixed_error(err, why, "%.*s: ", len, called);
	return false;
}

/* The next word as an option's value; w->at comes to stand on it. */
static const char *next_word(struct walk *w)
{
	return w->at + 1 < w->argc ? w->argv[++w->at] : NULL;
}

static bool parse_long(struct walk *w, GError **err)
{
	const char *word = w->argv[w->at];
	int len = (int)strcspn(word, "=");
	const char *value = word[len] == '=' ? word + len + 1 : NULL;
	const struct cli_option *o = find_name(w->table, word + 2, (size_t)len - 2);

	if (!o)
		return fail(err, word, len, "no such option");
	if (value && !o->arg)
		return fail(err, word, len, "takes no value");
	if (!value && takes_value(o)) {
		value = next_word(w);
		if (!value)
			return fail(err, word, len, "a value is missing");
	}
	return apply(w, o, value, word, len, err);
}

static bool parse_short(struct walk *w, GError **err)
{
	for (const char *p = w->argv[w->at] + 1; *p; p++) {
		char called[3] = { '-', *p, '\0' };
		const struct cli_option *o = find_letter(w->table, *p);
		const char *value = NULL;

		if (!o)
			return fail(err, called, 2, "no such option");
		if (takes_value(o)) {
			value = p[1] ? p + 1 : next_word(w);
			if (!value)
				return fail(err, called, 2, "a value is missing");
		}
		if (!apply(w, o, value, called, 2, err))
			return false;
		if (value)
			break;
	}
	return true;
}

int cli_option_parse(const struct cli_option *table, void *ctx, int argc, char **argv, GError **err)
{
	struct walk w = { table, ctx, argc, argv, 0 };

	for (; w.at < argc; w.at++) {
		const char *word = argv[w.at];

		if (word[0] != '-' || !word[1])
			break;
		if (!strcmp(word, "--"))
			return w.at + 1;
		if (!(word[1] == '-' ? parse_long(&w, err) : parse_short(&w, err)))
			return -1;
	}
	return w.at;
}

static void help_row(GString *s, const struct cli_option *o)
{
	gsize start = s->len;

	if (o->letter)
		g_string_append_printf(s, "  -%c, --%s", o->letter, o->name);
	else
		g_string_append_printf(s, "      --%s", o->name);
	if (o->arg && *o->arg == '=')
		g_string_append_printf(s, "[%s]", o->arg);
	else if (o->arg)
		g_string_append_printf(s, " %s", o->arg);
	do
		g_string_append_c(s, ' ');
	while (s->len - start < HELP_COLUMN);
	g_string_append_printf(s, "%s\n", o->help);
}

char *cli_option_help(const struct cli_option *table, const char *topic)
{
	GString *s = g_string_new(NULL);
	const char *at = NULL; /* the topic of row o */

	for (const struct cli_option *o = table; o; o = o->name ? o + 1 : o->next) {
		if (o->name && !g_strcmp0(at, topic))
			help_row(s, o);
		else if (!o->name && o->topic)
			at = o->topic;
	}
	return g_string_free(s, !s->len);
}
