/* alloc.c - memory that runs out: the linker (--wrap) sends the allocations of outsiders' making here.
 *
 * Below: sim.h.  Above: sim.c, gate.c.
 *
 * prefixes: alloc_ __wrap_
 */
#include "tests/sim/sim.h"

void *__real_g_try_malloc(gsize n);
void *__real_g_try_malloc0(gsize n);
void *__real_g_try_malloc_n(gsize n, gsize size);
void *__real_g_try_malloc0_n(gsize n, gsize size);
void *__real_g_try_realloc_n(gpointer p, gsize n, gsize size);
void *__wrap_g_try_malloc(gsize n);
void *__wrap_g_try_malloc0(gsize n);
void *__wrap_g_try_malloc_n(gsize n, gsize size);
void *__wrap_g_try_malloc0_n(gsize n, gsize size);
void *__wrap_g_try_realloc_n(gpointer p, gsize n, gsize size);

static struct sim *alloc_sim; /* the world whose seed decides; NULL: memory is plenty */

void alloc_begin(struct sim *s)
{
	alloc_sim = s;
}

void alloc_end(void)
{
	alloc_sim = NULL;
}

static bool alloc_fails(void)
{
	if (!alloc_sim || !alloc_sim->alloc_fails || !sim_chance(alloc_sim, alloc_sim->alloc_fails))
		return false;
	alloc_sim->faults++;
	sim_note(alloc_sim, "an allocation fails");
	return true;
}

void *__wrap_g_try_malloc(gsize n)
{
	return alloc_fails() ? NULL : __real_g_try_malloc(n);
}

void *__wrap_g_try_malloc0(gsize n)
{
	return alloc_fails() ? NULL : __real_g_try_malloc0(n);
}

void *__wrap_g_try_malloc_n(gsize n, gsize size)
{
	return alloc_fails() ? NULL : __real_g_try_malloc_n(n, size);
}

void *__wrap_g_try_malloc0_n(gsize n, gsize size)
{
	return alloc_fails() ? NULL : __real_g_try_malloc0_n(n, size);
}

void *__wrap_g_try_realloc_n(gpointer p, gsize n, gsize size)
{
	return alloc_fails() ? NULL : __real_g_try_realloc_n(p, n, size);
}
