/* tunable.c - rows of limits.  See tunable.h. */
#include "slirp/base/tunable.h"

#include <string.h>

const struct tunable_row *tunable_find(const struct tunable_table *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(t->rows[i].name, name))
			return &t->rows[i];
	return NULL;
}

int64_t tunable_get(const struct tunable_row *r, const void *values)
{
	int64_t value;

	memcpy(&value, (const char *)values + r->offset, sizeof(value));
	return value;
}

bool tunable_set(const struct tunable_row *r, void *values, int64_t value)
{
	if (value < r->min || value > r->max)
		return false;
	memcpy((char *)values + r->offset, &value, sizeof(value));
	return true;
}
