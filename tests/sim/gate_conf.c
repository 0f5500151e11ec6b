/* gate_conf.c - how the guest comes by its addresses: DHCP clients of both families, router solicitations; and what it makes of the answers.
 *
 * Written against the RFCs and with its own eyes for every byte: the codecs of slirp/wire are not asked.  A client asks until it is
 * answered, so each of them ends with a lease, however bad the wire; the leases are the configuration, to the last option.
 * What it is not: the guest's addresses come from the world; a lease changes none.
 * Below: gate.h, wire.c.  Above: gate.c.  RFC 2131, 2132, 4861, 8106, 8415.
 *
 * prefixes: conf_
 */
#include "slirp/base/bytes.h"
#include "tests/sim/gate.h"

#include <string.h>

enum {
	CONF_TRIES = 200,
	CONF_BOOTP = 236,
	CONF_RA_FIRST = 3,	  /* unasked */
	CONF_RA_AGAIN = 600 * SIM_S, /* the tunable ra_refresh */
	CONF_MAX = 600,
};

enum { D4_DISCOVER = 1, D4_OFFER, D4_REQUEST, D4_ACK = 5, D4_NAK, D4_RELEASE };
enum { D6_SOLICIT = 1, D6_ADVERTISE, D6_REQUEST, D6_RENEW = 5, D6_REPLY = 7, D6_RELEASE };

