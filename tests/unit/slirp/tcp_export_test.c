/* tcp_export_test.c - values that no connection can have are refused, with a reason, and nothing is kept; random ones do no harm. */
#include "slirp/stack.h"
#include "slirp/tcp_export.h"

#include <errno.h>
#include <glib.h>
#include <stddef.h>
#include <string.h>

struct fixture {
	struct stack_host host;
	struct reason_tally drops;
	struct mem mem;
	struct stack *st;
	struct tcp_conn c;
	struct upstream up;
	unsigned gone;
	enum reason why;
};

static bool tx_get(struct stack_host *h, struct tx_slot *slot, uint32_t head_len, uint32_t payload_len, uint32_t mss)
{
	return false; /* a link that is always full */
}

static void tcp_gone(struct stack_host *h, struct tcp_conn *c, enum reason why)
{
	struct fixture *f = (struct fixture *)h;

	f->gone++;
	f->why = why;
}

static ssize_t peek(struct upstream *up, uint32_t off, const struct iovec *iov, int n)
{
	return -EAGAIN;
}

static void consume(struct upstream *up, uint32_t n)
{
}

static ssize_t take(struct upstream *up, const struct iovec *iov, int n)
{
	return 0;
}

static void nothing(struct upstream *up)
{
}

static uint32_t space(struct upstream *up)
{
	return 100000;
}

static const struct upstream_ops ops = { peek, consume, take, nothing, nothing, space };

static struct addr addr_of(const char *text)
{
	struct addr a;

	g_assert_true(addr_parse(text, &a, NULL));
	return a;
}

static void up(struct fixture *f)
{
	struct stack_config cfg;

	*f = (struct fixture){ .host = { .tx_get = tx_get, .tcp_gone = tcp_gone }, .up.ops = &ops };
	stack_config_init(&cfg);
	cfg.v4 = true;
	cfg.guest4 = addr_of("10.0.2.15");
	cfg.link = (struct stack_link){ .mtu = 1500, .lossless = true };
	cfg.mem = &f->mem;
	f->st = stack_new(&cfg, &f->host, &f->drops);
}

static struct tcp_export good(void)
{
	return (struct tcp_export){ .tuple = { { addr_of("10.0.2.15"), 4000 }, { addr_of("192.0.2.1"), 80 } }, .state = TCP_ESTABLISHED, .mss = 1448,
				    .rcv_mss = 1448, .snd_una = 100, .snd_max = 200, .snd_wnd = 1000, .max_snd_wnd = 2000, .rcv_nxt = 7, .rcv_adv = 9 };
}

static void refused(struct fixture *f, const struct tcp_export *e, enum reason want)
{
	struct stack_stats s;

	memset(&f->c, 0, sizeof(f->c));
	g_assert_cmpint(tcp_conn_import(f->st, &f->c, e, &f->up, 1000), ==, want);
	stack_stats(f->st, &s);
	g_assert_cmpuint(s.conns, ==, 0);
}

#define WRONG(reason, member, value)               \
	do {                                       \
		struct tcp_export e_ = good();     \
		e_.member = value;                 \
		refused(&f, &e_, reason);          \
	} while (0)

