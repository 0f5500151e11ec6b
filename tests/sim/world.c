/* world.c - makes a world from its seed, lets time pass in it, and judges it.
 *
 * Below: sim.h.  Above: sim.c, gate.c.
 *
 * prefixes: world_ sim_
 */
#include "slirp/base/bytes.h"
#include "slirp/tcp_open.h"
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	SIM_CONNS_USUAL = 4,
	SIM_QUIET = 5 * SIM_S,	    /* after it no segment of a connection, nor an answer to one, is under way */
	SIM_LEAP_SMALL = 8 * SIM_S, /* a jump of the clock that must end nothing */
};

/* ---- chance, words */

static uint64_t sim_next(struct sim *s)
{
	uint64_t z = s->rng += 0x9e3779b97f4a7c15ull; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint32_t sim_rand(struct sim *s, uint32_t n)
{
	return n ? (uint32_t)(sim_next(s) % n) : 0;
}

uint32_t sim_some(struct sim *s, uint32_t all, uint32_t most)
{
	uint32_t n = 1 + sim_rand(s, most);

	return n < all ? n : all;
}

bool sim_chance(struct sim *s, uint32_t per_mille)
{
	return sim_rand(s, 1000) < per_mille;
}

int64_t sim_time(struct sim *s, int64_t lo, int64_t hi)
{
	return hi > lo ? lo + (int64_t)(sim_next(s) % (uint64_t)(hi - lo + 1)) : lo;
}

uint8_t sim_byte(const struct sim_conn *c, bool to_guest, uint32_t pos)
{
	return (uint8_t)(pos * 167 + (pos >> 8) * 31 + (pos >> 16) * 7 + c->key + to_guest * 85);
}

uint8_t sim_broken_byte(const struct sim_conn *c, bool to_guest, uint32_t pos)
{
	if (c->sim->broken == SIM_LOSES_BYTE && pos >= SIM_BROKEN_AT)
		pos++;
	else if (c->sim->broken == SIM_SWAPS_BYTES && pos / 2 == SIM_BROKEN_AT / 2)
		pos ^= 1;
	return sim_byte(c, to_guest, pos);
}

bool sim_fail(struct sim *s, const char *fmt, ...)
{
	va_list ap;
	g_autofree char *text = NULL;

	if (s->fail)
		return false;
	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	s->fail = g_strdup_printf("at %.6f s: %s", (double)(s->now - s->started) / SIM_S, text);
	return false;
}

void sim_note(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (!s->verbose)
		return;
	printf("# %12.6f ", (double)(s->now - s->started) / SIM_S);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

/* ---- making a world */

struct addr sim_addr(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a, NULL))
		abort();
	return a;
}

struct endpoint sim_guest_end(const struct sim *s, uint16_t port)
{
	return (struct endpoint){ s->v6 ? s->cfg.guest6 : s->cfg.guest4, port };
}

struct endpoint sim_far_end(struct sim *s, uint16_t port)
{
	const struct sim_conn *c = sim_conn_of(s, port);

	if (c && c->seen.port)
		return c->seen;
	return (struct endpoint){ sim_addr(s->v6 ? "2001:db8::1" : "192.0.2.1"), (uint16_t)(port - SIM_PORT + SIM_FAR_PORT) };
}

struct sim_conn *sim_conn_of(struct sim *s, int port)
{
	return port >= SIM_PORT && port < SIM_PORT + s->n ? &s->conn[port - SIM_PORT] : NULL;
}

static struct wire_faults world_faults(struct sim *s, uint32_t kind)
{
	struct wire_faults f = { .delay_max = sim_chance(s, 500) ? 0 : sim_time(s, 0, 5 * SIM_MS) };

	if (sim_chance(s, 200))
		f.delay_min = f.delay_max = sim_time(s, 0, 100 * SIM_MS);
	if (!kind)
		return f;
	f.late_max = sim_time(s, 1, sim_chance(s, 100) ? 2 * SIM_S : 50 * SIM_MS);
	f.lose = sim_rand(s, kind == 1 ? 40 : 200);
	f.repeat = sim_rand(s, kind == 1 ? 20 : 150);
	f.reorder = sim_rand(s, kind == 1 ? 50 : 300);
	f.corrupt = sim_rand(s, kind == 1 ? 20 : 80);
	return f;
}

