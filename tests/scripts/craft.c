/* craft.c - the guest's frames.  See craft.h. */
#include "tests/scripts/craft.h"
#include "slirp/base/bytes.h"
#include "slirp/wire/ip_wire.h"

#include <string.h>

/* A frame in the core's hands: exactly sized blocks, so that a read beyond the end is seen by the sanitizer. */
struct craft_held {
	uint8_t *head;
	struct iovec rest[2];
	uint32_t head_len;
};

void craft_put16(GByteArray *a, uint32_t v)
{
	uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	g_byte_array_append(a, b, 2);
}

void craft_put32(GByteArray *a, uint32_t v)
{
	craft_put16(a, v >> 16);
	craft_put16(a, v & 0xffff);
}

void craft_init(struct craft *m)
{
	memset(m, 0, sizeof(*m));
	m->ethertype = m->truncate = m->ipver = m->ihl = m->doff = m->iplen = m->l4len = m->ext = m->extlen = m->pad = -1;
	m->uso = m->tos = m->gso = m->by = m->sport = m->dport = m->ttl = m->head = m->id = m->frags = m->proto = -1;
}

static bool craft_flag(struct craft *m, struct words *w)
{
	const struct {
		const char *name;
		bool *at;
	} flags[] = { { "badcsum", &m->badcsum }, { "badipcsum", &m->badipcsum }, { "csumok", &m->csumok }, { "more", &m->more },
		      { "altered", &m->altered }, { "hop-by-hop", &m->router_alert } };

	for (size_t i = 0; i < G_N_ELEMENTS(flags); i++)
		if (words_take(w, flags[i].name))
			return *flags[i].at = true;
	return false;
}

static bool craft_field(struct craft *m, struct words *w, const char **wrong)
{
	const struct {
		const char *name;
		int64_t *at;
	} fields[] = { { "ethertype", &m->ethertype }, { "truncate", &m->truncate }, { "ipver", &m->ipver }, { "ihl", &m->ihl },
		       { "doff", &m->doff }, { "iplen", &m->iplen }, { "l4len", &m->l4len }, { "ext", &m->ext }, { "extlen", &m->extlen },
		       { "pad", &m->pad }, { "gso", &m->gso }, { "uso", &m->uso }, { "tos", &m->tos },
		       { "by", &m->by }, { "sport", &m->sport }, { "dport", &m->dport },
		       { "ttl", &m->ttl }, { "head", &m->head }, { "id", &m->id }, { "frags", &m->frags }, { "proto", &m->proto } };

	for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
		if (!words_take(w, fields[i].name))
			continue;
		if (!words_number(w, fields[i].at))
			*wrong = "a number is missing";
		return true;
	}
	return false;
}

/* "8:1488": from and behind which byte of the L4 packet; it may be longer than that is. */
static const char *craft_piece(struct craft *m, struct words *w)
{
	const char *text = words_next(w), *end;

	m->has_piece = text && script_number(text, &m->piece, &end) && *end == ':' && script_number(end + 1, &m->piece_end, &end) && !*end;
	return m->has_piece ? NULL : "piece FROM:TO";
}

const char *craft_parse(struct craft *m, struct words *w)
{
	const char *wrong = NULL;

	while (words_peek(w) && !wrong) {
		if (craft_flag(m, w) || craft_field(m, w, &wrong))
			continue;
		if (words_take(w, "piece"))
			wrong = craft_piece(m, w);
		else if (words_take(w, "src"))
			m->has_src = words_peek(w) && addr_parse(words_next(w), &m->src, NULL);
		else if (words_take(w, "dst"))
			m->has_dst = words_peek(w) && addr_parse(words_next(w), &m->dst, NULL);
		else if (words_take(w, "mac"))
			m->has_mac = words_peek(w) && eth_wire_mac_parse(words_next(w), &m->mac, NULL);
		else if (words_take(w, "to"))
			m->has_to = words_peek(w) && eth_wire_mac_parse(words_next(w), &m->to, NULL);
		else
			wrong = "a word at the end is not understood";
	}
	return wrong;
}

GByteArray *craft_eth(struct play *p, const struct craft *m, const struct mac *to, uint16_t type)
{
	GByteArray *f = g_byte_array_new();

	g_byte_array_append(f, m->has_to ? m->to.b : to->b, 6);
	g_byte_array_append(f, m->has_mac ? m->mac.b : p->cfg.guest_mac.b, 6);
	craft_put16(f, m->ethertype >= 0 ? (uint32_t)m->ethertype : type);
	return f;
}

