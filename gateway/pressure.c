/* pressure.c - two watermarks.  See pressure.h. */
#include "gateway/pressure.h"

bool pressure_update(struct pressure *p, unsigned percent, unsigned begin, unsigned end)
{
	bool on = p->on ? percent > end || percent >= begin : percent >= begin;

	if (on == p->on)
		return false;
	p->on = on;
	p->times += on;
	return true;
}

unsigned pressure_percent(uint64_t used, uint64_t cap)
{
	return used >= cap ? 100 : (unsigned)(used * 100 / cap);
}
