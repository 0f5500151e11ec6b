/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * library_guest.c - the guest of bench-library, in user space.
 *
 * ARP answers, and a TCP (RFC 9293) with MSS, window scaling and an
 * acknowledgement per second frame, as a kernel without GRO has it.  What
 * arrives is not copied, what is sent is one and the same payload, whose sum is
 * known: the consumer is to cost little and the same for every library.  A library
 * may answer from inside input(): state is brought up to date before a frame goes.  Every
 * 64th frame that arrives is checked.  Nothing is expected to be lost; 20 ms of
 * a stream without progress, 300 ms of others, resend the first segment.
 */
#include "tests/bench/library.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum {
	ETH = 14, IP = 20, TCP = 20, HEADS = ETH + IP + TCP,
	FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16,
	RESEND_NS = 300 * 1000 * 1000,
	RESEND_DATA_NS = 20 * 1000 * 1000,
	CHECK_EVERY = 64,
};

static const uint8_t mac_ours[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
static const uint8_t mac_theirs[6] = { 0x52, 0x55, 10, 0, 2, 2 };
static const uint8_t ip_ours[4] = { 10, 0, 2, 15 };
static const uint8_t ip_theirs[4] = { 10, 0, 2, 2 };

struct guest guest;
static uint8_t out[HEADS + PAYLOAD_MAX];
static char out_kind;			/* what the payload consists of */
static uint32_t out_sum_len;		/* the payload length whose sum is known */
static uint64_t out_sum;

/* ---- bytes */

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, 4);
}

static uint32_t get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return ntohl(v);
}

/* 16-bit words in network order; at an even offset. */
static uint64_t sum(const uint8_t *p, size_t len)
{
	uint64_t s = 0;

	for (; len > 1; p += 2, len -= 2)
		s += get16(p);
	return len ? s + (p[0] << 8) : s;
}

static uint16_t fold(uint64_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static uint64_t payload_sum(char kind, uint32_t len)
{
	if (out_kind != kind) {
		memset(out + HEADS, kind, PAYLOAD_MAX);
		out_kind = kind;
		out_sum_len = 0;
	}
	if (out_sum_len != len) {
		out_sum = sum(out + HEADS, len);
		out_sum_len = len;
	}
	return out_sum;
}

/* ---- frames out */

static void ether(uint8_t *f, uint16_t type)
{
	memcpy(f, mac_theirs, 6);
	memcpy(f + 6, mac_ours, 6);
	put16(f + 12, type);
}

static void frame_out(const uint8_t *f, uint32_t len)
{
	guest.frames_out++;
	guest.input(f, len);
}

/* A segment whose options, if any, and payload stand behind the headers already. */
static void segment(uint8_t *f, const struct peer *p, uint32_t seq, uint32_t ack, int flags, uint32_t options, uint32_t len, uint64_t behind)
{
	uint8_t *ip = f + ETH, *tcp = ip + IP;
	uint32_t l4 = TCP + options + len, shift = p->scaled && !(flags & SYN) ? WINDOW_SHIFT : 0;

	ether(f, 0x0800);
	memset(ip, 0, IP + TCP);
	ip[0] = 0x45;
	put16(ip + 2, IP + l4);
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, ip_ours, 4);
	memcpy(ip + 16, ip_theirs, 4);
	put16(ip + 10, ~fold(sum(ip, IP)));
	put16(tcp, p->lport);
	put16(tcp + 2, p->rport);
	put32(tcp + 4, seq);
	put32(tcp + 8, flags & ACK ? ack : 0);
	tcp[12] = (TCP + options) / 4 << 4;
	tcp[13] = flags;
	put16(tcp + 14, shift ? 0xffff : 0xfff0);
	put16(tcp + 16, ~fold(sum(ip + 12, 8) + 6 + l4 + sum(tcp, TCP) + behind));
	frame_out(f, ETH + IP + l4);
}

static void control(const struct peer *p, uint32_t seq, uint32_t ack, int flags)
{
	uint8_t f[HEADS];

	segment(f, p, seq, ack, flags, 0, 0, 0);
}

static void send_syn(struct peer *p)
{
	uint8_t f[HEADS + 8], *o = f + HEADS;

	o[0] = 2;			/* MSS */
	o[1] = 4;
	put16(o + 2, guest.mtu - IP - TCP);
	o[4] = 1;			/* no operation */
	o[5] = 3;			/* window scale */
	o[6] = 3;
	o[7] = WINDOW_SHIFT;
	p->nxt = p->una + 1;
	segment(f, p, p->una, 0, SYN, 8, 0, sum(o, 8));
}