static void craft_ip4(struct play *p, const struct craft *m, const struct addr *src, const struct addr *dst, uint8_t proto,
		      uint32_t l4_len, GByteArray *f)
{
	uint32_t at = f->len, total = m->iplen >= 0 ? (uint32_t)m->iplen : 20 + l4_len;
	uint32_t ver = m->ipver >= 0 ? (uint32_t)m->ipver : 4, ihl = m->ihl >= 0 ? (uint32_t)m->ihl : 5;
	uint16_t sum;

	craft_put16(f, ver << 12 | ihl << 8 | (m->tos >= 0 ? (uint32_t)m->tos : 0));
	craft_put16(f, total);
	craft_put16(f, m->id >= 0 ? (uint32_t)m->id : ++p->ip_id);
	craft_put16(f, m->has_piece ? (uint32_t)(m->piece / 8) | (m->more ? 0x2000 : 0) : 0x4000);
	craft_put16(f, (m->ttl >= 0 ? (uint32_t)m->ttl : 64) << 8 | proto);
	craft_put16(f, 0);
	g_byte_array_append(f, src->b + 12, 4);
	g_byte_array_append(f, dst->b + 12, 4);
	sum = (uint16_t)~judge_sum(f->data + at, 20, 0);
	bytes_put16(f->data + at + 10, m->badipcsum ? sum ^ 0x5a : sum);
}

static void craft_ext(GByteArray *f, uint8_t next, int64_t len)
{
	uint8_t ext[8] = { next, (uint8_t)(len >= 0 ? len : 0), 1, 4, 0, 0, 0, 0 }; /* one PadN */

	g_byte_array_append(f, ext, 8);
}

static void craft_ip6(struct play *p, const struct craft *m, const struct addr *src, const struct addr *dst, uint8_t proto,
		      uint32_t l4_len, GByteArray *f)
{
	uint32_t exts = 8 * ((m->ext >= 0) + m->has_piece + m->router_alert);
	uint8_t inner = m->has_piece ? 44 : proto, second = m->ext >= 0 ? (uint8_t)m->ext : inner;
	uint8_t first = m->router_alert ? 0 : second;

	craft_put32(f, (m->ipver >= 0 ? (uint32_t)m->ipver : 6) << 28 | (m->tos >= 0 ? (uint32_t)m->tos : 0) << 20);
	craft_put16(f, m->iplen >= 0 ? (uint32_t)m->iplen : exts + l4_len);
	craft_put16(f, (uint32_t)first << 8 | (m->ttl >= 0 ? (uint32_t)m->ttl : 64));
	g_byte_array_append(f, src->b, 16);
	g_byte_array_append(f, dst->b, 16);
	if (m->router_alert)
		craft_ext(f, second, -1);
	if (m->ext >= 0)
		craft_ext(f, inner, m->extlen);
	if (m->has_piece) {
		craft_put16(f, (uint32_t)proto << 8);
		craft_put16(f, (uint32_t)m->piece | m->more);
		craft_put32(f, m->id >= 0 ? (uint32_t)m->id : ++p->ip_id);
	}
}

static uint32_t craft_csum_at(uint8_t proto)
{
	switch (proto) {
	case IP_PROTO_TCP:
		return TCP_CSUM_OFFSET;
	case IP_PROTO_UDP:
		return UDP_CSUM_OFFSET;
	case IP_PROTO_ICMP:
	case IP_PROTO_ICMPV6:
		return 2;
	default:
		return UINT32_MAX;
	}
}

GByteArray *craft_ip(struct play *p, const struct craft *m, const struct addr *src_, const struct addr *dst_, uint8_t proto, GByteArray *l4)
{
	const struct addr *src = m->has_src ? &m->src : src_, *dst = m->has_dst ? &m->dst : dst_;
	bool v6 = !addr_is_v4(dst_);
	uint32_t at = craft_csum_at(proto), from, len;
	GByteArray *f = craft_eth(p, m, &p->cfg.gw_mac, v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4);

	if (m->has_piece && (m->piece > l4->len || m->piece_end > l4->len || m->piece > m->piece_end))
		play_fail(p, "a piece of a packet of %u bytes", l4->len);
	if (at < l4->len && !m->csumok) {
		uint16_t pseudo = proto == IP_PROTO_ICMP ? 0 : judge_pseudo(src, dst, v6, proto, l4->len);
		uint16_t sum;

		bytes_put16(l4->data + at, 0);
		sum = (uint16_t)~judge_sum(l4->data, l4->len, pseudo);
		bytes_put16(l4->data + at, m->badcsum ? sum ^ 0x5a : sum);
	}
	if (m->proto >= 0) /* only the IP header lies */
		proto = (uint8_t)m->proto;
	from = m->has_piece ? (uint32_t)MIN(m->piece, l4->len) : 0;
	len = m->has_piece ? (uint32_t)MIN(m->piece_end, l4->len) - from : l4->len;
	if (v6)
		craft_ip6(p, m, src, dst, proto, len, f);
	else
		craft_ip4(p, m, src, dst, proto, len, f);
	g_byte_array_append(f, l4->data + from, len);
	if (m->altered)
		f->data[f->len - 1] ^= 0x5a;
	return f;
}

