/* ip_frag_test.c - reassembly beside its twin, a map of bytes for each packet, on seeded random fragments and a fake clock. */
#include "slirp/ip_frag.h"
#include "slirp/base/timerq.h"
#include "tests/unit/naive.h"

#include <string.h>

enum { SETS = 6, PIECES = 12, PACKET_MAX = 2048, POOL = 64, IDS = 9, STEPS = 60000, SECOND = 1000000 };

/* One fragment, as the guest sends it. */
struct shard {
	struct ip ip;
	uint8_t *data; /* ip.payload_len bytes */
};

/* What the twin knows of one packet. */
struct twin_set {
	bool used;
	enum reason dead;
	struct ip first; /* of the fragment at 0 */
	struct ip key;
	int64_t born;
	uint32_t total, have, n;
	uint8_t byte[PACKET_MAX];
	bool held[PACKET_MAX];
	uint32_t len_at[PACKET_MAX]; /* length of the fragment that begins here, or 0 */
};

struct bench {
	struct stack_config cfg;
	struct reason_tally drops, twin_drops;
	struct ip_frag t;
	struct twin_set *sets; /* SETS */
	int64_t now;
	GRand *rand;
	uint32_t whole, late, seen[R_COUNT];
};

static void bench_init(struct bench *b, uint32_t seed)
{
	memset(b, 0, sizeof(*b));
	stack_config_init(&b->cfg);
	b->cfg.key = (struct siphash_key){ { seed, 7 } };
	b->cfg.tune.frag_sets_max = SETS;
	b->cfg.tune.frag_pieces_max = PIECES;
	b->now = 1;
	b->rand = g_rand_new_with_seed(seed);
	g_assert_true(ip_frag_init(&b->t, &b->cfg, &b->drops));
	b->sets = g_new0(struct twin_set, SETS);
}

static void bench_clear(struct bench *b)
{
	ip_frag_clear(&b->t);
	g_assert_cmpuint(b->t.bytes, ==, 0);
	g_rand_free(b->rand);
	g_free(b->sets);
}

/* ---- the twin */

static int64_t twin_end(const struct bench *b, const struct twin_set *s)
{
	return s->born + (s->key.v6 ? b->cfg.tune.frag_timeout6 : b->cfg.tune.frag_timeout4);
}

static void twin_drop(struct bench *b, struct twin_set *s, enum reason why)
{
	if (!s->dead && why)
		b->twin_drops.n[why]++;
	memset(s, 0, sizeof(*s));
}

static void twin_expire(struct bench *b)
{
	for (int i = 0; i < SETS; i++)
		if (b->sets[i].used && twin_end(b, &b->sets[i]) <= b->now)
			twin_drop(b, &b->sets[i], R_FRAG_TIMEOUT);
}

static int64_t twin_deadline(const struct bench *b)
{
	int64_t at = TIMERQ_NEVER;

	for (int i = 0; i < SETS; i++)
		if (b->sets[i].used)
			at = MIN(at, twin_end(b, &b->sets[i]));
	return at;
}

static bool twin_same(const struct ip *x, const struct ip *y)
{
	return x->v6 == y->v6 && x->id == y->id && addr_eq(&x->src, &y->src) && addr_eq(&x->dst, &y->dst) &&
	       (x->v6 || x->proto == y->proto);
}

static struct twin_set *twin_find(struct bench *b, const struct ip *ip)
{
	struct twin_set *empty = NULL, *oldest = &b->sets[0];

	for (int i = 0; i < SETS; i++) {
		struct twin_set *s = &b->sets[i];

		if (s->used && twin_same(&s->key, ip))
			return s;
		if (!s->used)
			empty = s;
		if (s->born < oldest->born)
			oldest = s;
	}
	if (!empty) {
		twin_drop(b, oldest, R_FRAG_EVICTED);
		empty = oldest;
	}
	empty->used = true;
	empty->key = *ip;
	empty->born = b->now;
	return empty;
}

static enum reason twin_judge(const struct twin_set *s, const struct shard *f)
{
	uint32_t off = f->ip.frag_off, len = f->ip.payload_len, end = off + len, overlap = 0, behind = 0;
	bool last = !f->ip.more_frags;

