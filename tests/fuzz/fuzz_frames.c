/* fuzz_frames.c - bytes become a life of the core: guest frames, host events, clock steps, a link that is full or not.
 *
 * The host is a fake that holds the core to upstream.h and stack.h; what leaves is parsed by the wire parsers and looked at.  Payload is a
 * pattern keyed by port and sequence number, so that every byte that reaches either side can be told right from wrong, whatever order the
 * input chose.  A raw frame may carry anything: from then on the guest's payload is not compared.
 * Below: frames_host.c, slirp.  Above: tests/meson.build.  Corpus: tests/fuzz/corpus/fuzz_frames.
 */
#include "slirp/tcp_open.h"
#include "slirp/tcp_seq.h"
#include "slirp/wire/csum_wire.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/l4_wire.h"
#include "tests/fuzz/frames_host.h"

#include <string.h>

static uint32_t fuzz_u8(struct fuzz *z)
{
	if (!z->left)
		return 0;
	z->left--;
	return *z->in++;
}

static uint32_t fuzz_u16(struct fuzz *z)
{
	uint32_t hi = fuzz_u8(z);

	return hi << 8 | fuzz_u8(z);
}

static struct addr fuzz_addr(const char *text)
{
	struct addr a;

	FUZZ_CHECK(addr_parse(text, &a, NULL), "%s", text);
	return a;
}

/* ---- turns */

static void fuzz_reap(struct fuzz *z)
{
	for (guint i = 0; i < z->gone->len; i++)
		g_free(z->gone->pdata[i]);
	g_ptr_array_set_size(z->gone, 0);
}

static void fuzz_flush(struct fuzz *z)
{
	int turns = 0;

	do {
		stack_flush(z->st, z->now);
		fuzz_reap(z);
		FUZZ_CHECK(++turns < FUZZ_TURNS, "stack_pending() for ever");
	} while (stack_pending(z->st));
	for (guint i = 0; i < z->frames->len; i++)
		g_free(z->frames->pdata[i]);
	g_ptr_array_set_size(z->frames, 0);
}

static void fuzz_clock(struct fuzz *z, int64_t step)
{
	fuzz_flush(z); /* time passes between turns only */
	z->now += step;
	if (stack_deadline(z->st) <= z->now) {
		stack_expire(z->st, z->now);
		fuzz_flush(z);
		FUZZ_CHECK(stack_deadline(z->st) > z->now, "a deadline that stays in the past");
	}
}

/* ---- the guest */

static void fuzz_input(struct fuzz *z, const uint8_t *data, uint32_t len, uint16_t gso, bool csum_ok)
{
	uint8_t *copy = g_malloc(len + 1);
	uint32_t head = MIN(len, FRAME_HEAD_MAX);
	struct iovec *rest = g_new(struct iovec, 1);
	struct frame f = { .head = copy, .head_len = head, .rest = rest, .n_rest = len > head, .rest_len = len - head, .gso_size = gso,
			   .csum_ok = csum_ok };

	memcpy(copy, data, len);
	*rest = (struct iovec){ copy + head, len - head };
	g_ptr_array_add(z->frames, copy);
	g_ptr_array_add(z->frames, rest);
	stack_input(z->st, &f, z->now);
}

static void fuzz_repair(uint8_t *p, uint32_t len)
{
	bool v6 = len > ETH_HDR_LEN && p[ETH_HDR_LEN] >> 4 == 6;
	uint8_t *l3 = p + ETH_HDR_LEN;
	uint16_t sum = 0;
	uint32_t field;
	struct ip ip;

	if (len < ETH_HDR_LEN + IP4_HDR_LEN)
		return;
	if (!v6 && (l3[0] & 15) >= 5 && len >= ETH_HDR_LEN + (l3[0] & 15u) * 4) {
		memcpy(l3 + 10, &sum, 2);
		sum = csum_wire_final(csum_wire_add(l3, (l3[0] & 15u) * 4));
		memcpy(l3 + 10, &sum, 2);
	}
	if (ip_wire_parse(l3, len - ETH_HDR_LEN, len - ETH_HDR_LEN, v6, &ip))
		return;
	field = ip.proto == IP_PROTO_TCP ? TCP_CSUM_OFFSET : ip.proto == IP_PROTO_UDP ? UDP_CSUM_OFFSET : 2;
	if (ip.payload_len < field + 2)
		return;
	sum = 0;
	memcpy(l3 + ip.hdr_len + field, &sum, 2);
	sum = csum_wire_final(csum_wire_add(l3 + ip.hdr_len, ip.payload_len) +
			      (ip.proto == IP_PROTO_ICMP ? 0 : csum_wire_pseudo(&ip.src, &ip.dst, ip.proto, ip.payload_len)));
	memcpy(l3 + ip.hdr_len + field, &sum, 2);
}

