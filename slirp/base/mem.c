/* mem.c - allocation that may be made to fail.  See mem.h. */
#include "slirp/base/mem.h"

#include <glib.h>

static bool mem_refuses(struct mem *m)
{
	uint64_t n;

	if (!m)
		return false;
	n = m->asked++;
	if (n < m->fail_from || n - m->fail_from >= m->fail_count)
		return false;
	m->failed++;
	return true;
}

void *mem_new(struct mem *m, size_t size)
{
	return mem_refuses(m) ? NULL : g_try_malloc(size);
}

void *mem_new0(struct mem *m, size_t size)
{
	return mem_refuses(m) ? NULL : g_try_malloc0(size);
}

void *mem_resize(struct mem *m, void *old, size_t n, size_t size)
{
	return mem_refuses(m) ? NULL : g_try_realloc_n(old, n, size);
}