static void world_config(struct sim *s)
{
	static const uint16_t mtus[] = { 1280, 1500, 1500, 9000, 65520 };
	struct stack_config *c = &s->cfg;
	int64_t lo, hi;

	stack_config_init(c);
	c->v4 = c->v6 = true;
	c->gw_mac = (struct mac){ { 0x52, 0x55, 10, 0, 2, 2 } };
	c->guest_mac = (struct mac){ { 0x52, 0x54, 0, 0x12, 0x34, 0x56 } };
	c->gw4 = sim_addr("10.0.2.2");
	c->dns4 = sim_addr("10.0.2.3");
	c->guest4 = sim_addr("10.0.2.15");
	c->gw6 = sim_addr("fd00::2");
	c->dns6 = sim_addr("fd00::3");
	c->guest6 = sim_addr("fd00::15");
	prefix_parse("10.0.2.0/24", false, &c->net4, NULL, NULL);
	prefix_parse("fd00::/64", false, &c->net6, NULL, NULL);
	c->link.mtu = mtus[sim_rand(s, G_N_ELEMENTS(mtus))];
	c->link.tso4 = c->link.tso6 = sim_chance(s, 400);
	c->link.lossless = s->lossy ? sim_chance(s, 200) : sim_chance(s, 800);
	c->link.guest_queue = sim_chance(s, 100) ? 4 + sim_rand(s, 200) : 0;
	c->key.k[0] = sim_next(s);
	c->key.k[1] = sim_next(s);
	if (sim_chance(s, 300))
		stack_tunable_set(&c->tune, "delayed_ack", sim_time(s, 0, 100 * SIM_MS), &lo, &hi);
	if (sim_chance(s, 200))
		stack_tunable_set(&c->tune, "flush_budget", sim_time(s, 1 << 10, 64 << 10), &lo, &hi);
	if (s->lossy) { /* a run of losses is no silence here */
		stack_tunable_set(&c->tune, "handshake_timeout", 120ll * SIM_S, &lo, &hi);
		stack_tunable_set(&c->tune, "silent_timeout", 3600ll * SIM_S, &lo, &hi);
		stack_tunable_set(&c->tune, "half_close_timeout", 3600ll * SIM_S, &lo, &hi);
	}
	if (sim_chance(s, 200))
		stack_tunable_set(&c->tune, "max_window", sim_time(s, 65535, 1 << 20), &lo, &hi);
}

/* The clock of a host that was suspended, or of a guest that was stopped: everybody is late at once. */
static void world_plan_leap(struct sim *s)
{
	s->leap_at = SIM_NEVER;
	if (!sim_chance(s, 200))
		return;
	s->leap_at = s->now + sim_time(s, 0, 3 * SIM_S);
	s->leap_by = sim_chance(s, 700) ? sim_time(s, 0, SIM_LEAP_SMALL) : sim_time(s, SIM_LEAP_SMALL, 3ll * 3600 * SIM_S);
}

void world_make(struct sim *s, uint64_t seed, bool verbose, enum sim_break broken)
{
	uint32_t kind;

	*s = (struct sim){ .seed = seed, .rng = seed * 0x2545f4914f6cdd1dull + 1, .verbose = verbose, .broken = broken };
	kind = sim_chance(s, 350) ? 0 : sim_chance(s, 600) ? 1 : 2;
	s->lossy = kind != 0;
	s->heavy = kind == 2;
	s->started = s->now = sim_time(s, 1, 1ll << 40);
	s->v6 = sim_chance(s, 300);
	world_config(s);
	world_plan_leap(s);
	wire_init(&s->to_guest, s, &(struct wire_faults){ 0 });
	wire_init(&s->to_core, s, &(struct wire_faults){ 0 });
	s->to_guest.faults = world_faults(s, kind);
	s->to_core.faults = world_faults(s, kind);
	s->alloc_fails = sim_chance(s, 150) ? 1 + sim_rand(s, 300) : 0;
	s->queue_max = sim_chance(s, 300) ? 1 + sim_rand(s, 30) : 0;
	s->batch_max = sim_chance(s, 500) ? 64 : 1 + sim_rand(s, 8);
	s->turn = g_ptr_array_new();
	s->dead = g_ptr_array_new();
	s->leaked = g_ptr_array_new_with_free_func(g_free);
	wire_host_init(s);
}

