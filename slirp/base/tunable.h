/* tunable.h - limits as rows: found, checked and changed by name.
 *
 * What it is: what every table of tunables shares (slirp/stack_tunable.h, gateway/gateway_tunable.h); the tables are theirs.
 * Below: nothing.  Above: those two, doors that list and change rows.
 */
#ifndef SLIRP_BASE_TUNABLE_H
#define SLIRP_BASE_TUNABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A table is an array of these, over a struct of int64_t members. */
struct tunable_row {
	const char *name;
	const char *unit; /* "US": microseconds; "BYTES"; "COUNT" */
	const char *why;
	size_t offset; /* of the member */
	int64_t def, min, max;
};

struct tunable_table {
	const struct tunable_row *rows;
	size_t n;
};

#define TUNABLE_TABLE(array) { (array), sizeof(array) / sizeof((array)[0]) }

const struct tunable_row *tunable_find(const struct tunable_table *t, const char *name); /* NULL: no such row */
int64_t tunable_get(const struct tunable_row *r, const void *values);
/* False: out of range, nothing is changed. */
bool tunable_set(const struct tunable_row *r, void *values, int64_t value);

#endif