	for (uint32_t i = 0; i < PACKET_MAX; i++) {
		overlap += i >= off && i < end && s->held[i];
		behind += i >= end && s->held[i];
	}
	if (s->total && (last ? end != s->total : end >= s->total))
		return R_FRAG_OVERLAP;
	if (last && behind)
		return R_FRAG_OVERLAP;
	if (s->len_at[off] == len && !memcmp(s->byte + off, f->data, len))
		return last && !s->total ? R_FRAG_OVERLAP : R_FRAG_DUPLICATE;
	if (overlap)
		return R_FRAG_OVERLAP;
	return s->n == PIECES ? R_FRAG_TOO_MANY : R_ACCEPTED;
}

/* *ret_whole: the packet is whole, and lies in the set, which the caller drops. */
static enum reason twin_add(struct bench *b, const struct shard *f, struct twin_set **ret_whole)
{
	struct twin_set *s = twin_find(b, &f->ip);
	uint32_t off = f->ip.frag_off, len = f->ip.payload_len;
	enum reason r;

	*ret_whole = NULL;
	if (s->dead)
		return s->dead;
	r = twin_judge(s, f);
	if (r == R_FRAG_OVERLAP || r == R_FRAG_TOO_MANY)
		s->dead = r;
	if (r)
		return r;
	memcpy(s->byte + off, f->data, len);
	memset(s->held + off, 1, len);
	s->len_at[off] = len;
	s->have += len;
	s->n++;
	if (!off)
		s->first = f->ip;
	if (!f->ip.more_frags)
		s->total = off + len;
	if (s->have == s->total)
		*ret_whole = s;
	return R_ACCEPTED;
}

/* ---- what the guest sends */

/* Adds the fragments of one packet of `len` bytes to the pool, each in [1, most] units of 8. */
static void shard_packet(struct bench *b, GPtrArray *pool, uint32_t len, int most)
{
	bool v6 = g_rand_boolean(b->rand);
	static const uint8_t guest[16] = { 0xfd, [12] = 10, 0, 2, 15 };
	uint8_t far[16] = { 0x20, 1, [15] = (uint8_t)g_rand_int_range(b->rand, 1, 3) }, *data = g_malloc(len);
	struct ip ip = { .v6 = v6, .src = addr_from_v6(guest), .dst = v6 ? addr_from_v6(far) : addr_from_v4(far + 12), .is_fragment = true,
			 .proto = g_rand_int_range(b->rand, 0, 5) ? IP_PROTO_UDP : v6 ? IP_PROTO_ICMPV6 : IP_PROTO_ICMP,
			 .hop_limit = (uint8_t)g_rand_int_range(b->rand, 1, 256), .id = (uint32_t)g_rand_int_range(b->rand, 0, IDS) };

	if (!v6)
		ip.src = addr_from_v4(guest + 12);
	ip.hdr_len = ip_wire_hdr_len(v6) + (v6 ? IP6_FRAG_LEN : 0);
	fill_random(b->rand, data, len);
	data[0] = 8; /* as ICMP it is an echo request in neither family, but never neighbour discovery */
	for (uint32_t at = 0; at < len;) {
		struct shard *f = g_new0(struct shard, 1);
		uint32_t n = 8 * (uint32_t)g_rand_int_range(b->rand, 1, most + 1);

		n = MIN(n, len - at);
		if (!at && n == len)
			n = 8;
		f->ip = ip;
		f->ip.frag_off = (uint16_t)at;
		f->ip.payload_len = n;
		f->ip.more_frags = at + n < len;
		f->data = g_memdup2(data + at, n);
		g_ptr_array_add(pool, f);
		at += n;
	}
	g_free(data);
}

static void shard_free(struct shard *f)
{
	g_free(f->data);
	g_free(f);
}

/* Now and then something is wrong with a fragment: other bytes, shorter, begun earlier, said to be the last or not to be. */
static void shard_bend(struct bench *b, struct shard *f)
{
	switch (g_rand_int_range(b->rand, 0, 60)) {
	case 0:
		f->data[f->ip.payload_len - 1] ^= 1;
		break;
	case 1:
		if (f->ip.payload_len > 8)
			f->ip.payload_len = 8;
		break;
	case 2:
		if (f->ip.frag_off > 8)
			f->ip.frag_off -= 8;
		break;
	case 3:
		if (f->ip.frag_off)
			f->ip.more_frags = false;
		break;
	case 4:
		f->ip.more_frags = true;
		f->ip.payload_len = f->ip.payload_len > 7 ? f->ip.payload_len & ~7u : f->ip.payload_len;
		break;
	default:
		break;
	}
	if (f->ip.more_frags && f->ip.payload_len % 8)
		f->ip.more_frags = f->ip.frag_off == 0;
}

