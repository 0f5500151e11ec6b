/* gateway_tunable.c - the gateway's table of limits and its defaults.  See gateway_tunable.h. */
#include "gateway/gateway_tunable.h"

#include <stddef.h>

static const struct tunable_row gateway_tunable_rows[] = {
#define GATEWAY_TUNABLE_ROW(row, unit, def, lo, hi, why) { #row, #unit, why, offsetof(struct gateway_tunables, row), def, lo, hi },
	GATEWAY_TUNABLES(GATEWAY_TUNABLE_ROW)
#undef GATEWAY_TUNABLE_ROW
};

const struct tunable_table gateway_tunable_table = TUNABLE_TABLE(gateway_tunable_rows);

const struct gateway_tunables gateway_tunable_defaults = {
#define GATEWAY_TUNABLE_DEFAULT(row, unit, def, lo, hi, why) .row = def,
	GATEWAY_TUNABLES(GATEWAY_TUNABLE_DEFAULT)
#undef GATEWAY_TUNABLE_DEFAULT
};

bool gateway_tunable_set(struct gateway_tunables *t, const char *name, int64_t value, int64_t *ret_min, int64_t *ret_max)
{
	const struct tunable_row *row = tunable_find(&gateway_tunable_table, name);

	*ret_min = row ? row->min : 0;
	*ret_max = row ? row->max : 0;
	return row && tunable_set(row, t, value);
}