static const uint8_t conf_duid[] = { 0, 3, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

/* ---- frames */

static struct addr conf_linklocal(void)
{
	return sim_addr("fe80::5054:ff:fe12:3456");
}

static void conf_frame(struct gate *g, struct ip *ip, uint8_t *l4, uint32_t len, uint32_t sum_at, const char *mac)
{
	struct sim *s = g->s;
	uint8_t frame[ETH_HDR_LEN + IP6_HDR_LEN + CONF_MAX + 64];
	uint32_t head = ETH_HDR_LEN + ip_wire_hdr_len(ip->v6);
	struct eth eth = { .src = s->cfg.guest_mac, .type = ip->v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4 };
	uint16_t sum;

	memcpy(eth.dst.b, mac, 6);
	ip->payload_len = len;
	sum = csum_wire_final(csum_wire_add(l4, len) + csum_wire_pseudo(&ip->src, &ip->dst, ip->proto, len));
	if (!sum && ip->proto == IP_PROTO_UDP)
		sum = 0xffff; /* RFC 768: 0 says that there is none */
	memcpy(l4 + sum_at, &sum, sizeof(sum));
	eth_wire_put(frame, &eth);
	ip_wire_put(frame + ETH_HDR_LEN, ip);
	memcpy(frame + head, l4, len);
	wire_push(&s->to_core, frame, head + len, 0, false);
}

static void conf_udp(struct gate *g, struct ip *ip, uint16_t sport, uint16_t dport, uint8_t *l4, uint32_t len, const char *mac)
{
	ip->proto = IP_PROTO_UDP;
	ip->hop_limit = 64;
	l4_wire_udp_put(l4, &(struct udp){ .sport = sport, .dport = dport, .len = len });
	conf_frame(g, ip, l4, UDP_HDR_LEN + len, UDP_CSUM_OFFSET, mac);
}

/* ---- DHCPv4 */

static uint8_t *conf_option(uint8_t *p, uint8_t code, const void *data, uint8_t len)
{
	p[0] = code;
	p[1] = len;
	memcpy(p + 2, data, len);
	return p + 2 + len;
}

static void conf_send4(struct gate *g, struct conf *c)
{
	static const uint8_t wants[] = { 1, 3, 6, 26, 51 };
	const struct sim *s = g->s;
	uint8_t l4[UDP_HDR_LEN + CONF_MAX] = { 0 }, *m = l4 + UDP_HDR_LEN, *p = m + CONF_BOOTP + 4;
	uint8_t type = c->step == CONF_ASK ? D4_DISCOVER : c->step == CONF_RELEASE ? D4_RELEASE : D4_REQUEST;
	bool has = c->step >= CONF_RENEW;
	struct addr to = has ? s->cfg.gw4 : sim_addr("255.255.255.255");
	struct ip ip = { .src = has ? s->cfg.guest4 : sim_addr("0.0.0.0"), .dst = to };
	struct addr strange = sim_addr("10.0.2.99");
	const uint8_t *ask = (c->strange ? &strange : &s->cfg.guest4)->b + 12;

	m[0] = m[1] = 1;
	m[2] = 6;
	bytes_put32(m + 4, c->xid);
	if (has)
		memcpy(m + 12, s->cfg.guest4.b + 12, 4);
	memcpy(m + 28, s->cfg.guest_mac.b, 6);
	bytes_put32(m + CONF_BOOTP, 0x63825363);
	p = conf_option(p, 53, &type, 1);
	if (c->step == CONF_TAKE && c->selecting)
		p = conf_option(p, 54, s->cfg.gw4.b + 12, 4);
	if (c->step == CONF_TAKE)
		p = conf_option(p, 50, ask, 4);
	if (type == D4_RELEASE)
		p = conf_option(p, 54, s->cfg.gw4.b + 12, 4);
	p = conf_option(p, 55, wants, sizeof(wants));
	*p++ = 255;
	conf_udp(g, &ip, 68, 67, l4, MAX((uint32_t)(p - m), 300), has ? (const char *)s->cfg.gw_mac.b : "\xff\xff\xff\xff\xff\xff");
}

static const uint8_t *conf_find4(const uint8_t *m, uint32_t len, uint8_t code, uint8_t want)
{
	for (uint32_t at = CONF_BOOTP + 4; at + 1 < len && m[at] != 255; at += m[at] ? 2 + m[at + 1] : 1)
		if (m[at] == code && at + 2 + m[at + 1] <= len && m[at + 1] == want)
			return m + at + 2;
	return NULL;
}

static bool conf_is4(const uint8_t *m, uint32_t len, uint8_t code, const struct addr *a)
{
	const uint8_t *p = conf_find4(m, len, code, 4);

	return p && !memcmp(p, a->b + 12, 4);
}

static void conf_in4(struct gate *g, const uint8_t *m, uint32_t len)
{
	const struct stack_config *cfg = &g->s->cfg;
	struct addr mask = sim_addr("255.255.255.0");
	struct conf *c = &g->conf[CONF_DHCP4];
	const uint8_t *type = len < 300 ? NULL : conf_find4(m, len, 53, 1), *mtu;

	if (!type || m[0] != 2 || bytes_get32(m + CONF_BOOTP) != 0x63825363 || memcmp(m + 28, cfg->guest_mac.b, 6)) {
		sim_fail(g->s, "a DHCP answer of %u bytes that is none", len);
		return;
	}
	if (bytes_get32(m + 4) != c->xid)
		return; /* late */
	if (!conf_is4(m, len, 54, &cfg->gw4))
		sim_fail(g->s, "a DHCP answer of another server");
	if (*type == D4_NAK) {
		if (!c->was_strange)
			sim_fail(g->s, "DHCPNAK for the guest's own address");
		conf_next_step(g, c, c->strange ? CONF_ASK : c->step);
		c->strange = false;
		return;
	}
	mtu = conf_find4(m, len, 26, 2);
	if (memcmp(m + 16, cfg->guest4.b + 12, 4) || !conf_is4(m, len, 1, &mask) || !conf_is4(m, len, 3, &cfg->gw4) ||
	    !conf_is4(m, len, 6, &cfg->dns4) || !mtu || bytes_get16(mtu) != cfg->link.mtu || !conf_find4(m, len, 51, 4))
		sim_fail(g->s, "a DHCP lease of something else");
	if (*type == D4_OFFER && c->step == CONF_ASK) {
		c->selecting = true;
		conf_next_step(g, c, CONF_TAKE);
	} else if (*type == D4_ACK && c->step == CONF_ASK) {
		sim_fail(g->s, "DHCPACK without DHCPREQUEST");
	} else if (*type == D4_ACK && !c->strange) {
		conf_next_step(g, c, c->step + 1);
	}
}

/* ---- DHCPv6 */

static uint8_t *conf_option6(uint8_t *p, uint16_t code, const void *data, uint16_t len)
{
	bytes_put16(p, code);
	bytes_put16(p + 2, len);
	memcpy(p + 4, data, len);
	return p + 4 + len;
}

static void conf_send6(struct gate *g, struct conf *c)
{
	static const uint8_t types[] = { D6_SOLICIT, D6_REQUEST, D6_RENEW, D6_RELEASE }, oro[] = { 0, 23 };
	uint8_t l4[UDP_HDR_LEN + CONF_MAX] = { 0 }, *m = l4 + UDP_HDR_LEN, *p = m + 4, ia[12 + 28] = { 1, 2, 3, 4 };
	struct ip ip = { .v6 = true, .src = conf_linklocal(), .dst = sim_addr("ff02::1:2") };

	bytes_put32(m, c->xid);
	m[0] = types[c->step];
	p = conf_option6(p, 1, conf_duid, sizeof(conf_duid));
	if (c->step != CONF_ASK)
		p = conf_option6(p, 2, c->server, c->server_len);
	p = conf_option6(p, 6, oro, sizeof(oro));
	p = conf_option6(p, 8, "\0", 2);
	bytes_put16(ia + 12, 5);
	bytes_put16(ia + 14, 24);
	memcpy(ia + 16, g->s->cfg.guest6.b, 16);
	p = conf_option6(p, 3, ia, c->step == CONF_ASK ? 12 : sizeof(ia));
	conf_udp(g, &ip, 546, 547, l4, (uint32_t)(p - m), "\x33\x33\0\1\0\2");
}

/* The option's bytes; *ret_len: how many. */
static const uint8_t *conf_find6(const uint8_t *p, uint32_t len, uint16_t code, uint32_t *ret_len)
{
	for (uint32_t at = 0; at + 4 <= len; at += 4u + bytes_get16(p + at + 2)) {
		*ret_len = bytes_get16(p + at + 2);
		if (bytes_get16(p + at) == code && at + 4 + *ret_len <= len)
			return p + at + 4;
	}
	*ret_len = 0;
	return NULL;
}

static void conf_in6(struct gate *g, const uint8_t *m, uint32_t len)
{
	const struct stack_config *cfg = &g->s->cfg;
	struct conf *c = &g->conf[CONF_DHCP6];
	uint32_t n_client, n_server, n_ia, n_addr, n_dns;
	const uint8_t *client, *server, *ia, *addr, *dns;

	if (len < 4 || (m[0] != D6_ADVERTISE && m[0] != D6_REPLY)) {
		sim_fail(g->s, "a DHCPv6 answer of %u bytes that is none", len);
		return;
	}
	if ((bytes_get32(m) & 0xffffff) != c->xid)
		return;
	client = conf_find6(m + 4, len - 4, 1, &n_client);
	server = conf_find6(m + 4, len - 4, 2, &n_server);
	ia = conf_find6(m + 4, len - 4, 3, &n_ia);
	dns = conf_find6(m + 4, len - 4, 23, &n_dns);
	addr = n_ia < 12 ? NULL : conf_find6(ia + 12, n_ia - 12, 5, &n_addr);
	if (n_client != sizeof(conf_duid) || memcmp(client, conf_duid, n_client) || !n_server || n_server > sizeof(c->server))
		sim_fail(g->s, "a DHCPv6 answer without client or server");
	else if (c->step != CONF_RELEASE && (!addr || n_addr < 24 || memcmp(addr, cfg->guest6.b, 16) || memcmp(ia, "\1\2\3\4", 4) ||
					     !bytes_get32(addr + 20) || n_dns != 16 || memcmp(dns, cfg->dns6.b, 16)))
		sim_fail(g->s, "a DHCPv6 lease of something else");
	else if (c->server_len && (n_server != c->server_len || memcmp(server, c->server, n_server)))
		sim_fail(g->s, "a DHCPv6 answer of another server");
	else if ((m[0] == D6_ADVERTISE) != (c->step == CONF_ASK))
		sim_fail(g->s, "DHCPv6 message %u for step %d", m[0], c->step);
	if (g->s->fail)
		return;
	c->server_len = (uint16_t)n_server;
	memcpy(c->server, server, n_server);
	conf_next_step(g, c, c->step + 1);
}

/* ---- routers */

static void conf_solicit(struct gate *g)
{
	uint8_t l4[16] = { 133, [8] = 1, [9] = 1 };
	struct ip ip = { .v6 = true, .src = conf_linklocal(), .dst = sim_addr("ff02::2"), .proto = IP_PROTO_ICMPV6, .hop_limit = 255 };

	memcpy(l4 + 10, g->s->cfg.guest_mac.b, 6);
	g->solicits++;
	conf_frame(g, &ip, l4, sizeof(l4), 2, "\x33\x33\0\0\0\2");
}

static void conf_advert(struct gate *g, const uint8_t *p, uint32_t len)
{
	struct sim *s = g->s;
	const struct stack_config *cfg = &s->cfg;
	unsigned seen = 0;

	for (uint32_t at = 16; at + 8 <= len && p[at + 1]; at += 8u * p[at + 1]) {
		const uint8_t *o = p + at;

		if (at + 8u * o[1] > len)
			break;
		seen |= (o[0] == 1 && !memcmp(o + 2, cfg->gw_mac.b, 6)) << 0;
		seen |= (o[0] == 3 && o[1] == 4 && o[2] == 64 && o[3] & 0x80 && !memcmp(o + 16, cfg->net6.addr.b, 16)) << 1;
		seen |= (o[0] == 5 && bytes_get32(o + 4) == cfg->link.mtu) << 2;
		seen |= (o[0] == 25 && o[1] == 3 && !memcmp(o + 8, cfg->dns6.b, 16)) << 3;
	}
	if (seen != 15 || !bytes_get16(p + 6) || !(p[5] & 0x40))
		sim_fail(s, "a router advertisement of %u bytes, options %x", len, seen);
	g->adverts++;
	if (!s->lossy && g->adverts > CONF_RA_FIRST + g->solicits + 1 + (s->now - s->started) / CONF_RA_AGAIN)
		sim_fail(s, "%u router advertisements for %u solicitations", g->adverts, g->solicits);
	conf_next_step(g, &g->conf[CONF_ROUTER], CONF_DONE);
}

/* ---- steps */

void conf_next_step(struct gate *g, struct conf *c, int step)
{
	struct sim *s = g->s;

	if (c->step == CONF_DONE)
		return;
	if (step > c->last)
		step = CONF_DONE;
	c->step = step;
	c->tries = 0;
	c->xid = sim_rand(s, 1u << 24);
	c->at = s->now + (step == CONF_RENEW || step == CONF_RELEASE ? sim_time(s, 0, 100 * SIM_S) : sim_time(s, 0, 10 * SIM_MS));
}

void conf_make(struct gate *g)
{
	struct sim *s = g->s;

	for (int i = 0; i < CONF_KINDS; i++) {
		struct conf *c = &g->conf[i];

		c->step = CONF_DONE;
		if (!sim_chance(s, 300))
			continue;
		c->last = i == CONF_ROUTER ? CONF_ASK : CONF_TAKE + (int)sim_rand(s, 3);
		c->step = CONF_ASK;
		conf_next_step(g, c, CONF_ASK);
		c->at += sim_time(s, 0, SIM_S);
		if (i == CONF_DHCP4 && sim_chance(s, 300)) { /* INIT-REBOOT, RFC 2131 3.2 */
			c->step = CONF_TAKE;
			c->strange = c->was_strange = sim_chance(s, 500);
		}
	}
}

int64_t conf_next(const struct gate *g)
{
	int64_t at = SIM_NEVER;

	for (int i = 0; i < CONF_KINDS; i++)
		at = MIN(at, g->conf[i].step == CONF_DONE ? SIM_NEVER : g->conf[i].at);
	return at;
}

bool conf_done(const struct gate *g)
{
	return conf_next(g) == SIM_NEVER;
}

void conf_tick(struct gate *g)
{
	for (int i = 0; i < CONF_KINDS; i++) {
		struct conf *c = &g->conf[i];

		if (c->step == CONF_DONE || c->at > g->s->now)
			continue;
		c->at = g->s->now + sim_time(g->s, SIM_S, 4 * SIM_S);
		if (++c->tries > CONF_TRIES)
			sim_fail(g->s, "nobody answers %s in step %d", i == CONF_ROUTER ? "a router solicitation" : "DHCP", c->step);
		else if (i == CONF_ROUTER)
			conf_solicit(g);
		else if (i == CONF_DHCP6)
			conf_send6(g, c);
		else
			conf_send4(g, c);
		if (i == CONF_DHCP4 && c->step == CONF_RELEASE)
			c->step = CONF_DONE; /* is not answered */
	}
}

/* ---- what arrives */

static const uint8_t *conf_broken(const struct gate *g, uint8_t *p, uint32_t at)
{
	p[at] ^= g->s->broken == SIM_ALTERS_LEASE ? 0x40 : 0; /* O, yiaddr, the client's DUID */
	return p;
}

bool conf_to_guest(struct sim *s, struct wire_frame *f)
{
	struct gate *g = s->gate;
	struct eth eth;
	struct ip ip;
	uint8_t *l4;
	uint16_t sport;

	if (eth_wire_parse(f->data, f->len, &eth) || (eth.type != ETH_TYPE_IPV4 && eth.type != ETH_TYPE_IPV6) ||
	    ip_wire_parse(f->data + ETH_HDR_LEN, f->len - ETH_HDR_LEN, f->len - ETH_HDR_LEN, eth.type == ETH_TYPE_IPV6, &ip) || ip.is_fragment)
		return false;
	l4 = f->data + ETH_HDR_LEN + ip.hdr_len;
	if (ip.payload_len < 16 || csum_wire_final(csum_wire_add(l4, ip.payload_len) + csum_wire_pseudo(&ip.src, &ip.dst, ip.proto, ip.payload_len)))
		return false;
	sport = bytes_get16(l4);
	if (ip.proto == IP_PROTO_ICMPV6 && l4[0] == 134 && ip.hop_limit == 255)
		conf_advert(g, conf_broken(g, l4, 5), ip.payload_len);
	else if (ip.proto == IP_PROTO_UDP && sport == 67 && bytes_get16(l4 + 2) == 68)
		conf_in4(g, conf_broken(g, l4 + UDP_HDR_LEN, 19), ip.payload_len - UDP_HDR_LEN);
	else if (ip.proto == IP_PROTO_UDP && sport == 547 && bytes_get16(l4 + 2) == 546)
		conf_in6(g, conf_broken(g, l4 + UDP_HDR_LEN, 8), ip.payload_len - UDP_HDR_LEN);
	else
		return false;
	return true;
}
