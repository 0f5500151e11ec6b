/* fuzz_dhcp.c - the parsers of DHCPv4, DHCPv6, name lists and router solicitations on any bytes.
 *
 * The first byte chooses the parser.  Name lists also go there and back.
 */
#include "slirp/wire/dhcp6_wire.h"
#include "slirp/wire/dhcp_wire.h"
#include "slirp/wire/names_wire.h"
#include "slirp/wire/ra_wire.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

static void fuzz_check(bool good)
{
	if (!good)
		abort();
}

static void fuzz_dhcp4(const uint8_t *p, uint32_t len)
{
	struct dhcp_msg m;
	uint8_t buf[64];

	if (dhcp_wire_parse(p, len, &m))
		return;
	for (int code = 0; code < 256; code++)
		fuzz_check(dhcp_wire_get(&m, (enum dhcp_option)code, buf, sizeof(buf)) <= (int)len);
}

static void fuzz_dhcp6(const uint8_t *p, uint32_t len)
{
	struct dhcp6_msg m;

	if (dhcp6_wire_parse(p, len, &m))
		return;
	fuzz_check(m.n_ia <= DHCP6_IA_MAX && m.n_oro <= DHCP6_ORO_MAX && m.client_id_len <= DHCP6_DUID_MAX);
	for (uint32_t i = 0; i < m.n_ia; i++)
		fuzz_check(m.ia[i].n_addrs <= DHCP6_ADDR_MAX);
}

static void fuzz_names(const uint8_t *p, uint32_t len, bool compress)
{
	static char text[4096], again[4096];
	uint8_t out[4096];
	uint32_t n;

	if (!names_wire_get(p, len, compress, text, sizeof(text)))
		return;
	n = names_wire_put(out, sizeof(out), text, compress);
	fuzz_check(names_wire_get(out, n, compress, again, sizeof(again)) && !g_ascii_strcasecmp(text, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t len = (uint32_t)size - 1;
	uint8_t *p;
	bool mac;

	if (!size || size > 4096)
		return 0;
	p = g_memdup2(data + 1, len);
	switch (data[0] % 5) {
	case 0:
		fuzz_dhcp4(p, len);
		break;
	case 1:
		fuzz_dhcp6(p, len);
		break;
	case 2:
	case 3:
		fuzz_names(p, len, data[0] & 1);
		break;
	default:
		ra_wire_solicit_parse(p, len, &mac);
	}
	g_free(p);
	return 0;
}
