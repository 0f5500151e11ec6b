/* l4_wire.c - TCP segments with their options, and UDP headers.
 *
 * What it is not: the checksum (csum_wire, gso_wire) or any judgement of flags, windows and sequence numbers
 * (slirp/tcp_in.c).
 * Below: slirp/base.  Above: slirp/ip_in.c, slirp/tcp_out.c, tests.  RFC 9293 3.1 and 3.2, RFC 7323 2 and 3, RFC 2018 2
 * and 3.
 */
#include "slirp/wire/l4_wire.h"
#include "slirp/base/bytes.h"

enum {
	OPT_END = 0,
	OPT_NOP = 1,
	OPT_MSS = 2,
	OPT_WSCALE = 3,
	OPT_SACK_PERMITTED = 4,
	OPT_SACK = 5,
	OPT_TS = 8,
	OPT_MSS_LEN = 4,
	OPT_WSCALE_LEN = 3,
	OPT_SACK_PERMITTED_LEN = 2,
	OPT_TS_LEN = 10,
	OPT_SACK_HEAD = 2,
	OPT_SACK_RANGE = 8,
	WSCALE_MAX = 14,
};

static void sack_option(struct tcp_seg *s, const uint8_t *p, uint32_t len)
{
	if (len < OPT_SACK_RANGE || len % OPT_SACK_RANGE)
		return;
	s->n_sack = 0;
	for (; len && s->n_sack < TCP_SACK_MAX; len -= OPT_SACK_RANGE, p += OPT_SACK_RANGE)
		s->sack[s->n_sack++] = (struct tcp_range){ bytes_get32(p), bytes_get32(p + 4) };
}

/* One option: p stands behind kind and length, len excludes them.  A known kind of a wrong length is skipped like an
 * unknown one. */
static void option(struct tcp_seg *s, uint8_t kind, const uint8_t *p, uint32_t len)
{
	switch (kind) {
	case OPT_MSS:
		if (len == OPT_MSS_LEN - 2) {
			s->mss = bytes_get16(p);
			s->has_mss = s->mss != 0;
		}
		break;
	case OPT_WSCALE:
		if (len == OPT_WSCALE_LEN - 2) {
			s->wscale = p[0] < WSCALE_MAX ? p[0] : WSCALE_MAX;
			s->has_wscale = true;
		}
		break;
	case OPT_SACK_PERMITTED:
		s->sack_permitted |= len == OPT_SACK_PERMITTED_LEN - 2;
		break;
	case OPT_SACK:
		sack_option(s, p, len);
		break;
	case OPT_TS:
		if (len == OPT_TS_LEN - 2) {
			s->tsval = bytes_get32(p);
			s->tsecr = bytes_get32(p + 4);
			s->has_ts = true;
		}
		break;
	}
}

static void options(struct tcp_seg *s, const uint8_t *p, uint32_t len)
{
	uint32_t at = 0;

	while (at < len && p[at] != OPT_END) {
		if (p[at] == OPT_NOP) {
			at++;
			continue;
		}
		if (len - at < 2 || p[at + 1] < 2 || p[at + 1] > len - at)
			return;
		option(s, p[at], p + at + 2, p[at + 1] - 2u);
		at += p[at + 1];
	}
}

enum reason l4_wire_tcp_parse(const uint8_t *p, uint32_t head_len, uint32_t l4_len, struct tcp_seg *ret)
{
	uint32_t hdr_len;

	if (l4_len < TCP_HDR_LEN)
		return R_L4_LENGTH;
	if (head_len < TCP_HDR_LEN)
		return R_SHORT_FRAME;
	hdr_len = (uint32_t)(p[12] >> 4) * 4;
	if (hdr_len < TCP_HDR_LEN || hdr_len > l4_len)
		return R_L4_LENGTH;
	if (hdr_len > head_len)
		return R_SHORT_FRAME;
	*ret = (struct tcp_seg){
		.sport = bytes_get16(p),
		.dport = bytes_get16(p + 2),
		.seq = bytes_get32(p + 4),
		.ack = bytes_get32(p + 8),
		.window = bytes_get16(p + 14),
		.hdr_len = hdr_len,
		.len = l4_len - hdr_len,
		.flags = p[13],
	};
	options(ret, p + TCP_HDR_LEN, hdr_len - TCP_HDR_LEN);
	return R_ACCEPTED;
}

/* Header length of everything but SACK.  SACK-permitted and timestamps share three words, each alone is padded by two
 * NOPs. */
static uint32_t len_without_sack(const struct tcp_seg *s)
{
	uint32_t len = TCP_HDR_LEN;

	if (s->has_mss)
		len += OPT_MSS_LEN;
	if (s->has_ts)
		len += OPT_SACK_PERMITTED_LEN + OPT_TS_LEN;
	else if (s->sack_permitted)
		len += 2 + OPT_SACK_PERMITTED_LEN;
	if (s->has_wscale)
		len += 1 + OPT_WSCALE_LEN;
	return len;
}

