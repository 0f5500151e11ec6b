/* gateway_tunable.c - the defaults, and finding and checking a row by name.  See gateway_tunable.h. */
#include "gateway/gateway_tunable.h"

#include <stddef.h>
#include <string.h>

struct tunable_row {
	const char *name;
	size_t offset;
	int64_t min, max;
};

static const struct tunable_row tunable_rows[] = {
#define TUNABLE_ROW(row, unit, def, lo, hi, why) { #row, offsetof(struct gateway_tunables, row), lo, hi },
	GATEWAY_TUNABLES(TUNABLE_ROW)
#undef TUNABLE_ROW
};

const struct gateway_tunables gateway_tunable_defaults = {
#define TUNABLE_DEFAULT(row, unit, def, lo, hi, why) .row = def,
	GATEWAY_TUNABLES(TUNABLE_DEFAULT)
#undef TUNABLE_DEFAULT
};

bool gateway_tunable_set(struct gateway_tunables *t, const char *name, int64_t value, int64_t *ret_min, int64_t *ret_max)
{
	for (size_t i = 0; i < sizeof(tunable_rows) / sizeof(tunable_rows[0]); i++) {
		const struct tunable_row *row = &tunable_rows[i];

		if (strcmp(row->name, name))
			continue;
		*ret_min = row->min;
		*ret_max = row->max;
		if (value < row->min || value > row->max)
			return false;
		memcpy((char *)t + row->offset, &value, sizeof(value));
		return true;
	}
	*ret_min = *ret_max = 0;
	return false;
}
