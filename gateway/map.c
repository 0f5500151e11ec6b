/* map.c - where a guest's destination leads.  See map.h. */
#include "gateway/map.h"

#include "policy/policy.h"

enum { MAP_DNS_PORT = 53 };

static struct addr map_loopback(bool v4)
{
	static const uint8_t lo4[4] = { 127, 0, 0, 1 }, lo6[16] = { [15] = 1 };

	return v4 ? addr_from_v4(lo4) : addr_from_v6(lo6);
}

/* The gateway's and the name server's own addresses. */
static enum reason map_service(const struct gateway_config *cfg, const struct dns_relay *dns, const struct endpoint *dst, bool is_dns,
			       struct endpoint *ret)
{
	ret->port = dst->port;
	if (is_dns && cfg->dns_off)
		return R_DNS_OFF;
	if (is_dns) {
		if (dst->port != MAP_DNS_PORT)
			return R_DIAL_REFUSED;
		return dns && dns_relay_server(dns, &ret->addr) ? R_ACCEPTED : R_NO_DNS;
	}
	if (!cfg->host_loopback)
		return cfg->loopback_unroutable ? R_NET_UNREACHABLE : R_HOST_LOOPBACK;
	ret->addr = map_loopback(addr_is_v4(&dst->addr));
	return R_ACCEPTED;
}

enum reason map_to_host(const struct gateway_config *cfg, const struct hostinfo *host, const struct dns_relay *dns,
			const struct endpoint *dst, struct endpoint *ret)
{
	bool v4 = addr_is_v4(&dst->addr);
	bool is_dns = addr_eq(&dst->addr, v4 ? &cfg->dns4 : &cfg->dns6);
	enum reason r = policy_never_dialed(&dst->addr);

	if (r)
		return r;
	if (cfg->restricted)
		return R_DENIED;
	if (is_dns || addr_eq(&dst->addr, v4 ? &cfg->gw4 : &cfg->gw6))
		return map_service(cfg, dns, dst, is_dns, ret);
	if (prefix_contains(v4 ? &cfg->net4 : &cfg->net6, &dst->addr))
		return R_HOST_UNREACHABLE; /* nobody else lives on the guest's link */
	if (host && !cfg->host_loopback && !cfg->own_addresses && hostinfo_is_own(host, &dst->addr))
		return R_HOST_LOOPBACK;
	*ret = *dst;
	return R_ACCEPTED;
}

bool map_other_loopback(const struct endpoint *to, struct endpoint *ret)
{
	bool v4 = addr_is_v4(&to->addr);
	struct addr here = map_loopback(v4);
	uint16_t port = to->port;

	if (!addr_eq(&to->addr, &here))
		return false;
	*ret = (struct endpoint){ map_loopback(!v4), port };
	return true;
}