/* Gives one fragment to the code under test, in memory that is gone afterwards. */
static enum reason shard_give(struct bench *b, const struct shard *f, struct frame *ret)
{
	uint32_t len = f->ip.payload_len, head = (uint32_t)g_rand_int_range(b->rand, (int)MIN(len, 20u), (int)len + 1);
	uint32_t mid = head + (uint32_t)g_rand_int_range(b->rand, 0, (int)(len - head) + 1);
	uint8_t *parts[3] = { exact(f->data, head), exact(f->data + head, mid - head), exact(f->data + mid, len - mid) };
	struct iovec rest[2] = { { parts[1], mid - head }, { parts[2], len - mid } };
	struct payload p = { .head = parts[0], .head_len = head, .rest = rest, .n_rest = 2, .len = len };
	enum reason r = ip_frag_add(&b->t, &f->ip, &p, b->now, ret);

	for (int i = 0; i < 3; i++)
		free(parts[i]);
	return r;
}

static void check_whole(const struct twin_set *s, const struct frame *f)
{
	struct ip ip;
	uint32_t len = f->head_len - ETH_HDR_LEN;

	g_assert_cmpint(ip_wire_parse(f->head + ETH_HDR_LEN, len, len, s->first.v6, &ip), ==, R_ACCEPTED);
	g_assert_false(ip.is_fragment);
	g_assert_false(f->csum_ok);
	g_assert_true(twin_same(&s->first, &ip) || ip.v6); /* IPv6 has no identification any more */
	g_assert_true(addr_eq(&s->first.src, &ip.src) && addr_eq(&s->first.dst, &ip.dst));
	g_assert_cmpuint(ip.proto, ==, s->first.proto);
	g_assert_cmpuint(ip.hop_limit, ==, s->first.hop_limit);
	g_assert_cmpuint(ip.payload_len, ==, s->total);
	g_assert_cmpint(memcmp(f->head + ETH_HDR_LEN + ip.hdr_len, s->byte, s->total), ==, 0);
}

/* Those whose first fragment came are told about, each once, with its first bytes. */
static void check_expire(struct bench *b)
{
	struct ip_frag_late late;
	uint32_t want = 0, n = 0;

	for (int i = 0; i < SETS; i++)
		want += b->sets[i].used && twin_end(b, &b->sets[i]) <= b->now && !b->sets[i].dead && b->sets[i].held[0];
	while (ip_frag_expire(&b->t, b->now, &late)) {
		const struct twin_set *s = twin_find(b, &late.ip);

		g_assert_true(s->held[0] && !s->dead && twin_end(b, s) <= b->now);
		g_assert_cmpmem(late.l4, sizeof(late.l4), s->byte, sizeof(late.l4));
		g_assert_true(late.ip.is_fragment && !late.ip.frag_off && late.ip.payload_len == s->first.payload_len);
		n++;
	}
	g_assert_cmpuint(n, ==, want);
	b->late += n;
	twin_expire(b);
}

static void check_step(struct bench *b, const struct shard *f)
{
	struct twin_set *whole;
	struct frame frame;
	enum reason want, got;

	b->now += g_rand_int_range(b->rand, 0, 40) ? 1 : g_rand_int_range(b->rand, 0, 20) * SECOND + 1;
	check_expire(b);
	want = twin_add(b, f, &whole);
	got = shard_give(b, f, &frame);
	if (want != got)
		g_error("%s, the twin says %s", reason_name(got), reason_name(want));
	b->seen[got]++;
	g_assert_true(!!frame.head == !!whole);
	if (whole) {
		check_whole(whole, &frame);
		whole->dead = R_ACCEPTED;
		twin_drop(b, whole, R_ACCEPTED);
		b->whole++;
	}
	g_assert_cmpint(ip_frag_deadline(&b->t), ==, twin_deadline(b));
	g_assert_cmpint(b->drops.n[R_FRAG_EVICTED], ==, b->twin_drops.n[R_FRAG_EVICTED]);
	g_assert_cmpint(b->drops.n[R_FRAG_TIMEOUT], ==, b->twin_drops.n[R_FRAG_TIMEOUT]);
	g_assert_cmpuint(b->t.bytes, <=, b->cfg.tune.frag_bytes_max);
	if (!g_rand_int_range(b->rand, 0, 10))
		ip_frag_flushed(&b->t);
}

