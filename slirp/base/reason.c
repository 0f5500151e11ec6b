/* reason.c - names and texts of the reasons, both made from the one list.
 *
 * Below: nothing.  Above: everybody who prints a reason.
 */
#include "slirp/base/reason.h"

static const struct {
	const char *name, *text;
} reasons[] = {
#define REASON_ROW(name, text) [R_##name] = { #name, text },
	REASON_LIST(REASON_ROW)
#undef REASON_ROW
};

_Static_assert(sizeof(reasons) / sizeof(reasons[0]) == R_COUNT, "one row per reason");

/* A value outside the list (a caller's bug) prints as a question mark instead of reading past the table. */
const char *reason_name(enum reason r)
{
	return (unsigned int)r < R_COUNT ? reasons[r].name : "?";
}

const char *reason_text(enum reason r)
{
	return (unsigned int)r < R_COUNT ? reasons[r].text : "?";
}
