/* stack_tunable.c - the core's table of limits.  See stack_tunable.h. */
#include "slirp/stack_tunable.h"

#include <stddef.h>

static const struct tunable_row stack_tunable_rows[] = {
#define STACK_TUNABLE_ROW(row, unit, def, lo, hi, why) { #row, #unit, why, offsetof(struct stack_tunables, row), def, lo, hi },
	STACK_TUNABLES(STACK_TUNABLE_ROW)
#undef STACK_TUNABLE_ROW
};

const struct tunable_table stack_tunable_table = TUNABLE_TABLE(stack_tunable_rows);

bool stack_tunable_set(struct stack_tunables *t, const char *name, int64_t value, int64_t *ret_min, int64_t *ret_max)
{
	const struct tunable_row *row = tunable_find(&stack_tunable_table, name);

	*ret_min = row ? row->min : 0;
	*ret_max = row ? row->max : 0;
	return row && tunable_set(row, t, value);
}