/* How many of the wanted ranges still fit behind the other options. */
static uint32_t sack_fit(const struct tcp_seg *s)
{
	uint32_t len = len_without_sack(s) + 2 + OPT_SACK_HEAD;
	uint32_t room = len < TCP_HDR_MAX ? (TCP_HDR_MAX - len) / OPT_SACK_RANGE : 0;
	uint32_t want = s->n_sack > 0 ? (uint32_t)s->n_sack : 0;

	return want < room ? want : room;
}

uint32_t l4_wire_tcp_len(const struct tcp_seg *seg)
{
	uint32_t n = sack_fit(seg);

	return len_without_sack(seg) + (n ? 2 + OPT_SACK_HEAD + n * OPT_SACK_RANGE : 0);
}

static uint8_t *put_option_head(uint8_t *p, int nops, uint8_t kind, uint8_t len)
{
	while (nops--)
		*p++ = OPT_NOP;
	*p++ = kind;
	*p++ = len;
	return p;
}

static uint8_t *put_sack(uint8_t *p, const struct tcp_seg *s)
{
	uint32_t n = sack_fit(s);

	if (!n)
		return p;
	p = put_option_head(p, 2, OPT_SACK, (uint8_t)(OPT_SACK_HEAD + n * OPT_SACK_RANGE));
	for (uint32_t i = 0; i < n; i++, p += OPT_SACK_RANGE) {
		bytes_put32(p, s->sack[i].start);
		bytes_put32(p + 4, s->sack[i].end);
	}
	return p;
}

static uint8_t *put_options(uint8_t *p, const struct tcp_seg *s)
{
	if (s->has_mss) {
		p = put_option_head(p, 0, OPT_MSS, OPT_MSS_LEN);
		bytes_put16(p, s->mss);
		p += 2;
	}
	if (s->sack_permitted)
		p = put_option_head(p, s->has_ts ? 0 : 2, OPT_SACK_PERMITTED, OPT_SACK_PERMITTED_LEN);
	if (s->has_ts) {
		p = put_option_head(p, s->sack_permitted ? 0 : 2, OPT_TS, OPT_TS_LEN);
		bytes_put32(p, s->tsval);
		bytes_put32(p + 4, s->tsecr);
		p += 8;
	}
	if (s->has_wscale) {
		p = put_option_head(p, 1, OPT_WSCALE, OPT_WSCALE_LEN);
		*p++ = s->wscale;
	}
	return put_sack(p, s);
}

uint32_t l4_wire_tcp_put(uint8_t *p, const struct tcp_seg *seg)
{
	uint32_t hdr_len = (uint32_t)(put_options(p + TCP_HDR_LEN, seg) - p);

	bytes_put16(p, seg->sport);
	bytes_put16(p + 2, seg->dport);
	bytes_put32(p + 4, seg->seq);
	bytes_put32(p + 8, seg->ack);
	p[12] = (uint8_t)(hdr_len / 4 << 4);
	p[13] = seg->flags;
	bytes_put16(p + 14, (uint16_t)seg->window);
	bytes_put32(p + TCP_CSUM_OFFSET, 0); /* and the urgent pointer, which we never use */
	return hdr_len;
}

enum reason l4_wire_udp_parse(const uint8_t *p, uint32_t head_len, uint32_t l4_len, struct udp *ret)
{
	uint32_t len;

	if (l4_len < UDP_HDR_LEN)
		return R_L4_LENGTH;
	if (head_len < UDP_HDR_LEN)
		return R_SHORT_FRAME;
	len = bytes_get16(p + 4);
	if (len < UDP_HDR_LEN || len > l4_len)
		return R_L4_LENGTH;
	*ret = (struct udp){
		.sport = bytes_get16(p),
		.dport = bytes_get16(p + 2),
		.len = len - UDP_HDR_LEN,
		.has_csum = bytes_get16(p + UDP_CSUM_OFFSET) != 0,
	};
	return R_ACCEPTED;
}

void l4_wire_udp_put(uint8_t *p, const struct udp *u)
{
	bytes_put16(p, u->sport);
	bytes_put16(p + 2, u->dport);
	bytes_put16(p + 4, (uint16_t)(UDP_HDR_LEN + u->len));
	bytes_put16(p + UDP_CSUM_OFFSET, 0);
}

const char *l4_wire_flags(uint8_t flags, char *buf)
{
	static const struct {
		uint8_t bit;
		char letter;
	} letters[] = {
		{ TCP_SYN, 'S' }, { TCP_FIN, 'F' }, { TCP_RST, 'R' },
		{ TCP_PSH, 'P' }, { TCP_URG, 'U' }, { TCP_ACK, '.' },
	};
	char *at = buf;

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (flags & letters[i].bit)
			*at++ = letters[i].letter;
	if (at == buf)
		*at++ = '-';
	*at = '\0';
	return buf;
}