/* One random fragment out of the pool; it may come again, or never. */
static void check_pool(struct bench *b, GPtrArray *pool)
{
	guint i = pool->len ? (guint)g_rand_int_range(b->rand, 0, g_rand_boolean(b->rand) ? (int)pool->len : (int)MIN(pool->len, 4)) : 0;
	struct shard *f = pool->pdata[i];

	shard_bend(b, f);
	if (!f->ip.frag_off && !f->ip.more_frags) /* no fragment any more */
		f->ip.more_frags = f->ip.payload_len % 8 == 0;
	if ((f->ip.frag_off || f->ip.more_frags) && g_rand_int_range(b->rand, 0, 40))
		check_step(b, f);
	if (g_rand_int_range(b->rand, 0, 12)) {
		g_ptr_array_remove_index(pool, i);
		shard_free(f);
	}
}

static void test_twin(void)
{
	static const enum reason all[] = { R_ACCEPTED, R_FRAG_OVERLAP, R_FRAG_DUPLICATE, R_FRAG_TOO_MANY };
	GPtrArray *pool = g_ptr_array_new();
	struct bench b;

	bench_init(&b, 20);
	for (int i = 0; i < STEPS; i++) {
		while (pool->len < POOL / 8)
			shard_packet(&b, pool, (uint32_t)g_rand_int_range(b.rand, 9, 400), g_rand_boolean(b.rand) ? 3 : 30);
		check_pool(&b, pool);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
		g_assert_cmpuint(b.seen[all[i]], >, 10);
	g_assert_cmpuint(b.whole, >, 100);
	g_assert_cmpuint(b.late, >, 10);
	g_assert_cmpuint(b.drops.n[R_FRAG_EVICTED], >, 10);
	g_assert_cmpuint(b.drops.n[R_FRAG_TIMEOUT], >, 10);
	while (pool->len)
		shard_free(g_ptr_array_steal_index(pool, 0));
	g_ptr_array_unref(pool);
	bench_clear(&b);
}

/* Whole packets of every size, shuffled: nothing is lost. */
static void test_shuffled(void)
{
	static const uint32_t sizes[] = { 9, 16, 17, 1480, 1481, 9008, 65507, 65515 };
	GPtrArray *pool = g_ptr_array_new();
	struct bench b;

	bench_init(&b, 21);
	b.cfg.tune.frag_pieces_max = 200;
	for (int i = 0; i < 40; i++) {
		uint32_t size = sizes[i % G_N_ELEMENTS(sizes)], whole = 0;
		uint8_t *sent = g_malloc(size);

		shard_packet(&b, pool, size, size > 9000 ? 185 : 20);
		for (guint k = 0; k < pool->len; k++) {
			const struct shard *f = pool->pdata[k];

			memcpy(sent + f->ip.frag_off, f->data, f->ip.payload_len);
		}
		while (pool->len) {
			struct shard *f = g_ptr_array_steal_index_fast(pool, (guint)g_rand_int_range(b.rand, 0, (int)pool->len));
			struct frame frame;

			g_assert_cmpint(shard_give(&b, f, &frame), ==, R_ACCEPTED);
			if (frame.head) {
				g_assert_cmpint(memcmp(frame.head + frame.head_len - size, sent, size), ==, 0);
				whole++;
			}
			shard_free(f);
		}
		g_assert_cmpuint(whole, ==, 1);
		ip_frag_flushed(&b.t);
		g_assert_cmpint(ip_frag_deadline(&b.t), ==, TIMERQ_NEVER);
		g_assert_cmpuint(b.t.bytes, ==, 0);
		g_free(sent);
	}
	g_ptr_array_unref(pool);
	bench_clear(&b);
}

/* A flood under a small cap of bytes: the cap holds, and a packet sent without others between it still becomes whole. */
static void test_bytes(void)
{
	GPtrArray *pool = g_ptr_array_new();
	struct bench b;

	bench_init(&b, 22);
	b.cfg.tune.frag_bytes_max = 128 << 10;
	b.cfg.tune.frag_sets_max = 1000;
	b.cfg.tune.frag_pieces_max = 8192;
	for (int i = 0; i < 2000; i++) {
		uint32_t whole = 0;

		b.now++;
		shard_packet(&b, pool, (uint32_t)g_rand_int_range(b.rand, 5000, 65000), 185);
		if (i % 10) /* its end never comes */
			shard_free(g_ptr_array_steal_index(pool, pool->len - 1));
		while (pool->len) {
			struct shard *f = g_ptr_array_steal_index(pool, 0);
			struct frame frame;

			f->ip.id = (uint32_t)i;
			g_assert_cmpint(shard_give(&b, f, &frame), ==, R_ACCEPTED);
			g_assert_cmpuint(b.t.bytes, <=, b.cfg.tune.frag_bytes_max);
			whole += frame.head != NULL;
			shard_free(f);
		}
		g_assert_cmpuint(whole, ==, i % 10 ? 0 : 1);
		ip_frag_flushed(&b.t);
	}
	g_assert_cmpuint(b.drops.n[R_FRAG_EVICTED], >, 1000);
	g_ptr_array_unref(pool);
	bench_clear(&b);
}

/* What one fragment by itself is refused for. */
static void test_alone(void)
{
	static const struct {
		uint16_t off;
		bool v6, more;
		uint8_t proto;
		uint32_t len;
		enum reason want;
	} rows[] = {
		{ 8, false, true, IP_PROTO_UDP, 0, R_FRAG_LENGTH },
		{ 8, false, true, IP_PROTO_UDP, 12, R_FRAG_LENGTH },
		{ 8, false, false, IP_PROTO_UDP, 12, R_ACCEPTED },
		{ 65512, false, false, IP_PROTO_UDP, 3, R_ACCEPTED },
		{ 65512, false, false, IP_PROTO_UDP, 4, R_FRAG_LENGTH },
		{ 65528, true, false, IP_PROTO_UDP, 7, R_ACCEPTED },
		{ 65528, true, false, IP_PROTO_UDP, 8, R_FRAG_LENGTH },
		{ 0, false, true, IP_PROTO_TCP, 16, R_FRAG_TINY },
		{ 0, false, true, IP_PROTO_TCP, 24, R_FRAG_TINY }, /* its header says 60 */
		{ 0, false, true, IP_PROTO_TCP, 64, R_ACCEPTED },
		{ 0, false, true, IP_PROTO_UDP, 8, R_ACCEPTED },
		{ 0, false, true, IP_PROTO_ICMPV6, 64, R_IP_PROTOCOL },
		{ 8, false, true, 47, 64, R_IP_PROTOCOL },
		{ 8, true, true, 47, 64, R_ACCEPTED }, /* RFC 8200 4.5: only the first one's counts */
		{ 0, true, true, 47, 64, R_IP_PROTOCOL },
		{ 0, true, true, 60, 8, R_FRAG_TINY },
		{ 0, true, true, 0, 64, R_IP_OPTION },
		{ 0, true, true, IP_PROTO_FRAGMENT, 64, R_IP_FRAGMENT },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct ip ip = { .v6 = rows[i].v6, .proto = rows[i].proto, .frag_off = rows[i].off, .more_frags = rows[i].more,
				 .payload_len = rows[i].len, .is_fragment = true };
		struct shard f = { ip, exact("\x11\0\x01\x04\0\0\0\0\0\0\0\0\xf0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
					     "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 64) };
		struct frame frame;
		struct bench b;

		bench_init(&b, 23);
		f.ip.hdr_len = ip_wire_hdr_len(f.ip.v6) + (f.ip.v6 ? IP6_FRAG_LEN : 0);
		if (f.ip.proto == 60) /* destination options of two units */
			f.data[1] = 1;
		if (f.ip.proto == IP_PROTO_FRAGMENT)
			f.data[3] = 1;
		if (shard_give(&b, &f, &frame) != rows[i].want)
			g_error("row %zu is not %s", i, reason_name(rows[i].want));
		g_assert_null(frame.head);
		if (rows[i].want) /* and leaves nothing behind */
			g_assert_cmpuint(b.t.bytes, ==, 0);
		free(f.data);
		bench_clear(&b);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/ip-frag/twin", test_twin);
	g_test_add_func("/ip-frag/shuffled", test_shuffled);
	g_test_add_func("/ip-frag/bytes", test_bytes);
	g_test_add_func("/ip-frag/alone", test_alone);
	return g_test_run();
}