static void fuzz_raw(struct fuzz *z)
{
	uint8_t frame[600] = { 0 };
	uint32_t len = MIN(fuzz_u16(z) % sizeof(frame), (uint32_t)z->left), mode = fuzz_u8(z);

	len = MIN(len, (uint32_t)z->left);
	for (uint32_t i = 0; i < len; i++)
		frame[i] = (uint8_t)fuzz_u8(z);
	if (mode & 1 && len >= ETH_HDR_LEN) {
		memcpy(frame, z->cfg.gw_mac.b, 6);
		memcpy(frame + 6, z->cfg.guest_mac.b, 6);
	}
	if (mode & 2 && len >= ETH_HDR_LEN + IP6_HDR_LEN) {
		bool v6 = frame[ETH_HDR_LEN] >> 4 == 6;

		frame[12] = v6 ? 0x86 : 0x08;
		frame[13] = v6 ? 0xdd : 0x00;
		memcpy(frame + ETH_HDR_LEN + (v6 ? 8 : 12), v6 ? z->cfg.guest6.b : addr_v4_bytes(&z->cfg.guest4), v6 ? 16 : 4);
	}
	if (mode & 4)
		fuzz_repair(frame, len);
	z->wild = true;
	fuzz_input(z, frame, len, mode & 8 ? 1000 : 0, mode & 16);
}

/* A segment of one of the ports; numbers near those that matter. */
static void fuzz_segment(struct fuzz *z, bool super)
{
	static uint8_t frame[ETH_HDR_LEN + IP6_HDR_LEN + TCP_HDR_MAX + 65536];
	uint32_t who = fuzz_u8(z), shape = fuzz_u8(z), l4 = ETH_HDR_LEN + ip_wire_hdr_len(z->v6), hdr;
	int i = (int)(who % FUZZ_SLOTS);
	struct fuzz_slot *s = &z->slot[i];
	struct eth eth = { z->cfg.gw_mac, z->cfg.guest_mac, z->v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4 };
	struct ip ip = { .v6 = z->v6, .src = z->v6 ? z->cfg.guest6 : z->cfg.guest4, .dst = fuzz_addr(z->v6 ? "2001:db8::1" : "192.0.2.1"),
			 .proto = IP_PROTO_TCP, .hop_limit = 64 };
	struct tcp_seg seg = { .sport = (uint16_t)(FUZZ_PORT + i), .dport = 80, .flags = TCP_ACK };

	if (who & 0x80)
		seg.flags = (uint8_t)fuzz_u8(z);
	seg.seq = who & 0x40 ? s->ack + (uint32_t)(int8_t)fuzz_u8(z) : s->nxt;
	seg.len = super ? fuzz_u16(z) % 60000 : shape & 1 ? fuzz_u8(z) * (shape & 2 ? 5 : 1) : 0;
	seg.ack = shape & 4 ? s->gw_nxt : shape & 8 ? s->gw_max + (uint32_t)(int8_t)fuzz_u8(z) : s->gw_max;
	seg.window = shape & 16 ? fuzz_u16(z) : 65535;
	if (shape & 32)
		seg.flags |= TCP_FIN;
	if (s->ts && !(shape & 64)) {
		seg.has_ts = true;
		seg.tsval = (uint32_t)(z->now / 1000) + 1000;
	}
	for (uint32_t n = shape & 128 ? fuzz_u8(z) & 3 : 0; n; n--) {
		seg.sack[seg.n_sack].start = s->guest_has + fuzz_u16(z);
		seg.sack[seg.n_sack].end = seg.sack[seg.n_sack].start + fuzz_u16(z);
		seg.n_sack++;
	}
	if (seg.flags & TCP_SYN && !(seg.flags & TCP_ACK)) {
		uint32_t options = fuzz_u8(z);

		seg.seq = s->isn = s->nxt += options << 8;
		seg.len = 0;
		seg.has_mss = options & 1;
		seg.mss = (uint16_t)fuzz_u16(z);
		seg.has_wscale = options & 2;
		seg.wscale = (uint8_t)(options >> 4);
		seg.sack_permitted = options & 4;
		seg.has_ts = options & 8;
	}
	hdr = l4_wire_tcp_len(&seg);
	ip.payload_len = hdr + seg.len;
	eth_wire_put(frame, &eth);
	ip_wire_put(frame + ETH_HDR_LEN, &ip);
	l4_wire_tcp_put(frame + l4, &seg);
	for (uint32_t k = 0; k < seg.len; k++)
		frame[l4 + hdr + k] = fuzz_byte(i, false, seg.seq + k);
	if (!super)
		fuzz_repair(frame, l4 + hdr + seg.len);
	if (s->flow && seg.flags & TCP_ACK && seq_lt(s->guest_has, seg.ack) && seq_le(seg.ack, s->flow->c.snd_max))
		s->guest_has = seg.ack;
	seg.seq += seg.len + !!(seg.flags & TCP_SYN) + !!(seg.flags & TCP_FIN);
	if (!(seg.flags & TCP_RST) && seq_lt(s->nxt, seg.seq))
		s->nxt = seg.seq;
	fuzz_input(z, frame, l4 + hdr + ip.payload_len - hdr, super ? (uint16_t)(1 + fuzz_u16(z)) : 0, super);
}

