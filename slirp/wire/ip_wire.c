/* ip_wire.c - IPv4 and IPv6 headers: checked, walked and written.
 *
 * What it is not: reassembly, routing or a judge of addresses (except the mapped form, which would change family here).
 * Below: slirp/base, csum_wire.  Above: slirp/ip_in.c, slirp/ip_out.c, links, tests.
 * RFC 791 3.1, RFC 8200 3 and 4, RFC 6946 (a fragment header on a whole packet).
 */
#include "slirp/wire/ip_wire.h"
#include "slirp/base/bytes.h"
#include "slirp/wire/csum_wire.h"

enum {
	IP4_DF = 0x4000,
	IP4_MF = 0x2000,
	IP4_FRAG_OFF = 0x1fff,	/* in units of 8 bytes */
	IP6_MF = 0x0001,
	IP6_FRAG_OFF = 0xfff8,	/* in bytes; between it and M are two reserved bits */
	EXT_HOPBYHOP = 0,
	EXT_ROUTING = 43,
	EXT_FRAGMENT = IP_PROTO_FRAGMENT,
	EXT_AUTH = 51,
	EXT_DESTINATION = 60,
	EXT_MOBILITY = 135,
	EXT_HIP = 139,
	EXT_SHIM6 = 140,
	EXT_MAX = 8, /* headers walked: real packets have one or two, and the walk costs time */
	EXT_UNIT = 8,
	OPT_PAD1 = 0,
	OPT_MUST_KNOW = 0xc0, /* RFC 8200 4.2: any of these bits set means discard if not recognised */
};

static enum reason parse_v4(const uint8_t *p, uint32_t head_len, uint32_t total, struct ip *ret)
{
	uint32_t hdr_len, len;
	uint16_t frag;

	if (head_len < IP4_HDR_LEN)
		return R_SHORT_FRAME;
	if (p[0] >> 4 != 4)
		return R_IP_VERSION;
	hdr_len = (uint32_t)(p[0] & 0x0f) * 4;
	len = bytes_get16(p + 2);
	if (hdr_len < IP4_HDR_LEN)
		return R_IP_HEADER;
	if (len < hdr_len || len > total)
		return R_IP_LENGTH;
	if (hdr_len > head_len)
		return R_SHORT_FRAME;
	if (csum_wire_final(csum_wire_add(p, hdr_len)))
		return R_IP_CHECKSUM;
	frag = bytes_get16(p + 6);
	*ret = (struct ip){
		.src = addr_from_v4(p + 12),
		.dst = addr_from_v4(p + 16),
		.hdr_len = hdr_len,
		.payload_len = len - hdr_len,
		.proto = p[9],
		.hop_limit = p[8],
		.tos = p[1],
		.dont_fragment = frag & IP4_DF,
		.is_fragment = frag & (IP4_MF | IP4_FRAG_OFF),
		.more_frags = frag & IP4_MF,
		.frag_off = (uint16_t)((frag & IP4_FRAG_OFF) * 8),
		.id = bytes_get16(p + 4),
	};
	return R_ACCEPTED;
}

/* Options of a hop-by-hop or destination header, len bytes: none that must be understood may be among them. */
static bool options_ignorable(const uint8_t *p, uint32_t len)
{
	uint32_t at = 0;

	while (at < len) {
		if (p[at] == OPT_PAD1) {
			at++;
			continue;
		}
		if ((p[at] & OPT_MUST_KNOW) || len - at < 2 || p[at + 1] > len - at - 2)
			return false;
		at += 2u + p[at + 1];
	}
	return true;
}

/* Where the walk along the extension headers stands. */
struct ext_walk {
	const uint8_t *p;  /* the packet */
	uint32_t head_len; /* readable bytes */
	uint32_t end;	   /* bytes of the packet */
	uint32_t at;	   /* behind the headers walked so far */
	uint8_t next;	   /* what stands there */
	bool fragment;	   /* a true one: frag is its offset and flag, id its identification */
	uint16_t frag;
	uint32_t id;
};

