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

uint64_t sum_pseudo(const struct key *k, size_t l4_len)
{
	size_t alen = k->six ? 16 : 4;
	uint64_t sum = htons(IPPROTO_TCP) + htons(l4_len);

	return sum_bytes(k->guest, alen, sum_bytes(k->far, alen, sum));
}

/* ---- headers ---- */

size_t put_ip(uint8_t *at, const struct key *k, size_t l4_len)
{
	static uint16_t id;

	if (k->six) {
		struct ip6_hdr ip6 = {
			.ip6_flow = htonl(6u << 28),
			.ip6_plen = htons(l4_len),
			.ip6_nxt = IPPROTO_TCP,
			.ip6_hlim = 64,
		};

		memcpy(&ip6.ip6_src, k->far, 16);
		memcpy(&ip6.ip6_dst, k->guest, 16);
		memcpy(at, &ip6, sizeof(ip6));
		return sizeof(ip6);
	} else {
		struct iphdr ip = {
			.version = 4, .ihl = 5, .ttl = 64,
			.protocol = IPPROTO_TCP,
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

/* Trusting as it is, it does not read beyond the frame. */
bool parse(const uint8_t *p, size_t len, struct segment *s)
{
	size_t ip_len, total, doff;

	memset(s, 0, sizeof(*s));
	memcpy(guest_mac, p + 6, 6);
	if (p[12] == 0x08 && p[13] == 0x00 && p[ETH_LEN + 9] == IPPROTO_TCP) {
		ip_len = (p[ETH_LEN] & 15) * 4;
		total = p[ETH_LEN + 2] << 8 | p[ETH_LEN + 3];
		memcpy(s->key.guest, p + ETH_LEN + 12, 4);
		memcpy(s->key.far, p + ETH_LEN + 16, 4);
	} else if (p[12] == 0x86 && p[13] == 0xdd &&
		   p[ETH_LEN + 6] == IPPROTO_TCP) {
		ip_len = 40;
		total = 40 + (p[ETH_LEN + 4] << 8 | p[ETH_LEN + 5]);
		memcpy(s->key.guest, p + ETH_LEN + 8, 16);
		memcpy(s->key.far, p + ETH_LEN + 24, 16);
		s->key.six = 1;
	} else {
		return false;
	}
	if (total > len - ETH_LEN || total < ip_len + TCP_LEN)
		return false;
	s->tcp = (const void *)(p + ETH_LEN + ip_len);
	doff = s->tcp->doff * 4;
	if (doff < TCP_LEN || total < ip_len + doff)
		return false;
	s->key.gport = s->tcp->source;
	s->key.fport = s->tcp->dest;
	s->data = (const uint8_t *)s->tcp + doff;
	s->len = total - ip_len - doff;
	return true;
}
