/* fuzz_wire.c - the parsers on any bytes, and round trips: what a parser accepts, put writes, and the parser reads the same.
 *
 * The first byte picks the codec.  The rest stands at the end of its own allocation, so that a sanitizer sees a look beyond it.
 * Below: slirp/wire.  Above: tests/meson.build.  Corpus: tests/fuzz/corpus/fuzz_wire.
 */
#include "slirp/wire/csum_wire.h"
#include "slirp/wire/eth_wire.h"
#include "slirp/wire/icmp_wire.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/l4_wire.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

static void fuzz_check(bool good)
{
	if (!good)
		abort();
}

static void fuzz_eth(const uint8_t *p, uint32_t len)
{
	uint8_t out[ETH_HDR_LEN];
	struct eth e;

	if (eth_wire_parse(p, len, &e))
		return;
	eth_wire_put(out, &e);
	fuzz_check(!memcmp(out, p, sizeof(out)));
}

static void fuzz_arp(const uint8_t *p, uint32_t len)
{
	uint8_t out[ARP_LEN];
	struct arp a;

	if (eth_wire_arp_parse(p, len, &a))
		return;
	eth_wire_arp_put(out, &a);
	fuzz_check(!memcmp(out, p, sizeof(out)));
}

static void fuzz_ip(const uint8_t *p, uint32_t len, bool v6, uint32_t beyond)
{
	uint8_t out[IP6_HDR_LEN];
	uint32_t hdr = ip_wire_hdr_len(v6);
	struct ip ip, again;

	if (ip_wire_parse(p, len, len + beyond, v6, &ip))
		return;
	fuzz_check(ip.v6 == v6 && ip.hdr_len >= hdr && ip.hdr_len <= len && ip.hdr_len + ip.payload_len <= len + beyond);
	if (ip.hdr_len != hdr || ip.is_fragment)
		return;
	ip_wire_put(out, &ip);
	fuzz_check(!ip_wire_parse(out, hdr, hdr + ip.payload_len, v6, &again));
	fuzz_check(addr_eq(&ip.src, &again.src) && addr_eq(&ip.dst, &again.dst) && ip.payload_len == again.payload_len &&
		   ip.proto == again.proto && ip.hop_limit == again.hop_limit && ip.tos == again.tos);
}

static bool fuzz_same_seg(const struct tcp_seg *a, const struct tcp_seg *b)
{
	return a->sport == b->sport && a->dport == b->dport && a->seq == b->seq && a->ack == b->ack && a->window == b->window &&
	       a->len == b->len && a->flags == b->flags && a->has_mss == b->has_mss && (!a->has_mss || a->mss == b->mss) &&
	       a->has_wscale == b->has_wscale && (!a->has_wscale || a->wscale == b->wscale) && a->has_ts == b->has_ts &&
	       (!a->has_ts || (a->tsval == b->tsval && a->tsecr == b->tsecr)) && a->sack_permitted == b->sack_permitted;
}

static void fuzz_tcp(const uint8_t *p, uint32_t len, uint32_t beyond)
{
	uint8_t out[TCP_HDR_MAX];
	struct tcp_seg seg, again;
	uint32_t hdr;

	if (l4_wire_tcp_parse(p, len, len + beyond, &seg))
		return;
	fuzz_check(seg.hdr_len <= len && seg.hdr_len + seg.len == len + beyond && seg.n_sack <= TCP_SACK_MAX);
	hdr = l4_wire_tcp_len(&seg);
	fuzz_check(hdr <= TCP_HDR_MAX && l4_wire_tcp_put(out, &seg) == hdr);
	fuzz_check(!l4_wire_tcp_parse(out, hdr, hdr + seg.len, &again) && fuzz_same_seg(&seg, &again) && again.n_sack <= seg.n_sack);
	for (int i = 0; i < again.n_sack; i++)
		fuzz_check(seg.sack[i].start == again.sack[i].start && seg.sack[i].end == again.sack[i].end);
}

static void fuzz_udp(const uint8_t *p, uint32_t len, uint32_t beyond)
{
	uint8_t out[UDP_HDR_LEN];
	struct udp u, again;

	if (l4_wire_udp_parse(p, len, len + beyond, &u))
		return;
	fuzz_check(u.len + UDP_HDR_LEN <= len + beyond);
	l4_wire_udp_put(out, &u);
	fuzz_check(!l4_wire_udp_parse(out, UDP_HDR_LEN, UDP_HDR_LEN + u.len, &again) && again.len == u.len && again.sport == u.sport &&
		   again.dport == u.dport);
}

static void fuzz_neigh(const uint8_t *p, uint32_t len)
{
	uint8_t out[ICMP6_NEIGH_LEN];
	struct neigh_msg m, again;

	if (icmp_wire_neigh_parse(p, len, &m) || !m.has_mac)
		return;
	icmp_wire_neigh_put(out, &m, &m.target, &m.target);
	fuzz_check(!icmp_wire_neigh_parse(out, sizeof(out), &again));
	fuzz_check(again.type == m.type && addr_eq(&again.target, &m.target) && again.has_mac && mac_eq(&again.mac, &m.mac) &&
		   again.router == m.router && again.solicited == m.solicited && again.override == m.override);
}

/* The sum does not depend on how the bytes are cut. */
static void fuzz_csum(const uint8_t *p, uint32_t len, uint32_t at)
{
	uint32_t cut = len ? at % len : 0;
	struct iovec iov[2] = { { (void *)p, cut }, { (void *)(p + cut), len - cut } };
	uint16_t one = csum_wire_fold(csum_wire_add(p, len)), two = csum_wire_fold(csum_wire_iov(iov, 2));

	fuzz_check(one == two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t len = size > 2 ? (uint32_t)size - 2 : 0;
	g_autofree uint8_t *p = NULL;

	if (size < 2)
		return 0;
	p = g_malloc(len ? len : 1);
	memcpy(p, data + 2, len);
	switch (data[0] & 7) {
	case 0:
		fuzz_eth(p, len);
		break;
	case 1:
		fuzz_arp(p, len);
		break;
	case 2:
	case 3:
		fuzz_ip(p, len, data[0] & 1, data[1]);
		break;
	case 4:
		fuzz_tcp(p, len, data[1]);
		break;
	case 5:
		fuzz_udp(p, len, data[1]);
		break;
	case 6:
		fuzz_neigh(p, len);
		break;
	default:
		fuzz_csum(p, len, data[1]);
	}
	return 0;
}
