/* gateway_config.c - what a gateway is unless somebody says otherwise.  See gateway.h.
 *
 * Below: gateway.h.  Above: gateway/doors, tests.
 */
#include "gateway/gateway.h"

enum {
	GATEWAY_SLAAC_LEN = 64, /* RFC 4291 2.5.1, RFC 2464 4 */
	GATEWAY_NTH_GW = 2,
	GATEWAY_NTH_DNS = 3,
	GATEWAY_NTH_GUEST4 = 15,
	GATEWAY_NTH_GUEST6 = 0x15,
};

void gateway_config_net(struct gateway_config *cfg, const struct prefix *net)
{
	if (addr_is_v4(&net->addr)) {
		cfg->net4 = *net;
		cfg->gw4 = prefix_nth(net, GATEWAY_NTH_GW);
		cfg->dns4 = prefix_nth(net, GATEWAY_NTH_DNS);
		cfg->guest4 = prefix_nth(net, GATEWAY_NTH_GUEST4);
	} else {
		cfg->net6 = *net;
		cfg->gw6 = prefix_nth(net, GATEWAY_NTH_GW);
		cfg->dns6 = prefix_nth(net, GATEWAY_NTH_DNS);
		cfg->guest6 = prefix_nth(net, GATEWAY_NTH_GUEST6);
	}
}

void gateway_config_init(struct gateway_config *cfg)
{
	static const uint8_t net4[4] = { 10, 0, 2, 0 }, net6[16] = { 0xfd };

	*cfg = (struct gateway_config){
		.v4 = true,
		.v6 = true,
		.mtu = 65520,
		.slaac = true,
		.tune = gateway_tunable_defaults,
		.gw_mac = { { 0x52, 0x55, 0x0a, 0x00, 0x02, 0x02 } },
		.guest_mac = { { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 } },
	};
	gateway_config_net(cfg, &(struct prefix){ addr_from_v4(net4), 96 + 24 });
	gateway_config_net(cfg, &(struct prefix){ addr_from_v6(net6), 64 });
}

void gateway_config_stack(const struct gateway_config *cfg, struct stack_config *ret)
{
	stack_config_init(ret);
	ret->v4 = cfg->v4;
	ret->v6 = cfg->v6;
	ret->gw_mac = cfg->gw_mac;
	ret->gw_mac6 = cfg->gw_mac6;
	ret->ll6 = cfg->ll6;
	ret->any_guest = cfg->any_guest;
	ret->dhcp_off = cfg->dhcp_off;
	ret->ncsi = cfg->ncsi;
	ret->isolated = cfg->restricted;
	ret->guest_mac = cfg->guest_mac;
	ret->gw4 = cfg->gw4;
	ret->dns4 = cfg->dns4;
	ret->guest4 = cfg->guest4;
	ret->gw6 = cfg->gw6;
	ret->dns6 = cfg->dns6;
	ret->guest6 = cfg->guest6;
	ret->net4 = cfg->net4;
	ret->net6 = cfg->net6;
	ret->slaac = cfg->slaac && cfg->net6.len == GATEWAY_SLAAC_LEN;
	memcpy(ret->hostname, cfg->hostname, sizeof(ret->hostname));
	memcpy(ret->domain, cfg->domain, sizeof(ret->domain));
	memcpy(ret->search, cfg->search, sizeof(ret->search));
	ret->boot = cfg->boot;
	ret->mem = cfg->mem;
}