/* ---- host events */

static void fuzz_event(struct fuzz *z)
{
	static const enum reason refusals[] = { R_DIAL_REFUSED, R_NET_UNREACHABLE, R_HOST_UNREACHABLE, R_DIAL_TIMEOUT };
	uint32_t what = fuzz_u8(z), arg = fuzz_u8(z);
	struct fuzz_slot *s = &z->slot[what >> 6];
	struct tcp_conn *c = s->flow ? &s->flow->c : NULL;

	if (!c)
		return;
	if (!s->connected) {
		if (what & 1) {
			tcp_open_refuse(c, refusals[arg & 3], z->now);
		} else if ((what & 14) == 14) {
			tcp_conn_drop(c, R_SHUTDOWN, z->now);
		} else {
			s->connected = true;
			s->space = arg << 8;
			s->guest_has = 0;
			tcp_open_accept(c, &s->flow->up, z->now);
			s->guest_has = c->iss;
		}
		return;
	}
	switch (what & 15) {
	case 0:
	case 1:
	case 2:
		if (!s->eof && !s->failed)
			s->offered = MIN(s->offered + (arg << (what & 2 ? 8 : 0)), FUZZ_OFFER);
		break;
	case 3:
		s->eof = s->eof || !s->failed;
		break;
	case 4:
		s->failed = true;
		break;
	case 5:
		s->failed = true;
		tcp_conn_reset(c, R_HOST_RESET, z->now);
		return;
	case 6:
		tcp_conn_drop(c, R_SHUTDOWN, z->now);
		return;
	case 7:
		s->take_max = arg;
		return;
	case 8:
		s->peek_max = arg;
		return;
	case 9:
		s->space = arg;
		return;
	default:
		s->space += arg << 6;
	}
	tcp_conn_touch(c);
}

/* A datagram for the guest, or a run of them; larger than the MTU too. */
static void fuzz_dgram(struct fuzz *z, const struct tuple *t)
{
	static const uint8_t payload[16384];
	struct dgram_meta meta = { .tos = fuzz_u8(z), .gso_size = fuzz_u16(z) };
	uint32_t len = fuzz_u16(z) % sizeof(payload);
	struct iovec iov = { (void *)payload, len };

	stack_dgram(z->st, t, &meta, &iov, 1, len);
}

