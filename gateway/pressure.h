/* pressure.h - is something running short?
 *
 * What it is: one bit with two watermarks, from how full each resource is.  Pure.
 * What it is not: what is done about it: shorter deadlines (flow_tcp.c, stack_pressure()), idle flows that make room (flow.c).
 * Below: nothing.  Above: flow.c.  Contract D1, D4, F15.
 */
#ifndef GATEWAY_PRESSURE_H
#define GATEWAY_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

struct pressure {
	bool on;
	uint64_t times; /* that it began */
};

/* percent: how full the fullest resource is.  Begins at `begin` or above, ends at `end` or below; in between it stays.  True: it changed. */
bool pressure_update(struct pressure *p, unsigned percent, unsigned begin, unsigned end);

/* used of cap; a cap of 0 is full. */
unsigned pressure_percent(uint64_t used, uint64_t cap);

#endif