static void send_arp(int op, const uint8_t *to_mac, const uint8_t *to_ip)
{
	uint8_t f[ETH + 28], *a = f + ETH;
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	ether(f, 0x0806);
	memcpy(f, op == 1 ? all : to_mac, 6);
	memcpy(a, (uint8_t[]){ 0, 1, 8, 0, 6, 4, 0, op }, 8);
	memcpy(a + 8, mac_ours, 6);
	memcpy(a + 14, ip_ours, 4);
	memcpy(a + 18, to_mac, 6);
	memcpy(a + 24, to_ip, 4);
	frame_out(f, sizeof(f));
}

/* ---- connections */

static void touch(struct peer *p)
{
	if (p->queued)
		return;
	p->queued = true;
	p->next = guest.todo;
	guest.todo = p;
}

struct peer *peer_open(char kind)
{
	struct peer *p = calloc(1, sizeof(*p));
	unsigned tries = 0;

	do {
		p->lport = PORT_FIRST + guest.opened % (PORT_LAST - PORT_FIRST);
		p->rport = guest.port + guest.opened / 16 % guest.ports;
		guest.opened++;
	} while (guest.by_port[p->lport] && ++tries < 65536);
	p->kind = kind;
	p->una = p->nxt = guest.opened * 64013u;
	p->mss = guest.mtu - IP - TCP;
	p->start = p->moved = now_ns();
	guest.by_port[p->lport] = p;
	send_syn(p);
	return p;
}

bool peer_send(struct peer *p, uint32_t len)
{
	uint32_t flying = p->nxt - p->una, room = p->wnd < SEND_AHEAD ? p->wnd : SEND_AHEAD;

	if (p->state != PEER_UP || p->fin_sent || flying + len > room)
		return false;
	if (!flying)
		p->moved = now_ns();
	p->nxt += len;
	p->acks = 0;
	p->odd = false;
	segment(out, p, p->nxt - len, p->rcv, ACK | PSH, 0, len, payload_sum(p->kind, len));
	return true;
}

bool peer_stream(struct peer *p)
{
	uint32_t len = p->mss < p->wnd_max / 2 ? p->mss : p->wnd_max / 2, bytes = 0;

	for (int i = 0; i < BURST_FRAMES && bytes < BURST_BYTES; i++, bytes += len) {
		bool rest = p->nxt == p->una && p->wnd && p->wnd < len; /* nothing is on its way that could open the window */

		if (!peer_send(p, rest ? p->wnd : len))
			return false;
	}
	return true;
}

bool peer_is_shut(const struct peer *p)
{
	return p->state == PEER_UP && p->nxt == p->una && !p->wnd;
}

void peer_probe(struct peer *p)
{
	guest.probes++;
	p->wnd = 1;
	peer_send(p, 1);
	if (p->nxt == p->una)
		return;
	p->nxt = p->una; /* not taken: it goes again with what follows */
	if (p->wnd == 1)
		p->wnd = 0;
}

void peer_fin(struct peer *p)
{
	if (p->fin_sent || p->state != PEER_UP)
		return;
	p->nxt++;
	p->fin_sent = true;
	p->state = PEER_CLOSING;
	control(p, p->nxt - 1, p->rcv, FIN | ACK);
}

void peer_forget(struct peer *p)
{
	guest.by_port[p->lport] = NULL;
	p->state = PEER_OVER;
	touch(p);			/* freed by guest_turn() */
}

void peer_reset(struct peer *p)
{
	control(p, p->nxt, p->rcv, RST | ACK);
	peer_forget(p);
}

/* ---- frames in */

static void read_options(struct peer *p, const uint8_t *o, const uint8_t *end, uint32_t *shift)
{
	while (o + 1 < end && *o) {
		if (*o == 1) {
			o++;
			continue;
		}
		if (o[1] < 2 || o + o[1] > end)
			return;
		if (o[0] == 2 && get16(o + 2) < p->mss)
			p->mss = get16(o + 2);
		if (o[0] == 3) {
			p->scaled = true;
			*shift = o[2];
		}
		o += o[1];
	}
}

static void note_ack(struct peer *p, uint32_t ack, uint32_t wnd)
{
	p->wnd = wnd;
	if (wnd > p->wnd_max)
		p->wnd_max = wnd;
	if ((int32_t)(ack - p->una) > 0 && (int32_t)(p->nxt - ack) >= 0) {
		p->una = ack;
		p->moved = now_ns();
	}
}

static void owe(struct peer *p)
{
	p->odd = !p->odd;
	if (p->odd)
		return;
	if (p->acks == BURST_FRAMES)
		p->acks--;
	p->ack_due[p->acks++] = p->rcv;
}

static uint32_t their_shift[65536];