static void hostile(void)
{
	struct tcp_export e = good();
	struct stack_stats s;
	struct fixture f;

	up(&f);
	for (int state = 0; state < 256; state++)
		if (state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT)
			WRONG(R_IMPORT_INVALID, state, (uint8_t)state);
	WRONG(R_IMPORT_INVALID, fin_sent, true);
	WRONG(R_IMPORT_INVALID, snd_max, 99);
	WRONG(R_IMPORT_INVALID, snd_max, 100 + (1u << 30) + 1);
	WRONG(R_IMPORT_INVALID, mss, 51);
	WRONG(R_IMPORT_INVALID, rcv_mss, 0);
	WRONG(R_IMPORT_INVALID, snd_wscale, 15);
	WRONG(R_IMPORT_INVALID, rcv_wscale, 15);
	WRONG(R_IMPORT_INVALID, rcv_wscale, 255);
	WRONG(R_IMPORT_INVALID, rcv_adv, 6);
	WRONG(R_IMPORT_INVALID, rcv_adv, 7 + 65536);
	WRONG(R_IMPORT_INVALID, snd_wnd, 2001);
	WRONG(R_IMPORT_INVALID, max_snd_wnd, 65536);
	WRONG(R_IMPORT_INVALID, tuple.guest.port, 0);
	WRONG(R_IMPORT_INVALID, tuple.far.port, 0);
	WRONG(R_SPOOFED_ADDR, tuple.guest.addr, addr_of("10.0.2.16"));
	WRONG(R_FAMILY_OFF, tuple.guest.addr, addr_of("fd00::15"));
	WRONG(R_FAMILY_OFF, tuple.far.addr, addr_of("2001:db8::1"));
	f.mem.fail_count = UINT64_MAX;
	refused(&f, &e, R_NO_MEMORY);
	f.mem.fail_count = 0;
	g_assert_cmpint(tcp_conn_import(f.st, &f.c, &e, &f.up, 1000), ==, R_ACCEPTED);
	g_assert_cmpint(tcp_conn_import(f.st, &(struct tcp_conn){ 0 }, &e, &f.up, 1000), ==, R_TUPLE_BUSY);
	stack_stats(f.st, &s);
	g_assert_cmpuint(s.conns, ==, 1);
	tcp_export_release(&f.c);
	g_assert_cmpint(f.why, ==, R_EXPORTED);
	stack_free(f.st);
}

/* Whatever is accepted can be exported again as the same value, flushed, timed out and dropped. */
static void random_values(void)
{
	g_autoptr(GRand) rand = g_rand_new_with_seed((guint32)g_test_rand_int());
	unsigned accepted = 0;
	struct fixture f;

	up(&f);
	for (int i = 0; i < 20000; i++) {
		struct tcp_export e = good(), again;
		int64_t now = 1000;

		e.state = (uint8_t)g_rand_int_range(rand, 0, 12);
		e.fin_sent = g_rand_boolean(rand);
		e.ts_ok = g_rand_boolean(rand);
		e.sack_ok = g_rand_boolean(rand);
		e.snd_wscale = (uint8_t)g_rand_int_range(rand, 0, 17);
		e.rcv_wscale = (uint8_t)g_rand_int_range(rand, 0, 17);
		e.mss = (uint16_t)g_rand_int_range(rand, 40, 1449);
		e.snd_una = g_rand_int(rand);
		e.snd_max = e.snd_una + (uint32_t)g_rand_int_range(rand, 0, 3);
		e.max_snd_wnd = (uint32_t)g_rand_int_range(rand, 0, 65536) << (e.snd_wscale & 15);
		e.snd_wnd = g_rand_boolean(rand) ? 0 : e.max_snd_wnd;
		e.rcv_nxt = g_rand_int(rand);
		e.rcv_adv = e.rcv_nxt + (uint32_t)g_rand_int_range(rand, 0, 65536);
		e.ts_recent = g_rand_int(rand);
		e.ts_now = g_rand_int(rand);
		memset(&f.c, 0, sizeof(f.c));
		f.gone = 0;
		if (tcp_conn_import(f.st, &f.c, &e, &f.up, now))
			continue;
		accepted++;
		g_assert_cmpint(tcp_conn_export(&f.c, &again, now), ==, R_ACCEPTED);
		g_assert_true(tuple_eq(&again.tuple, &e.tuple));
		g_assert_cmpuint(again.state, ==, e.state);
		g_assert_cmpuint(again.mss, ==, e.mss);
		g_assert_true(again.ts_ok == e.ts_ok && again.sack_ok == e.sack_ok && again.fin_sent == e.fin_sent);
		g_assert_cmpmem(&again.snd_una, sizeof(e) - offsetof(struct tcp_export, snd_una), &e.snd_una, sizeof(e) - offsetof(struct tcp_export, snd_una));
		stack_flush(f.st, now);
		for (int k = 0; k < 5 && !f.gone; k++) {
			now = MIN(stack_deadline(f.st), now + 10000000);
			stack_expire(f.st, now);
			stack_flush(f.st, now);
		}
		if (!f.gone)
			tcp_conn_drop(&f.c, R_SHUTDOWN, now);
		g_assert_cmpuint(f.gone, ==, 1);
	}
	g_assert_cmpuint(accepted, >, 500);
	stack_free(f.st);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/tcp_export/hostile", hostile);
	g_test_add_func("/tcp_export/random", random_values);
	return g_test_run();
}
