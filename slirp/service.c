/* service.c - which datagrams stay in the core.  See service.h. */
#include "slirp/service.h"

#include "slirp/dhcp4.h"
#include "slirp/dhcp6.h"
#include "slirp/stack_state.h"
#include "slirp/wire/dhcp6_wire.h"
#include "slirp/wire/dhcp_wire.h"

enum { SERVICE_DATAGRAM_MAX = 2048 }; /* no client's message is longer */

static bool service_is_dhcp6_group(const struct addr *a)
{
	static const uint8_t group[16] = { 0xff, 0x02, [13] = 1, [15] = 2 };

	return !memcmp(a->b, group, sizeof(group));
}

bool service_listens(const struct addr *a)
{
	return addr_is_broadcast4(a) || service_is_dhcp6_group(a);
}

bool service_wants(const struct stack *st, const struct tuple *t)
{
	const struct addr *to = &t->far.addr;
	struct addr ll;

	if (addr_is_v4(to))
		return t->far.port == DHCP_SERVER_PORT && !st->cfg.dhcp_off && (addr_is_broadcast4(to) || addr_eq(to, &st->cfg.gw4));
	ll = stack_linklocal(st);
	return t->far.port == DHCP6_SERVER_PORT && (service_is_dhcp6_group(to) || addr_eq(to, &ll) || addr_eq(to, &st->cfg.gw6));
}

enum reason service_in(struct stack *st, const struct tuple *t, const struct iovec *data, int n, uint32_t len)
{
	uint8_t msg[SERVICE_DATAGRAM_MAX];
	uint32_t at = 0;

	if (len > sizeof(msg))
		return R_DHCP_MALFORMED;
	for (int i = 0; i < n; at += (uint32_t)data[i++].iov_len)
		memcpy(msg + at, data[i].iov_base, data[i].iov_len);
	return addr_is_v4(&t->far.addr) ? dhcp4_in(st, msg, len) : dhcp6_in(st, t, msg, len);
}
