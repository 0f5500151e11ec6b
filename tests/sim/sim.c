/* sim.c - plays worlds:  sim [-v] SEED [COUNT]  plays COUNT worlds from SEED on; TAP, one line for each hundred.
 *
 * A world ends well when both directions of every connection came over byte by byte, every end was told as what it was, the core's
 * tables are empty, what it was given came back, and no turn of the wheel went without time moving on.
 * A world that ends badly prints what went wrong and the command that plays it again.
 * Below: sim.h.  Above: tests/meson.build.
 */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SIM_STEPS = 400000, /* events in one world */
	SIM_TURNS = 20000,  /* flushes at one moment */
	SIM_GROUP = 100,    /* worlds for each TAP line */
};

static const int64_t SIM_HOURS = 4ll * 3600 * SIM_S; /* virtual time in which every world must have ended */

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

uint8_t sim_byte(uint16_t port, bool to_guest, uint32_t pos)
{
	return (uint8_t)(pos * 167 + (pos >> 8) * 31 + (pos >> 16) * 7 + port + to_guest * 85);
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

static struct addr sim_addr(const char *text)
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

struct endpoint sim_far_end(const struct sim *s)
{
	return (struct endpoint){ sim_addr(s->v6 ? "2001:db8::1" : "192.0.2.1"), 80 };
}

static struct wire_faults sim_faults(struct sim *s, uint32_t kind)
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

static void sim_config(struct sim *s, bool lossy)
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
	c->link.lossless = lossy ? sim_chance(s, 200) : sim_chance(s, 800);
	c->link.guest_queue = sim_chance(s, 100) ? 4 + sim_rand(s, 200) : 0;
	c->key.k[0] = sim_next(s);
	c->key.k[1] = sim_next(s);
	if (sim_chance(s, 300))
		stack_tunable_set(&c->tune, "delayed_ack", sim_time(s, 0, 100 * SIM_MS), &lo, &hi);
	if (sim_chance(s, 200))
		stack_tunable_set(&c->tune, "flush_budget", sim_time(s, 1 << 10, 64 << 10), &lo, &hi);
	if (lossy) { /* a run of losses is no silence here */
		stack_tunable_set(&c->tune, "handshake_timeout", 120ll * SIM_S, &lo, &hi);
		stack_tunable_set(&c->tune, "silent_timeout", 3600ll * SIM_S, &lo, &hi);
		stack_tunable_set(&c->tune, "half_close_timeout", 3600ll * SIM_S, &lo, &hi);
	}
	if (sim_chance(s, 200))
		stack_tunable_set(&c->tune, "max_window", sim_time(s, 65535, 1 << 20), &lo, &hi);
}

static void sim_make(struct sim *s, uint64_t seed, bool verbose)
{
	uint32_t kind;

	*s = (struct sim){ .seed = seed, .rng = seed * 0x2545f4914f6cdd1dull + 1, .verbose = verbose };
	kind = sim_chance(s, 350) ? 0 : sim_chance(s, 600) ? 1 : 2;
	s->started = s->now = sim_time(s, 1, 1ll << 40);
	s->v6 = sim_chance(s, 300);
	sim_config(s, kind != 0);
	wire_init(&s->to_guest, s, &(struct wire_faults){ 0 });
	wire_init(&s->to_core, s, &(struct wire_faults){ 0 });
	s->to_guest.faults = sim_faults(s, kind);
	s->to_core.faults = sim_faults(s, kind);
	s->queue_max = sim_chance(s, 300) ? 1 + sim_rand(s, 30) : 0;
	s->batch_max = sim_chance(s, 500) ? 64 : 1 + sim_rand(s, 8);
	s->turn = g_ptr_array_new();
	s->dead = g_ptr_array_new();
	s->n = 1 + (int)sim_rand(s, SIM_CONNS);
	wire_host_init(s);
	far_host_init(s);
	s->st = stack_new(&s->cfg, &s->host, &s->drops);
	for (int i = 0; i < s->n; i++) {
		bool busy = sim_chance(s, 600);

		s->conn[i].sim = s;
		guest_init(&s->conn[i].guest, &s->conn[i], (uint16_t)(SIM_PORT + i), busy);
		far_init(&s->conn[i].far, &s->conn[i], busy);
	}
}

static void sim_free(struct sim *s)
{
	stack_free(s->st);
	wire_clear(&s->to_guest);
	wire_clear(&s->to_core);
	g_ptr_array_free(s->turn, TRUE);
	g_ptr_array_free(s->dead, TRUE);
	g_free(s->slot);
	g_free(s->fail);
}

/* ---- the wheel */