static bool is_extension(uint8_t proto)
{
	switch (proto) {
	case EXT_HOPBYHOP:
	case EXT_ROUTING:
	case EXT_FRAGMENT:
	case EXT_DESTINATION:
		return true;
	default:
		return false;
	}
}

/* Extension headers that no host behind us could use: they end the walk as a refusal, not as a protocol. */
static bool is_refused_extension(uint8_t proto)
{
	return proto == EXT_AUTH || proto == EXT_MOBILITY || proto == EXT_HIP || proto == EXT_SHIM6;
}

/* Judges the header at w->at, all of whose `len` bytes are readable. */
static enum reason ext_judge(struct ext_walk *w, uint32_t len)
{
	const uint8_t *h = w->p + w->at;

	switch (w->next) {
	case EXT_HOPBYHOP:
		if (w->at != IP6_HDR_LEN) /* RFC 8200 4.1: only as the first */
			return R_IP_OPTION;
		return options_ignorable(h + 2, len - 2) ? R_ACCEPTED : R_IP_OPTION;
	case EXT_DESTINATION:
		return options_ignorable(h + 2, len - 2) ? R_ACCEPTED : R_IP_OPTION;
	case EXT_ROUTING:
		return h[3] == 0 ? R_ACCEPTED : R_IP_OPTION;
	default: /* EXT_FRAGMENT */
		w->frag = bytes_get16(h + 2);
		w->id = bytes_get32(h + 4);
		w->fragment = w->frag & (IP6_MF | IP6_FRAG_OFF);
		return R_ACCEPTED;
	}
}

static enum reason ext_step(struct ext_walk *w)
{
	enum reason r;
	uint32_t len;

	if (w->end - w->at < EXT_UNIT)
		return R_IP_HEADER;
	if (w->head_len < w->at + EXT_UNIT)
		return R_SHORT_FRAME;
	len = w->next == EXT_FRAGMENT ? EXT_UNIT : (w->p[w->at + 1] + 1u) * EXT_UNIT;
	if (len > w->end - w->at)
		return R_IP_HEADER;
	if (w->head_len < w->at + len)
		return R_SHORT_FRAME;
	r = ext_judge(w, len);
	if (r != R_ACCEPTED)
		return r;
	w->next = w->p[w->at];
	w->at += len;
	return R_ACCEPTED;
}

/* Behind a true fragment's header nothing is walked: what follows may be the middle of anything. */
static enum reason ext_walk_all(struct ext_walk *w)
{
	enum reason r;

	for (int n = 0; is_extension(w->next) && !w->fragment; n++) {
		if (n == EXT_MAX)
			return R_IP_OPTION;
		r = ext_step(w);
		if (r != R_ACCEPTED)
			return r;
	}
	return !w->fragment && is_refused_extension(w->next) ? R_IP_OPTION : R_ACCEPTED;
}

static enum reason parse_v6(const uint8_t *p, uint32_t head_len, uint32_t total, struct ip *ret)
{
	struct ext_walk w = { .p = p, .head_len = head_len, .at = IP6_HDR_LEN };
	struct addr src, dst;
	enum reason r;

	if (head_len < IP6_HDR_LEN || total < IP6_HDR_LEN)
		return R_SHORT_FRAME;
	if (p[0] >> 4 != 6)
		return R_IP_VERSION;
	w.end = IP6_HDR_LEN + bytes_get16(p + 4);
	w.next = p[6];
	if (w.end > total)
		return R_IP_LENGTH;
	src = addr_from_v6(p + 8);
	dst = addr_from_v6(p + 24);
	if (addr_is_v4(&src) || addr_is_v4(&dst))
		return R_IP_MAPPED;
	r = ext_walk_all(&w);
	if (r != R_ACCEPTED)
		return r;
	*ret = (struct ip){
		.src = src,
		.dst = dst,
		.hdr_len = w.at,
		.payload_len = w.end - w.at,
		.proto = w.next,
		.hop_limit = p[7],
		.tos = (uint8_t)(bytes_get16(p) >> 4),
		.v6 = true,
		.dont_fragment = true,
		.is_fragment = w.fragment,
		.more_frags = w.fragment && (w.frag & IP6_MF),
		.frag_off = w.fragment ? w.frag & IP6_FRAG_OFF : 0,
		.id = w.fragment ? w.id : 0,
	};
	return R_ACCEPTED;
}

