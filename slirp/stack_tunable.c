/* stack_tunable.c - finding and checking a row by name.  See stack_tunable.h. */
#include "slirp/stack_tunable.h"

#include <stddef.h>
#include <string.h>

struct tunable_row {
	const char *name;
	size_t offset;
	int64_t min, max;
};

static const struct tunable_row tunable_rows[] = {
#define TUNABLE_ROW(row, unit, def, lo, hi, why) { #row, offsetof(struct stack_tunables, row), lo, hi },
	STACK_TUNABLES(TUNABLE_ROW)
#undef TUNABLE_ROW
};

bool stack_tunable_set(struct stack_tunables *t, const char *name, int64_t value, int64_t *ret_min, int64_t *ret_max)
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