static void world_live(struct sim_conn *c, uint16_t port)
{
	bool busy = sim_chance(c->sim, 600);

	c->reopen_at = c->in_at = SIM_NEVER;
	c->key = (uint16_t)(port + 77 * c->lives);
	guest_init(&c->guest, c, port, busy);
	far_init(&c->far, c, busy);
}

void world_make_conns(struct sim *s)
{
	s->n = sim_chance(s, 30) ? SIM_CONNS : 1 + (int)sim_rand(s, SIM_CONNS_USUAL);
	for (int i = 0; i < s->n; i++) {
		s->conn[i].sim = s;
		s->conn[i].lives = sim_chance(s, 150) ? 1 + sim_rand(s, 3) : 0;
		world_live(&s->conn[i], (uint16_t)(SIM_PORT + i));
		if (s->gate && sim_chance(s, 300)) {
			s->conn[i].lives = 0;
			s->conn[i].in_at = s->conn[i].guest.open_at;
			s->conn[i].in_hidden = sim_chance(s, 400);
			guest_listen(&s->conn[i].guest);
		}
	}
}

void world_clear(struct sim *s)
{
	wire_clear(&s->to_guest);
	wire_clear(&s->to_core);
	g_ptr_array_free(s->turn, TRUE);
	g_ptr_array_free(s->dead, TRUE);
	g_ptr_array_free(s->leaked, TRUE);
	g_free(s->slot);
	g_free(s->fail);
}

/* ---- what reaches the guest */

static const char *sim_seg_text(const struct tcp_seg *seg, char *buf, size_t size)
{
	char flags[8];

	snprintf(buf, size, "%s %u+%u ack %u win %u%s", l4_wire_flags(seg->flags, flags), seg->seq, seg->len, seg->ack, seg->window,
		 seg->n_sack ? " sack" : "");
	return buf;
}

/* An ICMP unreachable about a SYN ends a connection that is being opened, as in the kernels of guests. */
static void world_icmp(struct sim *s, const uint8_t *p, uint32_t len)
{
	uint32_t ip_len = ip_wire_hdr_len(s->v6);
	struct sim_conn *c;

	if (len < ICMP_HDR_LEN + ip_len + 8 || p[0] != (s->v6 ? ICMP6_UNREACH : ICMP4_UNREACH))
		return;
	p += ICMP_HDR_LEN;
	c = sim_conn_of(s, bytes_get16(p + ip_len));
	sim_note(s, "unreachable, for %u", bytes_get16(p + ip_len));
	if (p[s->v6 ? 6 : 9] == IP_PROTO_TCP && c && bytes_get32(p + ip_len + 4) == c->guest.iss)
		guest_unreachable(&c->guest);
}

/* One peer for a passive guest: the client itself, or the gateway's address where that must not be seen. */
static bool world_from(struct sim_conn *c, const struct endpoint *from)
{
	const struct sim *s = c->sim;

	if (!c->seen.port && c->in_hidden)
		c->seen = (struct endpoint){ s->v6 ? s->cfg.gw6 : s->cfg.gw4, from->port };
	else if (!c->seen.port)
		c->seen = sim_far_end(c->sim, c->guest.port);
	return endpoint_eq(&c->seen, from);
}