static void established(struct peer *p, const uint8_t *tcp, uint32_t heads, uint32_t seq, uint32_t ack, int flags)
{
	uint32_t shift = 0;

	if (!(flags & SYN) || ack != p->nxt)
		return;
	read_options(p, tcp + TCP, tcp + heads, &shift);
	their_shift[p->lport] = shift;
	p->una = ack;
	p->rcv = seq + 1;
	p->wnd = p->wnd_max = get16(tcp + 14);
	p->state = PEER_UP;
	p->ack_due[p->acks++] = p->rcv;
}

static void guest_tcp(const uint8_t *ip, uint32_t len)
{
	const uint8_t *tcp = ip + IP;
	uint32_t heads = tcp[12] >> 4 << 2, seq = get32(tcp + 4), ack = get32(tcp + 8), pl = len - IP - heads;
	int flags = tcp[13];
	struct peer *p = guest.by_port[get16(tcp + 2)];

	if (!p || p->rport != get16(tcp))
		return;
	touch(p);
	if (flags & RST) {
		guest.refused++;
		peer_forget(p);
		return;
	}
	if (p->state == PEER_SYN) {
		established(p, tcp, heads, seq, ack, flags);
		return;
	}
	note_ack(p, ack, get16(tcp + 14) << their_shift[p->lport]);
	if (!pl && !(flags & FIN))
		return;
	if (seq != p->rcv) {
		guest.disorder++;
		p->ack_due[p->acks ? p->acks - 1 : p->acks++] = p->rcv;
		return;
	}
	p->rcv += pl;
	p->got += pl;
	if (flags & FIN) {
		p->rcv++;
		p->fin_seen = true;
		p->odd = true;
	}
	owe(p);
}

static void check(const uint8_t *ip, uint32_t len)
{
	if (fold(sum(ip, IP)) != 0xffff || fold(sum(ip + 12, 8) + 6 + len - IP + sum(ip + IP, len - IP)) != 0xffff)
		guest.bad++;
}

void guest_frame(const uint8_t *f, size_t size)
{
	const uint8_t *ip = f + ETH;
	uint32_t len;

	if (size >= ETH + 28 && get16(f + 12) == 0x0806) {
		if (get16(ip + 6) == 1 && !memcmp(ip + 24, ip_ours, 4))
			send_arp(2, ip + 8, ip + 14);
		return;
	}
	len = size >= HEADS && get16(f + 12) == 0x0800 ? get16(ip + 2) : 0;
	if (len < IP + TCP || len > size - ETH || ip[0] != 0x45 || ip[9] != 6)
		return;
	if (!(guest.frames_in++ % CHECK_EVERY))
		check(ip, len);
	guest_tcp(ip, len);
}

/* ---- turns */

static void acknowledge(struct peer *p)
{
	uint32_t due[BURST_FRAMES + 1];
	int n = p->acks;

	memcpy(due, p->ack_due, sizeof(*due) * n);
	if (p->odd)
		due[n++] = p->rcv;
	p->acks = 0;
	p->odd = false;
	for (int i = 0; i < n; i++)
		control(p, p->nxt, due[i], ACK);
}

static void resend(struct peer *p)
{
	if (p->nxt == p->una || now_ns() - p->moved < (p->kind == 'T' ? RESEND_DATA_NS : RESEND_NS))
		return;
	guest.resent++;
	p->moved = now_ns();
	if (p->state == PEER_SYN) {
		send_syn(p);
	} else if (p->fin_sent) {
		control(p, p->nxt - 1, p->rcv, FIN | ACK);
	} else {
		uint32_t len = p->nxt - p->una;

		p->nxt = p->una;
		p->wnd = p->wnd > len ? p->wnd : len;
		peer_send(p, len < p->mss ? len : p->mss);
	}
}

void guest_turn(void)
{
	static int64_t looked;
	struct peer *p = guest.todo, *next;

	guest.todo = NULL;
	for (; p; p = next) {
		next = p->next;
		p->queued = false;
		if (p->state == PEER_OVER) {
			free(p);
			continue;
		}
		guest.event(p);		/* data it sends acknowledges too */
		if (p->state != PEER_OVER)
			acknowledge(p);
		if (p->fin_seen && p->fin_sent && p->una == p->nxt && p->state != PEER_OVER)
			peer_forget(p);
	}
	if (now_ns() - looked < RESEND_DATA_NS / 2)
		return;
	looked = now_ns();
	for (int i = PORT_FIRST; i < PORT_LAST; i++) {
		if (guest.by_port[i])
			resend(guest.by_port[i]);
	}
}

void guest_begin(uint32_t mtu, int port, int ports, void (*input)(const uint8_t *, int), void (*event)(struct peer *))
{
	guest.mtu = mtu;
	guest.port = port;
	guest.ports = ports;
	guest.input = input;
	guest.event = event;
	send_arp(1, (const uint8_t[6]){ 0 }, ip_theirs);
}
