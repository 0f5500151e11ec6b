/* libslirp_debug.c - lines for a person who looks for a fault.  See libslirp_state.h.
 *
 * The interface names no instance here: the flags are the process's.  They are the one mutable thing that instances share, and only
 * whether something is said depends on them.
 * prefixes: slirp_
 */
#include "gateway/doors/libslirp_state.h"

#include <glib.h>

static unsigned debug_flags; /* atomic */
static gsize debug_once;

void libslirp_debug_init(void)
{
	static const GDebugKey keys[] = {
		{ "call", SLIRP_DBG_CALL },	{ "misc", SLIRP_DBG_MISC },	    { "error", SLIRP_DBG_ERROR },
		{ "tftp", SLIRP_DBG_TFTP },	{ "verbose_call", SLIRP_DBG_VERBOSE_CALL },
	};

	if (!g_once_init_enter(&debug_once))
		return;
	slirp_set_debug(g_parse_debug_string(g_getenv("SLIRP_DEBUG"), keys, G_N_ELEMENTS(keys)));
	g_once_init_leave(&debug_once, 1);
}

void libslirp_debug(unsigned bits, const char *format, ...)
{
	va_list args;

	if (G_LIKELY(!((unsigned)g_atomic_int_get(&debug_flags) & bits)))
		return;
	va_start(args, format);
	g_logv(LIBSLIRP_DOMAIN, G_LOG_LEVEL_DEBUG, format, args);
	va_end(args);
}

void slirp_set_debug(unsigned int flags)
{
	g_atomic_int_or(&debug_flags, flags);
}

void slirp_reset_debug(unsigned int flags)
{
	g_atomic_int_and(&debug_flags, ~flags);
}