static void sim_end_turn(struct sim *s)
{
	uint32_t turns = 0;

	do {
		stack_flush(s->st, s->now);
		far_reap(s);
		g_clear_pointer(&s->slot, g_free);
	} while (stack_pending(s->st) && ++turns < SIM_TURNS && !s->fail);
	if (turns >= SIM_TURNS)
		sim_fail(s, "stack_pending() after %u flushes", turns);
	for (guint i = 0; i < s->turn->len; i++)
		g_free(s->turn->pdata[i]);
	g_ptr_array_set_size(s->turn, 0);
}

static const char *sim_seg_text(const struct tcp_seg *seg, char *buf, size_t size)
{
	char flags[8];

	snprintf(buf, size, "%s %u+%u ack %u win %u%s", l4_wire_flags(seg->flags, flags), seg->seq, seg->len, seg->ack, seg->window,
		 seg->n_sack ? " sack" : "");
	return buf;
}

/* A frame that reached the guest's kernel: checks the sums as it would, finds the socket.  False: broken on the wire. */
static bool sim_to_guest(struct sim *s, struct wire_frame *f)
{
	struct eth eth;
	struct ip ip;
	struct tcp_seg seg;
	const uint8_t *l4;
	uint64_t sum;
	char buf[128];
	int i;

	if (eth_wire_parse(f->data, f->len, &eth) || !mac_eq(&eth.dst, &s->cfg.guest_mac))
		return false;
	if (eth.type != (s->v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4) ||
	    ip_wire_parse(f->data + ETH_HDR_LEN, f->len - ETH_HDR_LEN, f->len - ETH_HDR_LEN, s->v6, &ip))
		return false;
	l4 = f->data + ETH_HDR_LEN + ip.hdr_len;
	if (!addr_eq(&ip.dst, s->v6 ? &s->cfg.guest6 : &s->cfg.guest4))
		return false;
	sum = csum_wire_add(l4, ip.payload_len) + (ip.proto == IP_PROTO_ICMP ? 0 : csum_wire_pseudo(&ip.src, &ip.dst, ip.proto, ip.payload_len));
	if (csum_wire_final(sum))
		return false;
	if (ip.proto != IP_PROTO_TCP)
		return true; /* an ICMP error about a SYN: the guest goes on asking, and learns by RST or not at all */
	if (l4_wire_tcp_parse(l4, ip.payload_len, ip.payload_len, &seg))
		return false;
	sim_note(s, "%u gets %s", seg.dport, sim_seg_text(&seg, buf, sizeof(buf)));
	i = seg.dport - SIM_PORT;
	if (i >= 0 && i < s->n)
		guest_in(&s->conn[i].guest, &seg, l4 + seg.hdr_len);
	return true;
}

static void sim_deliver(struct sim *s)
{
	uint32_t n = 0;
	struct wire_frame *f;

	while ((f = wire_pop(&s->to_guest, s->now)) && !s->fail) {
		if (!sim_to_guest(s, f) && !s->to_guest.faults.corrupt)
			sim_fail(s, "a frame of %u bytes that no guest would take", f->len);
		g_free(f);
	}
	if (s->was_full && s->to_guest.frames.length < s->queue_max) {
		s->was_full = false;
		stack_link_ready(s->st);
	}
	while (n < s->batch_max && (f = wire_pop(&s->to_core, s->now))) {
		enum reason r = wire_input(s, f);

		sim_note(s, "core takes %u bytes: %s", f->len, reason_name(r));
		n++;
	}
}

static int64_t sim_next_at(const struct sim *s)
{
	int64_t at = MIN(wire_next(&s->to_guest), wire_next(&s->to_core));

	at = MIN(at, stack_deadline(s->st));
	for (int i = 0; i < s->n; i++) {
		at = MIN(at, guest_next(&s->conn[i].guest));
		at = MIN(at, far_next(&s->conn[i].far));
	}
	return at;
}

static bool sim_all_done(const struct sim *s)
{
	struct stack_stats stats;

	stack_stats(s->st, &stats);
	for (int i = 0; i < s->n; i++)
		if (!guest_done(&s->conn[i].guest))
			return false;
	return !stats.conns && wire_next(&s->to_guest) == SIM_NEVER && wire_next(&s->to_core) == SIM_NEVER;
}

static void sim_step(struct sim *s, int64_t at)
{
	if (at > s->now)
		s->now = at;
	for (int i = 0; i < s->n; i++) {
		guest_tick(&s->conn[i].guest);
		if (s->conn[i].far.flow)
			far_tick(&s->conn[i]);
		far_reap(s);
	}
	sim_deliver(s);
	far_reap(s);
	if (stack_deadline(s->st) <= s->now)
		stack_expire(s->st, s->now);
	sim_end_turn(s);
	if (stack_deadline(s->st) <= s->now)
		sim_fail(s, "a deadline that stays in the past");
}

