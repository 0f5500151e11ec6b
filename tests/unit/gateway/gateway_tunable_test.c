/* gateway_tunable_test.c - every row: its default lies in its range, its ends are taken, what lies outside is not. D6 D7 */
#include "gateway/gateway.h"

#include <string.h>

struct row {
	const char *name;
	int64_t def, min, max;
	const char *why;
};

static const struct row rows[] = {
#define ROW(name, unit, def, min, max, why) { #name, def, min, max, why },
	GATEWAY_TUNABLES(ROW)
#undef ROW
};

static int64_t field(const struct gateway_tunables *t, const char *name)
{
#define FIELD(row, unit, def, min, max, why) \
	if (!strcmp(name, #row))             \
		return t->row;
	GATEWAY_TUNABLES(FIELD)
#undef FIELD
	g_assert_not_reached();
}

static void defaults(void)
{
	struct gateway_config cfg;

	gateway_config_init(&cfg);
	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_assert_cmpint(field(&cfg.tune, rows[i].name), ==, rows[i].def);
		g_assert_cmpint(field(&gateway_tunable_defaults, rows[i].name), ==, rows[i].def);
		g_assert_cmpint(rows[i].min, <=, rows[i].def);
		g_assert_cmpint(rows[i].def, <=, rows[i].max);
		g_assert_cmpuint(strlen(rows[i].why), >, 10);
	}
}

static void set(void)
{
	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		const int64_t good[] = { rows[i].min, rows[i].max, rows[i].def }, bad[] = { rows[i].min - 1, rows[i].max + 1, INT64_MIN, INT64_MAX };
		struct gateway_tunables t = gateway_tunable_defaults, before;
		int64_t min, max;

		for (unsigned k = 0; k < G_N_ELEMENTS(good); k++) {
			g_assert_true(gateway_tunable_set(&t, rows[i].name, good[k], &min, &max));
			g_assert_cmpint(field(&t, rows[i].name), ==, good[k]);
		}
		before = t;
		for (unsigned k = 0; k < G_N_ELEMENTS(bad); k++) {
			g_assert_false(gateway_tunable_set(&t, rows[i].name, bad[k], &min, &max));
			g_assert_cmpint(min, ==, rows[i].min);
			g_assert_cmpint(max, ==, rows[i].max);
		}
		g_assert_cmpmem(&t, sizeof(t), &before, sizeof(before)); /* its own row and no other */
	}
}

static void unknown(void)
{
	static const char *const names[] = { "", "udp", "udp_repliedx", "UDP_REPLIED", " udp_replied", "rto_min" };
	struct gateway_tunables t = gateway_tunable_defaults;
	int64_t min, max;

	for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
		min = max = -1;
		g_assert_false(gateway_tunable_set(&t, names[i], 1, &min, &max));
		g_assert_cmpint(min, ==, 0);
		g_assert_cmpint(max, ==, 0);
	}
	g_assert_cmpmem(&t, sizeof(t), &gateway_tunable_defaults, sizeof(t));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/gateway_tunable/defaults", defaults);
	g_test_add_func("/gateway_tunable/set", set);
	g_test_add_func("/gateway_tunable/unknown", unknown);
	return g_test_run();
}