/* The guest's timestamp clock ticks milliseconds, from the last value that a line wrote. */
static uint32_t craft_tsval(struct conn *c, const struct notation_opts *o)
{
	if (o->has_ts && !o->any_tsval) {
		c->ts_base = o->tsval;
		c->ts_base_at = c->play->now;
	}
	return c->ts_base + (uint32_t)((c->play->now - c->ts_base_at) / 1000);
}

static void craft_tcp_opts(struct conn *c, const struct notation *n, GByteArray *a)
{
	const struct notation_opts *o = &n->opts;
	bool ts = o->has_ts || (c->ts_ok && c->guest_ts && !o->no_ts && !(n->flags & (TCP_RST | TCP_SYN)));

	if (o->has_mss) {
		craft_put16(a, 0x0204);
		craft_put16(a, o->mss);
	}
	if (o->has_sackok)
		craft_put32(a, 0x01010402);
	if (ts) {
		craft_put32(a, 0x0101080a);
		craft_put32(a, craft_tsval(c, o));
		craft_put32(a, o->has_ts && !o->any_tsecr ? o->tsecr : c->ts_last);
	}
	if (o->has_wscale)
		craft_put32(a, 0x01030300 | o->wscale);
	if (o->n_sack) {
		craft_put32(a, 0x01010500 | (2 + 8 * (uint32_t)o->n_sack));
		for (int i = 0; i < o->n_sack; i++) {
			craft_put32(a, o->sack[i].start + c->iss);
			craft_put32(a, o->sack[i].end + c->iss);
		}
	}
	if (o->junk)
		g_byte_array_append(a, o->junk->data, o->junk->len);
	while (a->len % 4)
		g_byte_array_append(a, (const uint8_t *)"\0", 1);
}

GByteArray *craft_tcp(struct conn *c, const struct craft *m, const struct notation *n)
{
	g_autoptr(GByteArray) opts = g_byte_array_new();
	GByteArray *a = g_byte_array_new();
	uint32_t doff;

	craft_tcp_opts(c, n, opts);
	doff = m->doff >= 0 ? (uint32_t)m->doff : 5 + opts->len / 4;
	craft_put16(a, m->sport >= 0 ? (uint32_t)m->sport : c->port);
	craft_put16(a, m->dport >= 0 ? (uint32_t)m->dport : c->far.port);
	craft_put32(a, n->seq + c->isn);
	craft_put32(a, n->has_ack ? n->ack + (c->iss_known ? c->iss : 0) : 0);
	craft_put16(a, doff << 12 | n->flags);
	craft_put16(a, n->win);
	craft_put16(a, 0);
	craft_put16(a, n->flags & TCP_URG ? 1 : 0);
	g_byte_array_append(a, opts->data, opts->len);
	for (uint32_t i = n->seq; i != n->end; i++) {
		uint8_t b = play_pattern(c->port, false, i - 1);

		g_byte_array_append(a, &b, 1);
	}
	return a;
}

enum reason craft_send(struct play *p, const struct craft *m, GByteArray *frame)
{
	struct craft_held *held = g_new0(struct craft_held, 1);
	struct frame f = { .gso_size = (uint16_t)(m->gso > 0 ? m->gso : m->uso > 0 ? m->uso : 0), .gso_udp = m->uso > 0,
			   .csum_ok = m->csumok || m->gso > 0 || m->uso > 0 };
	uint32_t want = m->head >= 0 ? (uint32_t)m->head : FRAME_HEAD_MAX, left;

	for (int64_t i = 0; i < m->pad; i++)
		g_byte_array_append(frame, (const uint8_t *)"\xa5", 1);
	if (m->truncate >= 0 && (uint32_t)m->truncate < frame->len)
		g_byte_array_set_size(frame, (guint)m->truncate);
	held->head_len = f.head_len = MIN(frame->len, want);
	held->head = g_memdup2(frame->data, f.head_len);
	f.head = held->head;
	f.rest = held->rest;
	left = f.rest_len = frame->len - f.head_len;
	for (f.n_rest = 0; left; f.n_rest++) { /* a first piece of odd length, then the rest */
		uint32_t len = f.n_rest ? left : MIN(left, 333);

		held->rest[f.n_rest] = (struct iovec){ g_memdup2(frame->data + frame->len - left, len), len };
		left -= len;
	}
	g_byte_array_unref(frame);
	g_ptr_array_add(p->inflight, held);
	p->last_drop = stack_input(p->st, &f, p->now);
	fake_reap(p);
	return p->last_drop;
}

void craft_release(struct play *p)
{
	for (guint i = 0; i < p->inflight->len; i++) {
		struct craft_held *held = p->inflight->pdata[i];

		g_free(held->head);
		g_free(held->rest[0].iov_base);
		g_free(held->rest[1].iov_base);
		g_free(held);
	}
	g_ptr_array_set_size(p->inflight, 0);
}