enum reason ip_wire_chain(const uint8_t *p, uint32_t head_len, uint32_t total, uint8_t *proto, uint32_t *ret_len)
{
	struct ext_walk w = { .p = p, .head_len = head_len < total ? head_len : total, .end = total, .next = *proto };
	enum reason r = ext_walk_all(&w);

	if (!r && w.fragment)
		r = R_IP_FRAGMENT;
	if (r)
		return r;
	*proto = w.next;
	*ret_len = w.at;
	return R_ACCEPTED;
}

enum reason ip_wire_parse(const uint8_t *p, uint32_t head_len, uint32_t total, bool v6, struct ip *ret)
{
	if (head_len > total)
		head_len = total;
	return v6 ? parse_v6(p, head_len, total, ret) : parse_v4(p, head_len, total, ret);
}

static void put_v4_checksum(uint8_t *p)
{
	uint16_t csum;

	bytes_put16(p + 10, 0);
	csum = csum_wire_final(csum_wire_add(p, IP4_HDR_LEN));
	memcpy(p + 10, &csum, sizeof(csum));
}

static void put_v4(uint8_t *p, const struct ip *ip)
{
	p[0] = 0x45;
	p[1] = ip->tos;
	bytes_put16(p + 2, (uint16_t)(IP4_HDR_LEN + ip->payload_len));
	bytes_put16(p + 4, (uint16_t)ip->id);
	bytes_put16(p + 6, (uint16_t)((ip->dont_fragment ? IP4_DF : 0) | (ip->more_frags ? IP4_MF : 0) | ip->frag_off / 8));
	p[8] = ip->hop_limit;
	p[9] = ip->proto;
	memcpy(p + 12, addr_v4_bytes(&ip->src), 4);
	memcpy(p + 16, addr_v4_bytes(&ip->dst), 4);
	put_v4_checksum(p);
}

static void put_v6(uint8_t *p, const struct ip *ip)
{
	bytes_put32(p, 0x60000000u | (uint32_t)ip->tos << 20);
	bytes_put16(p + 4, (uint16_t)(ip->payload_len + (ip->is_fragment ? IP6_FRAG_LEN : 0)));
	p[6] = ip->is_fragment ? IP_PROTO_FRAGMENT : ip->proto;
	p[7] = ip->hop_limit;
	memcpy(p + 8, ip->src.b, sizeof(ip->src.b));
	memcpy(p + 24, ip->dst.b, sizeof(ip->dst.b));
	if (!ip->is_fragment)
		return;
	p += IP6_HDR_LEN;
	bytes_put16(p, (uint16_t)(ip->proto << 8));
	bytes_put16(p + 2, (uint16_t)(ip->frag_off | (ip->more_frags ? IP6_MF : 0)));
	bytes_put32(p + 4, ip->id);
}

void ip_wire_put(uint8_t *p, const struct ip *ip)
{
	if (ip->v6)
		put_v6(p, ip);
	else
		put_v4(p, ip);
}

void ip_wire_set_len(uint8_t *p, bool v6, uint32_t payload_len, uint16_t id)
{
	if (v6) {
		bytes_put16(p + 4, (uint16_t)payload_len);
		return;
	}
	bytes_put16(p + 2, (uint16_t)(IP4_HDR_LEN + payload_len));
	bytes_put16(p + 4, id);
	put_v4_checksum(p);
}