/* A frame that reached the guest's kernel: checks the sums as it would, finds the socket.  False: broken on the wire. */
bool world_to_guest(struct sim *s, struct wire_frame *f)
{
	struct eth eth;
	struct ip ip;
	struct tcp_seg seg;
	const uint8_t *l4;
	uint64_t sum;
	char buf[128];
	struct sim_conn *c;

	if (s->local && s->local(s, f))
		return true;
	if (eth_wire_parse(f->data, f->len, &eth) || !mac_eq(&eth.dst, &s->cfg.guest_mac))
		return false;
	if (eth.type != (s->v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4) ||
	    ip_wire_parse(f->data + ETH_HDR_LEN, f->len - ETH_HDR_LEN, f->len - ETH_HDR_LEN, s->v6, &ip))
		return false;
	l4 = f->data + ETH_HDR_LEN + ip.hdr_len;
	if (!addr_eq(&ip.dst, s->v6 ? &s->cfg.guest6 : &s->cfg.guest4))
		return false;
	if (s->other && (ip.is_fragment || ip.proto != IP_PROTO_TCP) && s->other(s, &ip, l4))
		return true;
	sum = csum_wire_add(l4, ip.payload_len) + (ip.proto == IP_PROTO_ICMP ? 0 : csum_wire_pseudo(&ip.src, &ip.dst, ip.proto, ip.payload_len));
	if (csum_wire_final(sum))
		return false;
	if (ip.proto != IP_PROTO_TCP) {
		world_icmp(s, l4, ip.payload_len);
		return true;
	}
	if (l4_wire_tcp_parse(l4, ip.payload_len, ip.payload_len, &seg))
		return false;
	sim_note(s, "%u gets %s", seg.dport, sim_seg_text(&seg, buf, sizeof(buf)));
	c = sim_conn_of(s, seg.dport);
	if (c && c->guest.passive && !world_from(c, &(struct endpoint){ ip.src, seg.sport }))
		return sim_fail(s, "%u gets a segment of somebody else's", seg.dport);
	if (c)
		guest_in(&c->guest, &seg, l4 + seg.hdr_len);
	return true;
}

/* ---- the verdict */

/* A run of losses, or a jump of the clock, may look like a guest that is gone. */
static bool world_may_be_silent(const struct sim *s, enum reason why)
{
	bool jumped = s->leapt && s->leap_by > SIM_LEAP_SMALL;

	if (why == R_HANDSHAKE_TIMEOUT)
		return jumped || s->to_core.lost; /* every ACK of a guest with nothing to say may have been lost */
	if (s->gate && why == R_GUEST_SILENT) /* gate_tcp.c cannot tell which kind of silence it was; idle, it makes room where something is short */
		return jumped || s->heavy || s->to_core.lost || s->to_guest.lost || s->faults;
	return (why == R_GUEST_SILENT || why == R_HALF_CLOSE_TIMEOUT) && jumped;
}

/* Told to go, before it was ever open, because descriptors or memory were short at one of its SYNs. */
static bool world_may_lack(const struct sim *s, const struct sim_conn *c)
{
	return s->faults && !c->far.live && c->guest.state == GUEST_RESET && !c->guest.rcv_nxt;
}

static void world_judge_conn(struct sim *s, struct sim_conn *c)
{
	const struct guest *g = &c->guest;
	const struct far *f = &c->far;
	bool guest_aborted = g->abort_at <= s->now && g->state == GUEST_RESET;

	sim_note(s, "%u: guest state %d sent %u/%u got %u fin %d, host got %u, offered %u/%u, why %s, guest timeouts %u, fast %u", g->port,
		 g->state, g->una - g->iss - 1, g->total, g->rcv_nxt - g->irs - 1, g->fin_seen, f->written, f->offered, f->total,
		 reason_name(f->why), g->timeouts, g->fast);
	if (world_may_lack(s, c))
		return;
	if (f->dial == FAR_REFUSED || f->dial == FAR_REFUSED_AT_ONCE) {
		if (g->state != GUEST_RESET && g->state != GUEST_IDLE)
			sim_fail(s, "%u refused, but the guest was not told", g->port);
		else if (!guest_aborted && g->by_icmp != (tcp_open_answer(f->refusal) != TCP_ANSWER_RST))
			sim_fail(s, "%u refused as %s, the guest was told by %s", g->port, reason_name(f->refusal), g->by_icmp ? "ICMP" : "RST");
		return;
	}
	if (g->passive && g->state < GUEST_OPEN && f->gone)
		return; /* gate_in.c looks at it */
	if (guest_aborted || f->failed) {
		if (f->gone && f->dial == FAR_CONNECTED && f->why == R_CLOSED && (!f->shut || f->consumed != f->total))
			sim_fail(s, "%u closed in order after a reset, though not all was carried", g->port);
		if (f->dial == FAR_CONNECTED && guest_aborted && !f->aborted && !f->failed && f->why != R_CLOSED)
			sim_fail(s, "%u the guest reset, the far side was not told", g->port);
		return;
	}
	if (f->gone && world_may_be_silent(s, f->why) && (g->state == GUEST_RESET || guest_done(g))) {
		s->silent++;
		return;
	}
	if (!f->gone || f->why != R_CLOSED || f->aborted)
		sim_fail(s, "%u ended as %s%s", g->port, f->gone ? reason_name(f->why) : "never", f->aborted ? ", aborted" : "");
	else if (f->written != g->total || !f->shut)
		sim_fail(s, "%u the host got %u of %u bytes", g->port, f->written, g->total);
	else if (g->rcv_nxt - g->irs - 2 != f->total || !g->fin_seen || f->consumed != f->total)
		sim_fail(s, "%u the guest got %u of %u bytes, %u consumed", g->port, g->rcv_nxt - g->irs - 2, f->total, f->consumed);
	s->clean++;
}

