/* libslirp_info.c - what a person may ask: connections and neighbours, as text in the format that tools parse.
 *
 * prefixes: slirp_
 * Below: libslirp_state.h.  Above: the application.
 */
#include "gateway/doors/libslirp_state.h"

#include <glib.h>
#include <stdlib.h>

char *slirp_connection_info(Slirp *slirp)
{
	return g_strdup("  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\n");
}

char *slirp_neighbor_info(Slirp *slirp)
{
	GString *text = g_string_new("  Table  MacAddr            IP Address\n");
	char buf[ADDR_STRLEN];
	struct addr addr;
	struct mac mac;

	for (unsigned i = 0; gateway_neighbour(slirp->gw, i, &addr, &mac); i++) {
		g_autofree char *m = g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", mac.b[0], mac.b[1], mac.b[2], mac.b[3], mac.b[4], mac.b[5]);

		g_string_append_printf(text, "  %5s  %-17s  %s\n", addr_is_v4(&addr) ? "ARP" : "NDP", m, addr_format(&addr, buf));
	}
	return g_string_free(text, FALSE);
}
