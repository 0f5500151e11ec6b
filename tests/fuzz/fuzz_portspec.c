/* fuzz_portspec.c - port specifications from any bytes, several into one table.
 *
 * Lines are given one after the other.  Whatever comes: no two rules of a table meet, ports are in range, and a refusal leaves
 * the table as it was and says something.
 */
#include "publish/portspec.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

static void fuzz_check(bool good)
{
	if (!good)
		abort();
}

static void fuzz_rule(const GArray *table, guint n)
{
	const struct portspec_rule *r = &g_array_index(table, struct portspec_rule, n);
	char buf[PORTSPEC_TEXT_MAX];

	fuzz_check(r->first <= r->last && r->to_first > 0 && r->to_first + portspec_count(r) <= 65536);
	fuzz_check(strlen(portspec_format(r, buf)) < sizeof(buf));
	for (guint i = 0; i < n; i++)
		fuzz_check(!portspec_overlap(r, &g_array_index(table, struct portspec_rule, i)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct portspec_dialect dialects[] = {
		{ .ephemeral_first = 32768, .ephemeral_last = 60999 },
		{ .follow = true, .any_port = true, .unix_path = true },
	};
	g_autoptr(GArray) table = portspec_table_new();
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;

	if (!size)
		return 0;
	text = g_strndup((const char *)data + 1, size - 1);
	lines = g_strsplit(text, "\n", 8);
	for (int i = 0; lines[i]; i++) {
		g_autoptr(GError) err = NULL;
		guint before = table->len;
		bool good = portspec_add(table, (enum portspec_proto)(data[0] & 1), lines[i], &dialects[data[0] >> 1 & 1], &err);

		fuzz_check(good == !err && (good || table->len == before) && table->len <= PORTSPEC_RULES_MAX);
		for (guint n = before; n < table->len; n++)
			fuzz_rule(table, n);
	}
	return 0;
}
