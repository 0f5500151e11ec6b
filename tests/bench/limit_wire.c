/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * limit_wire.c - headers of the bench's upper bound: reading, writing, sums.
 */
#include "tests/bench/limit.h"

#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>

/* ---- checksums ---- */

uint64_t sum_bytes(const void *data, size_t len, uint64_t sum)
{
	const uint8_t *p = data;
	uint32_t word;

	for (; len >= 4; p += 4, len -= 4) {
		memcpy(&word, p, 4);
		sum += word;
	}
	if (len) {
		word = 0;
		memcpy(&word, p, len);
		sum += word;
	}
	return sum;
}

uint16_t sum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

uint64_t sum_pseudo(const struct key *k, int proto, size_t l4_len)
{
	size_t alen = k->six ? 16 : 4;
	uint64_t sum = htons(proto) + htons(l4_len);

	return sum_bytes(k->guest, alen, sum_bytes(k->far, alen, sum));
}

/* ---- headers ---- */

void put_eth(uint8_t *at, bool six)
{
	static const uint8_t our_mac[6] = { 0x02, 0, 0, 0, 0, 0x01 };

	memcpy(at, guest_mac, 6);
	memcpy(at + 6, our_mac, 6);
	at[12] = six ? 0x86 : 0x08;
	at[13] = six ? 0xdd : 0x00;
}

size_t put_ip(uint8_t *at, const struct key *k, int proto, size_t l4_len)
{
	static uint16_t id;

	if (k->six) {
		struct ip6_hdr ip6 = {
			.ip6_flow = htonl(6u << 28),
			.ip6_plen = htons(l4_len),
			.ip6_nxt = proto,
			.ip6_hlim = 64,
		};

		memcpy(&ip6.ip6_src, k->far, 16);
		memcpy(&ip6.ip6_dst, k->guest, 16);
		memcpy(at, &ip6, sizeof(ip6));
		return sizeof(ip6);
	} else {
		struct iphdr ip = {
			.version = 4, .ihl = 5, .ttl = 64,
			.protocol = proto,
			.tot_len = htons(sizeof(ip) + l4_len),
			.id = htons(id++),
			.frag_off = htons(IP_DF),
		};

		memcpy(&ip.saddr, k->far, 4);
		memcpy(&ip.daddr, k->guest, 4);
		ip.check = ~sum_fold(sum_bytes(&ip, sizeof(ip), 0));
		memcpy(at, &ip, sizeof(ip));
		return sizeof(ip);
	}
}

uint8_t syn_scale(const struct tcphdr *tcp)
{
	const uint8_t *o = (const uint8_t *)(tcp + 1);
	const uint8_t *end = (const uint8_t *)tcp + tcp->doff * 4;

	while (o + 1 < end && *o != TCPOPT_EOL) {
		if (*o == TCPOPT_NOP) {
			o++;
			continue;
		}
		if (*o == TCPOPT_WINDOW)
			return o[2];
		if (o[1] < 2)
			break;
		o += o[1];
	}
	return 0;
}

static bool parse_tcp(const uint8_t *l4, size_t len, struct segment *s)
{
	size_t doff;

	if (len < TCP_LEN)
		return false;
	s->tcp = (const void *)l4;
	doff = s->tcp->doff * 4;
	if (doff < TCP_LEN || len < doff)
		return false;
	s->data = l4 + doff;
	s->len = len - doff;
	return true;
}

/* Trusting as it is, it does not read beyond the frame. */
bool parse(const uint8_t *p, size_t len, struct segment *s)
{
	size_t ip_len, total;
	int proto;

	memset(s, 0, sizeof(*s));
	memcpy(guest_mac, p + 6, 6);
	if (p[12] == 0x08 && p[13] == 0x00) {
		ip_len = (p[ETH_LEN] & 15) * 4;
		total = p[ETH_LEN + 2] << 8 | p[ETH_LEN + 3];
		proto = p[ETH_LEN + 9];
		memcpy(s->key.guest, p + ETH_LEN + 12, 4);
		memcpy(s->key.far, p + ETH_LEN + 16, 4);
	} else if (p[12] == 0x86 && p[13] == 0xdd) {
		ip_len = 40;
		total = 40 + (p[ETH_LEN + 4] << 8 | p[ETH_LEN + 5]);
		proto = p[ETH_LEN + 6];
		memcpy(s->key.guest, p + ETH_LEN + 8, 16);
		memcpy(s->key.far, p + ETH_LEN + 24, 16);
		s->key.six = 1;
	} else {
		return false;
	}
	if (total > len - ETH_LEN || total < ip_len + UDP_LEN)
		return false;
	p += ETH_LEN + ip_len;
	memcpy(&s->key.gport, p, 2);
	memcpy(&s->key.fport, p + 2, 2);
	if (proto == IPPROTO_TCP)
		return parse_tcp(p, total - ip_len, s);
	s->data = p + UDP_LEN;
	s->len = total - ip_len - UDP_LEN;
	return proto == IPPROTO_UDP;
}
