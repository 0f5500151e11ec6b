/* mem.h - memory that outsiders make us allocate, and a way to let it fail.
 *
 * What it is: the one home of every allocation that a guest, a peer or the network causes while a gateway runs: a connection, a session, a
 * fragment, a table that grows.  Each can fail, and then exactly the thing it was for is refused, with reason NO_MEMORY where there
 * is somebody to tell; nothing else notices and nothing leaks.  Where a table cannot grow it stays as it is: slower (htab), or
 * forgetting earlier (tcp_tw).
 * What it is not: used for what the operator causes (start, options, listeners); a cap (those stand where they are kept).
 *
 * Tests inject failures: a zeroed struct mem, given in stack_config.mem or gateway_config.mem before the start, counts the allocations,
 * and those with numbers fail_from .. fail_from + fail_count - 1 (the first is 0) fail.  Both may be changed at any time:
 *
 *	mem.fail_from = mem.asked; mem.fail_count = 1;			the next one fails
 *	for (k = 0; run with fail_from = k, fail_count = 1, mem.failed; k++)	each in turn, until none fails any more
 *	mem.fail_from = mem.asked; mem.fail_count = UINT64_MAX;		none succeeds from now on; 0: all do
 *
 * NULL instead of a struct: nothing is counted and nothing is made to fail.  Freed by g_free().
 * Below: GLib allocation.  Above: everybody who allocates for outsiders.
 */
#ifndef SLIRP_BASE_MEM_H
#define SLIRP_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mem {
	uint64_t asked;		/* allocations so far, the failed ones among them */
	uint64_t failed;	/* those that were made to fail */
	uint64_t fail_from, fail_count;
};

/* size bytes, uninitialised; mem_new0: zeroed; NULL: no memory.  size is not 0. */
void *mem_new(struct mem *m, size_t size);
void *mem_new0(struct mem *m, size_t size);
/* n members of size bytes each, as realloc(); NULL: no memory, old is as it was. */
void *mem_resize(struct mem *m, void *old, size_t n, size_t size);

#endif
