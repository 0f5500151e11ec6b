/* script.c - a script file as text.  See script.h. */
#include "tests/scripts/script.h"

#include <glib.h>
#include <math.h>
#include <string.h>

struct script *script_load(const char *path)
{
	g_autofree char *text = NULL;
	struct script *s;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return NULL;
	s = g_new0(struct script, 1);
	s->path = g_strdup(path);
	s->lines = g_strsplit(text, "\n", -1);
	for (s->n = 0; s->lines[s->n]; s->n++) {
		char *line = s->lines[s->n], *hash = strchr(line, '#');

		if (hash) {
			if (!s->title && hash == line)
				s->title = g_strstrip(g_strdup(hash + 1));
			*hash = '\0';
		}
		g_strstrip(line);
	}
	if (!s->title)
		s->title = g_strdup("");
	return s;
}

void script_free(struct script *s)
{
	if (!s)
		return;
	g_free(s->path);
	g_free(s->title);
	g_strfreev(s->lines);
	g_free(s);
}

int script_block_end(const struct script *s, int open)
{
	int depth = 0;

	for (int i = open; i < s->n; i++) {
		if (g_str_has_suffix(s->lines[i], "{"))
			depth++;
		else if (!strcmp(s->lines[i], "}") && --depth == 0)
			return i;
	}
	return -1;
}

static bool script_factor(const char **p, int64_t *ret)
{
	char *end;

	if (!g_ascii_isdigit(**p))
		return false;
	*ret = g_ascii_strtoll(*p, &end, 0);
	*p = end;
	return true;
}

static bool script_product(const char **p, int64_t *ret)
{
	int64_t factor;

	if (!script_factor(p, ret))
		return false;
	while (**p == '*' && g_ascii_isdigit((*p)[1])) {
		++*p;
		if (!script_factor(p, &factor))
			return false;
		*ret *= factor;
	}
	return true;
}

bool script_number(const char *text, int64_t *ret, const char **end)
{
	const char *p = text;
	int64_t term, sum = 0;
	int sign = 1;

	if (*p == '-' || *p == '+')
		sign = *p++ == '-' ? -1 : 1;
	for (;;) {
		if (!script_product(&p, &term))
			return false;
		sum += sign * term;
		if ((*p != '+' && *p != '-') || !g_ascii_isdigit(p[1]))
			break;
		sign = *p++ == '-' ? -1 : 1;
	}
	*ret = sum;
	*end = p;
	return true;
}

bool script_time(const char *text, int64_t *ret, const char **end)
{
	char *p;
	double value, unit = 1e6;

	if (!g_ascii_isdigit(*text))
		return false;
	/* "1..2" is a range, not the number "1." */
	const char *dots = strstr(text, "..");
	g_autofree char *head = dots ? g_strndup(text, (gsize)(dots - text)) : g_strdup(text);

	value = g_ascii_strtod(head, &p);
	if (g_str_has_prefix(p, "ms")) {
		unit = 1e3;
		p += 2;
	} else if (g_str_has_prefix(p, "us")) {
		unit = 1;
		p += 2;
	} else if (*p == 's') {
		p++;
	}
	*ret = llround(value * unit);
	*end = text + (p - head);
	return true;
}

bool words_split(const char *text, struct words *ret)
{
	const char *p = text;

	memset(ret, 0, sizeof(*ret));
	for (;;) {
		const char *from;

		while (*p == ' ' || *p == '\t')
			p++;
		if (!*p)
			return true;
		from = p;
		if (*p == '<' && p[1] != '=') {
			p = strchr(p, '>');
			if (!p)
				return false;
			p++;
		} else {
			p += strcspn(p, " \t");
		}
		if (ret->n == WORDS_MAX)
			return false;
		ret->w[ret->n++] = g_strndup(from, (gsize)(p - from));
	}
}

void words_clear(struct words *w)
{
	for (int i = 0; i < w->n; i++)
		g_free(w->w[i]);
	memset(w, 0, sizeof(*w));
}

const char *words_next(struct words *w)
{
	return w->at < w->n ? w->w[w->at++] : NULL;
}

const char *words_peek(const struct words *w)
{
	return w->at < w->n ? w->w[w->at] : NULL;
}

bool words_take(struct words *w, const char *literal)
{
	const char *next = words_peek(w);

	if (!next || strcmp(next, literal))
		return false;
	w->at++;
	return true;
}

bool words_number(struct words *w, int64_t *ret)
{
	const char *next = words_next(w), *end;

	return next && script_number(next, ret, &end) && !*end;
}