static void sim_play(struct sim *s)
{
	while (!s->fail && !sim_all_done(s)) {
		int64_t at = sim_next_at(s);

		if (at == SIM_NEVER || at - s->started > SIM_HOURS)
			sim_fail(s, "nothing goes on%s", at == SIM_NEVER ? ": no event is left" : " for hours");
		else if (++s->steps > SIM_STEPS)
			sim_fail(s, "livelock: %d events", SIM_STEPS);
		else
			sim_step(s, at);
	}
}

/* ---- the verdict */

static void sim_judge_conn(struct sim *s, const struct sim_conn *c)
{
	const struct guest *g = &c->guest;
	const struct far *f = &c->far;
	bool guest_aborted = g->abort_at <= s->now && g->state == GUEST_RESET;

	sim_note(s, "%u: guest state %d sent %u/%u got %u fin %d, host got %u, offered %u/%u, why %s, guest timeouts %u, fast %u", g->port,
		 g->state, g->una - g->iss - 1, g->total, g->rcv_nxt - g->irs - 1, g->fin_seen, f->written, f->offered, f->total,
		 reason_name(f->why), g->timeouts, g->fast);
	if (f->dial == FAR_REFUSED || f->dial == FAR_REFUSED_AT_ONCE) {
		if (g->state != GUEST_RESET && g->state != GUEST_IDLE)
			sim_fail(s, "%u refused, but the guest was not told", g->port);
		return;
	}
	if (guest_aborted || f->failed) {
		if (f->gone && f->dial == FAR_CONNECTED && f->why == R_CLOSED && (!f->shut || f->consumed != f->total))
			sim_fail(s, "%u closed in order after a reset, though not all was carried", g->port);
		if (f->dial == FAR_CONNECTED && guest_aborted && !f->aborted && !f->failed && f->why != R_CLOSED)
			sim_fail(s, "%u the guest reset, the far side was not told", g->port);
		return;
	}
	if (f->why == R_HANDSHAKE_TIMEOUT && s->to_core.lost)
		return; /* every ACK of a guest with nothing to say may have been lost */
	if (!f->gone || f->why != R_CLOSED || f->aborted)
		sim_fail(s, "%u ended as %s%s", g->port, f->gone ? reason_name(f->why) : "never", f->aborted ? ", aborted" : "");
	else if (f->written != g->total || !f->shut)
		sim_fail(s, "%u the host got %u of %u bytes", g->port, f->written, g->total);
	else if (g->rcv_nxt - g->irs - 2 != f->total || !g->fin_seen || f->consumed != f->total)
		sim_fail(s, "%u the guest got %u of %u bytes, %u consumed", g->port, g->rcv_nxt - g->irs - 2, f->total, f->consumed);
}

/* Plays one world; NULL, or what went wrong. */
static char *sim_world(uint64_t seed, bool verbose)
{
	struct sim *s = g_new0(struct sim, 1);
	char *fail;

	sim_make(s, seed, verbose);
	sim_play(s);
	for (int i = 0; i < s->n && (!s->fail || verbose); i++)
		sim_judge_conn(s, &s->conn[i]);
	tcp_conn_drop_all(s->st, R_SHUTDOWN, s->now);
	far_reap(s);
	if (s->given != s->gone)
		sim_fail(s, "%u connections given, %u came back", s->given, s->gone);
	sim_end_turn(s);
	fail = g_steal_pointer(&s->fail);
	sim_free(s);
	g_free(s);
	return fail;
}

int main(int argc, char **argv)
{
	bool verbose = argc > 1 && !strcmp(argv[1], "-v");
	uint64_t seed = argc > 1 + verbose ? strtoull(argv[1 + verbose], NULL, 0) : 1;
	uint64_t count = argc > 2 + verbose ? strtoull(argv[2 + verbose], NULL, 0) : 1, bad = 0, bad_here = 0, group = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (uint64_t i = 0; i < count; i++) {
		g_autofree char *fail = sim_world(seed + i, verbose);

		if (fail) {
			bad_here++;
			printf("# seed %" G_GUINT64_FORMAT " %s\n#   again: %s -v %" G_GUINT64_FORMAT "\n", seed + i, fail, argv[0], seed + i);
		}
		if (i + 1 == count || (i + 1) % SIM_GROUP == 0) {
			printf("%s %" G_GUINT64_FORMAT " - worlds up to seed %" G_GUINT64_FORMAT "\n", bad_here ? "not ok" : "ok", ++group,
			       seed + i);
			bad += bad_here;
			bad_here = 0;
		}
	}
	printf("1..%" G_GUINT64_FORMAT "\n", group);
	return bad ? 1 : 0;
}