void world_judge(struct sim *s)
{
	for (int i = 0; i < s->n && (!s->fail || s->verbose); i++)
		world_judge_conn(s, &s->conn[i]);
}

/* ---- time */

/* This life has ended, another one is to come and not planned yet. */
static bool world_is_over(const struct sim_conn *c)
{
	return c->lives && c->reopen_at == SIM_NEVER && guest_done(&c->guest) && !c->far.live;
}

int64_t world_next(const struct sim *s)
{
	int64_t at = s->leap_at;

	for (int i = 0; i < s->n; i++) {
		at = MIN(at, guest_next(&s->conn[i].guest));
		at = MIN(at, far_next(&s->conn[i].far));
		at = MIN(at, world_is_over(&s->conn[i]) ? s->now : s->conn[i].reopen_at);
	}
	return at;
}

void world_step_to(struct sim *s, int64_t at)
{
	if (at > s->now)
		s->now = at;
	if (s->leap_at > s->now)
		return;
	s->leap_at = SIM_NEVER;
	s->leapt = true;
	s->now += s->leap_by;
	for (int i = 0; i < s->n; i++)
		if (s->conn[i].reopen_at != SIM_NEVER)
			s->conn[i].reopen_at = s->now + SIM_QUIET; /* what was under way then comes only now */
	sim_note(s, "the clock jumps by %.3f s", (double)s->leap_by / SIM_S);
}

/* The same ports again: what the last life was is judged, then all but its clock begins anew. */
static void world_reopen(struct sim_conn *c)
{
	struct sim *s = c->sim;
	uint32_t end = c->guest.max, ts_base = c->guest.ts_base;

	world_judge_conn(s, c);
	c->lives--;
	c->reborn = true;
	world_live(c, c->guest.port);
	c->guest.iss = end + (1u << 21) + sim_rand(s, 1u << 20); /* RFC 9293 3.4.1: its clock has gone on; old segments lie behind */
	c->guest.ts_base = ts_base;
	c->guest.una = c->guest.nxt = c->guest.max = c->guest.iss;
}

void world_tick(struct sim *s)
{
	for (int i = 0; i < s->n; i++) {
		struct sim_conn *c = &s->conn[i];

		guest_tick(&c->guest);
		if (c->far.live)
			far_tick(c);
		if (world_is_over(c))
			c->reopen_at = s->now + sim_time(s, SIM_QUIET, sim_chance(s, 500) ? SIM_QUIET : 90 * SIM_S);
		if (c->reopen_at != SIM_NEVER && c->far.live)
			c->reopen_at = SIM_NEVER; /* a SYN sent twice, that was long under way, came behind the end: not over yet */
		if (c->reopen_at <= s->now)
			world_reopen(c);
	}
}

bool world_conns_done(const struct sim *s)
{
	for (int i = 0; i < s->n; i++)
		if (!guest_done(&s->conn[i].guest) || s->conn[i].lives || s->conn[i].far.live)
			return false;
	return wire_next(&s->to_guest) == SIM_NEVER && wire_next(&s->to_core) == SIM_NEVER;
}