/* A reply to a ping, larger than the MTU too; or the news that there will be none. */
static void fuzz_echo(struct fuzz *z)
{
	static const uint8_t payload[66000];
	struct echo e = { .guest = z->v6 ? z->cfg.guest6 : z->cfg.guest4, .far = z->v6 ? z->cfg.dns6 : z->cfg.dns4, .id = fuzz_u8(z),
			  .seq = fuzz_u8(z), .hop_limit = fuzz_u8(z), .tos = fuzz_u8(z) };
	uint32_t len = fuzz_u16(z), why = fuzz_u8(z);
	struct iovec iov = { (void *)payload, len };

	if (why & 1)
		stack_echo(z->st, &e, &iov, 1, len);
	else
		stack_echo_error(z->st, &e, (enum icmp_unreach)(why / 2 % (ICMP_UNREACH_LATE + 1)), len, why & 128 ? &e.far : NULL, z->now);
}

static void fuzz_op(struct fuzz *z)
{
	static const enum reason answers[] = { R_ACCEPTED, R_ACCEPTED, R_DENIED, R_HOST_UNREACHABLE };
	uint32_t op = fuzz_u8(z);
	struct tuple t = { { z->v6 ? z->cfg.guest6 : z->cfg.guest4, 53 }, { z->v6 ? z->cfg.dns6 : z->cfg.dns4, 53 } };

	switch (op & 15) {
	case 0:
	case 1:
	case 2:
	case 3:
		fuzz_segment(z, false);
		break;
	case 4:
		fuzz_segment(z, true);
		break;
	case 5:
		fuzz_raw(z);
		break;
	case 6:
	case 7:
	case 8:
		fuzz_event(z);
		break;
	case 9:
		fuzz_clock(z, fuzz_u16(z));
		break;
	case 10:
		fuzz_clock(z, (int64_t)fuzz_u16(z) << (op >> 3));
		break;
	case 11:
		z->full = !z->full;
		if (!z->full)
			stack_link_ready(z->st);
		break;
	case 12:
		fuzz_dgram(z, &t);
		break;
	case 13:
		z->answer = answers[op >> 6];
		break;
	case 14:
		fuzz_echo(z);
		break;
	default:
		fuzz_flush(z);
	}
	if (z->frames->len > 100 || !(op & 16))
		fuzz_flush(z);
	fuzz_reap(z);
}

static void fuzz_config(struct fuzz *z)
{
	static const uint16_t mtus[] = { 1280, 1500, 9000, 65520 };
	uint32_t b = fuzz_u8(z), more = fuzz_u8(z);
	struct stack_config *c = &z->cfg;

	stack_config_init(c);
	c->v4 = c->v6 = true;
	c->gw_mac = (struct mac){ { 0x52, 0x55, 10, 0, 2, 2 } };
	c->guest_mac = (struct mac){ { 0x52, 0x54, 0, 0x12, 0x34, 0x56 } };
	c->gw4 = fuzz_addr("10.0.2.2");
	c->dns4 = fuzz_addr("10.0.2.3");
	c->guest4 = fuzz_addr("10.0.2.15");
	c->gw6 = fuzz_addr("fd00::2");
	c->dns6 = fuzz_addr("fd00::3");
	c->guest6 = fuzz_addr("fd00::15");
	prefix_parse("10.0.2.0/24", false, &c->net4, NULL, NULL);
	prefix_parse("fd00::/64", false, &c->net6, NULL, NULL);
	c->link.mtu = mtus[b & 3];
	c->link.tso4 = c->link.tso6 = b & 4;
	c->link.lossless = b & 8;
	c->link.guest_queue = b & 16 ? more : 0;
	z->v6 = b & 32;
	if (b & 64)
		c->tune.flush_budget = 1024;
	if (b & 128)
		c->tune.delayed_ack = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz *z = g_new0(struct fuzz, 1);

	z->in = data;
	z->left = size;
	z->now = 1000000;
	frames_host_init(z);
	z->frames = g_ptr_array_new();
	z->gone = g_ptr_array_new();
	fuzz_config(z);
	z->st = stack_new(&z->cfg, &z->host, &z->drops);
	for (int i = 0; z->left && i < FUZZ_OPS; i++)
		fuzz_op(z);
	fuzz_flush(z);
	tcp_conn_drop_all(z->st, R_SHUTDOWN, z->now);
	fuzz_reap(z);
	FUZZ_CHECK(z->given == z->back, "%u connections given, %u came back", z->given, z->back);
	stack_free(z->st);
	g_ptr_array_free(z->frames, TRUE);
	g_ptr_array_free(z->gone, TRUE);
	g_free(z->tx);
	g_free(z);
	return 0;
}
