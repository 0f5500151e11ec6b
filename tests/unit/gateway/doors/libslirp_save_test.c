/* libslirp_save_test.c - the state stream: its length, a connection that goes on in another instance, and streams that make no sense. */
#include "tests/unit/gateway/doors/libslirp_app.h"

#include "gateway/stage.h"
#include "slirp/base/bytes.h"

#include <errno.h>

#define PLACE "10.0.2.100"
enum {
	AT_SND = 44 + STAGE_SIZE, /* places in a record: what waits for the guest, */
	AT_TCP = AT_SND + 16 + STAGE_SIZE, /* the state, */
	AT_FLAGS = AT_TCP + 19,
	AT_SND_MAX = AT_TCP + 69,
	FLAG_SENTFIN = 0x10,
};

enum { IDLE = 131, RECORD = 1 + 4 + 8 + 8 + 3 + 4 + 2 * (16 + 131072) + 119 };

struct stream {
	GByteArray *b;
	guint at;
	guint most; /* of a read or write; 0: no limit */
};

static slirp_ssize_t on_write(const void *buf, size_t len, void *opaque)
{
	struct stream *s = opaque;

	if (s->most)
		len = MIN(len, s->most);
	g_byte_array_append(s->b, buf, (guint)len);
	return (slirp_ssize_t)len;
}

static slirp_ssize_t on_read(void *buf, size_t len, void *opaque)
{
	struct stream *s = opaque;

	len = MIN(len, s->b->len - s->at);
	if (s->most)
		len = MIN(len, s->most);
	memcpy(buf, s->b->data + s->at, len);
	s->at += (guint)len;
	return (slirp_ssize_t)len;
}

static slirp_ssize_t on_fail(const void *buf, size_t len, void *opaque)
{
	return -ENOSPC;
}

static slirp_ssize_t on_bytes(const void *buf, size_t len, void *opaque)
{
	g_string_append_len(opaque, buf, (gssize)len);
	return 0;
}

static void discover(struct app *a, uint8_t last)
{
	uint8_t buf[512], type = DHCP_DISCOVER;
	struct dhcp_msg m = { .op = DHCP_BOOTREQUEST, .htype = 1, .hlen = 6, .chaddr = { 2, 0, 0, 0, 0, last } };
	struct dhcp_writer w;

	dhcp_wire_begin(&w, buf, sizeof(buf), &m);
	dhcp_wire_put(&w, DHCP_OPT_TYPE, &type, 1);
	app_udp(a, "0.0.0.0", 68, "255.255.255.255", 67, buf, dhcp_wire_end(&w));
	app_settle(a);
}

static uint8_t offered(const struct app *a)
{
	return a->out[a->n_out - 1].b[42 + 19]; /* the end of yiaddr */
}

/* Nothing but leases: they are the same in the instance that reads them, whatever the pieces. */
static void idle(void)
{
	struct stream s = { .b = g_byte_array_new() };
	struct app a, b;

	app_init(&a);
	app_init(&b);
	app_open(&a);
	app_open(&b);
	g_assert_cmpint(slirp_state_save(a.slirp, on_write, &s), ==, 0);
	g_assert_cmpuint(s.b->len, ==, IDLE);
	for (unsigned i = 3; i < IDLE; i++)
		g_assert_cmpuint(s.b->data[i], ==, 0);
	discover(&a, 1);
	discover(&a, 2);
	g_byte_array_set_size(s.b, 0);
	s.most = 3;
	g_assert_cmpint(slirp_state_save(a.slirp, on_write, &s), ==, 0);
	g_assert_cmpuint(s.b->len, ==, IDLE);
	g_assert_cmpmem(s.b->data + 3 + 8, 8, "\0\1\2\0\0\0\0\2", 8);
	g_assert_cmpint(slirp_state_load(b.slirp, 4, on_read, &s), ==, 0);
	g_assert_cmpuint(s.at, ==, IDLE);
	discover(&b, 2);
	g_assert_cmpuint(offered(&b), ==, 16);
	discover(&b, 3);
	g_assert_cmpuint(offered(&b), ==, 17);
	discover(&b, 1);
	g_assert_cmpuint(offered(&b), ==, 15);
	g_assert_cmpint(slirp_state_save(a.slirp, on_fail, NULL), ==, -ENOSPC);
	slirp_cleanup(a.slirp);
	slirp_cleanup(b.slirp);
	g_byte_array_unref(s.b);
}

static struct in_addr place(struct app *a, GString *heard)
{
	struct in_addr at = app_in(PLACE);

	app_open(a);
	g_assert_cmpint(slirp_add_guestfwd(a->slirp, on_bytes, heard, &at, 7), ==, 0);
	return at;
}

/* A connection with bytes that the guest has not acknowledged is saved, and goes on elsewhere. */
static void connection(void)
{
	struct tcp_seg g = { .sport = 4000, .dport = 7, .seq = 100, .window = 65535, .flags = TCP_SYN }, last;
	GString *heard = g_string_new(NULL);
	struct stream s = { .b = g_byte_array_new() };
	const uint8_t *data;
	struct in_addr at;
	struct app a, b;

	app_init(&a);
	at = place(&a, heard);
	app_tcp(&a, "10.0.2.15", PLACE, &g, NULL, 0);
	app_settle(&a);
	g.seq++;
	g.ack = app_last_tcp(&a, NULL).seq + 1;
	g.flags = TCP_ACK;
	app_tcp(&a, "10.0.2.15", PLACE, &g, "one", 3);
	g.seq += 3;
	app_settle(&a);
	slirp_socket_recv(a.slirp, at, 7, (const uint8_t *)"reply", 5);
	app_settle(&a);
	g_assert_cmpint(slirp_state_save(a.slirp, on_write, &s), ==, 0);
	g_assert_cmpuint(s.b->len, ==, RECORD + IDLE);
	g_assert_cmpuint(s.b->data[0], ==, 42);
	slirp_cleanup(a.slirp);

	app_init(&b);
	b.now_ns = 77; /* another clock */
	place(&b, heard);
	g_assert_cmpint(slirp_state_load(b.slirp, 4, on_read, &s), ==, 0);
	g_assert_cmpuint(s.at, ==, s.b->len);
	app_settle(&b);
	app_tcp(&b, "10.0.2.15", PLACE, &g, "two", 3); /* the guest has not seen the reply */
	app_settle(&b);
	b.now_ns += 5000000000;
	app_settle(&b); /* it is sent again */
	last = app_last_tcp(&b, &data);
	g_assert_cmpmem(data, last.len, "reply", 5);
	g_assert_cmpuint(last.seq, ==, g.ack);
	g_assert_cmpuint(last.ack, ==, g.seq + 3);
	g_assert_cmpstr(heard->str, ==, "onetwo");
	slirp_cleanup(b.slirp);
	g_string_free(heard, TRUE);
	g_byte_array_unref(s.b);
}

/* Every cut of the stream, and every byte of it turned over: an error or not, but nothing worse. */
static void hostile(void)
{
	struct tcp_seg g = { .sport = 4000, .dport = 7, .seq = 100, .window = 65535, .flags = TCP_SYN };
	GString *heard = g_string_new(NULL);
	struct stream s = { .b = g_byte_array_new() };
	struct app a, b;
	guint len;

	app_init(&a);
	place(&a, heard);
	app_tcp(&a, "10.0.2.15", PLACE, &g, NULL, 0);
	app_settle(&a);
	g.seq++;
	g.ack = app_last_tcp(&a, NULL).seq + 1;
	g.flags = TCP_ACK;
	app_tcp(&a, "10.0.2.15", PLACE, &g, NULL, 0);
	app_settle(&a);
	g_assert_cmpint(slirp_state_save(a.slirp, on_write, &s), ==, 0);
	slirp_cleanup(a.slirp);
	len = s.b->len;
	for (guint i = 0; i < len; i += i < 80 || i > len - 280 ? 1 : 30011) {
		app_init(&b);
		place(&b, heard);
		s.at = 0;
		s.b->len = i;
		g_assert_cmpint(slirp_state_load(b.slirp, 4, on_read, &s), ==, -EINVAL);
		s.b->len = len;
		s.at = 0;
		s.b->data[i] ^= 0xff;
		slirp_state_load(b.slirp, 4, on_read, &s);
		s.b->data[i] ^= 0xff;
		app_settle(&b);
		slirp_cleanup(b.slirp);
	}
	app_init(&b);
	app_open(&b); /* without the place */
	s.at = 0;
	g_assert_cmpint(slirp_state_load(b.slirp, 4, on_read, &s), ==, -EINVAL);
	s.at = 0;
	g_assert_cmpint(slirp_state_load(b.slirp, 5, on_read, &s), ==, -EINVAL);
	g_assert_cmpuint(s.at, ==, 0);
	slirp_cleanup(b.slirp);
	g_string_free(heard, TRUE);
	g_byte_array_unref(s.b);
}

/* A connection of the guest's port `sport`; ret: its next segment. */
static void talk(struct app *a, uint16_t sport, struct tcp_seg *ret)
{
	*ret = (struct tcp_seg){ .sport = sport, .dport = 7, .seq = 100, .window = 65535, .flags = TCP_SYN };
	app_tcp(a, "10.0.2.15", PLACE, ret, NULL, 0);
	app_settle(a);
	ret->seq++;
	ret->ack = app_last_tcp(a, NULL).seq + 1;
	ret->flags = TCP_ACK;
	app_tcp(a, "10.0.2.15", PLACE, ret, NULL, 0);
	app_settle(a);
}

static void save(struct app *a, struct stream *s)
{
	g_byte_array_set_size(s->b, 0);
	s->at = 0;
	g_assert_cmpint(slirp_state_save(a->slirp, on_write, s), ==, 0);
}

static int load(struct app *a, struct stream *s, int version)
{
	s->at = 0;
	return slirp_state_load(a->slirp, version, on_read, s);
}

/* Nobody is there: a segment of this connection is answered by a reset. */
static bool unknown(struct app *a, struct tcp_seg g)
{
	app_tcp(a, "10.0.2.15", PLACE, &g, "?", 1);
	app_settle(a);
	return app_last_tcp(a, NULL).flags & TCP_RST;
}

/* Two connections and a lease; what is wrong stands in the one that is read last, or behind it: nothing of the stream is there. */
static void all_or_nothing(void)
{
	GString *heard = g_string_new(NULL);
	struct stream s = { .b = g_byte_array_new() };
	struct tcp_seg one, two;
	struct app a, b;
	static const guint wrong[] = { RECORD + 5, RECORD + 6, RECORD + 7, RECORD + AT_SND, RECORD + AT_TCP, RECORD + AT_FLAGS + 1, 2 * RECORD };

	app_init(&a);
	place(&a, heard);
	discover(&a, 9);
	talk(&a, 4000, &one);
	talk(&a, 4001, &two);
	save(&a, &s);
	g_assert_cmpuint(s.b->len, ==, 2 * RECORD + IDLE);
	slirp_cleanup(a.slirp);
	for (guint i = 0; i <= G_N_ELEMENTS(wrong); i++) {
		bool last = i == G_N_ELEMENTS(wrong);

		app_init(&b);
		place(&b, heard);
		if (last)
			s.b->len--;
		else
			s.b->data[wrong[i]] ^= 0x7f;
		g_assert_cmpint(load(&b, &s, 4), ==, -EINVAL);
		if (!last)
			s.b->data[wrong[i]] ^= 0x7f;
		app_settle(&b);
		g_assert_cmpuint(b.n_out, ==, 0);
		g_assert_true(unknown(&b, one));
		g_assert_true(unknown(&b, two));
		discover(&b, 8);
		g_assert_cmpuint(offered(&b), ==, 15);
		slirp_cleanup(b.slirp);
	}
	s.b->len++;
	app_init(&b);
	place(&b, heard);
	g_assert_cmpint(load(&b, &s, 4), ==, 0);
	g_assert_false(unknown(&b, one));
	g_assert_false(unknown(&b, two));
	slirp_socket_recv(b.slirp, app_in(PLACE), 7, (const uint8_t *)"x", 1);
	app_settle(&b);
	g_assert_cmpuint(app_last_tcp(&b, NULL).dport, ==, 4001); /* the newer one is still that */
	slirp_cleanup(b.slirp);
	g_string_free(heard, TRUE);
	g_byte_array_unref(s.b);
}

/* A snapshot is loaded where it was made: the guest is what it was then, and so is its connection. */
static void same_instance(void)
{
	GString *heard = g_string_new(NULL);
	struct stream s = { .b = g_byte_array_new() };
	struct tcp_seg g, then;
	struct app a;

	app_init(&a);
	place(&a, heard);
	talk(&a, 4000, &g);
	then = g;
	save(&a, &s);
	app_tcp(&a, "10.0.2.15", PLACE, &g, "later", 5);
	app_settle(&a);
	discover(&a, 1);
	g_assert_cmpint(load(&a, &s, 4), ==, 0);
	app_settle(&a);
	app_tcp(&a, "10.0.2.15", PLACE, &then, "again", 5);
	app_settle(&a);
	a.now_ns += 1000000000;
	app_settle(&a);
	g_assert_cmpstr(heard->str, ==, "lateragain");
	g_assert_cmpuint(app_last_tcp(&a, NULL).ack, ==, then.seq + 5);
	discover(&a, 2); /* nobody had a lease */
	g_assert_cmpuint(offered(&a), ==, 15);
	slirp_cleanup(a.slirp);
	g_string_free(heard, TRUE);
	g_byte_array_unref(s.b);
}

/* Streams of older versions end earlier, and name both ends of a connection without a family. */
static void versions(void)
{
	static const guint idle_len[] = { 0, 1, 3, IDLE, IDLE };
	GString *heard = g_string_new(NULL);
	struct stream s = { .b = g_byte_array_new() };
	struct tcp_seg g;
	struct app a, b;
	uint8_t ends[12];

	app_init(&a);
	place(&a, heard);
	save(&a, &s);
	for (int v = 1; v <= 4; v++) {
		g_assert_cmpint(load(&a, &s, v), ==, 0);
		g_assert_cmpuint(s.at, ==, idle_len[v]);
	}
	g_assert_cmpint(load(&a, &s, 0), ==, -EINVAL);
	g_assert_cmpint(load(&a, &s, -1), ==, -EINVAL);
	talk(&a, 4000, &g);
	save(&a, &s);
	slirp_cleanup(a.slirp);
	memcpy(ends, s.b->data + 7, 4); /* addresses, then ports */
	memcpy(ends + 4, s.b->data + 15, 4);
	memcpy(ends + 8, s.b->data + 11, 2);
	memcpy(ends + 10, s.b->data + 19, 2);
	g_byte_array_remove_range(s.b, 5, 4);
	memcpy(s.b->data + 5, ends, 12);
	app_init(&b);
	place(&b, heard);
	g_assert_cmpint(load(&b, &s, 3), ==, 0);
	g_assert_cmpuint(s.at, ==, s.b->len);
	g_assert_false(unknown(&b, g));
	g_assert_cmpstr(heard->str, ==, "?");
	slirp_cleanup(b.slirp);
	g_string_free(heard, TRUE);
	g_byte_array_unref(s.b);
}

/* What a state's number means with a FIN sent and without, and what fits to it. */
static void states(void)
{
	enum { REFUSED, LEFT_OUT, THERE };
	static const struct {
		uint8_t state, flags, said, flight, want;
	} cases[] = {
		{ 0, 0, 0, 0, LEFT_OUT },  { 1, 0, 0, 0, LEFT_OUT },		 { 2, 0, 0, 0, LEFT_OUT },	      { 3, 0, 0, 0, LEFT_OUT },
		{ 4, 0, 3, 2, THERE },	   { 4, 0, 2, 3, REFUSED },		 { 4, FLAG_SENTFIN, 0, 1, REFUSED },  { 5, 0, 0, 0, THERE },
		{ 6, 0, 3, 0, THERE },	   { 6, FLAG_SENTFIN, 2, 3, THERE },	 { 6, FLAG_SENTFIN, 2, 2, REFUSED },  { 7, FLAG_SENTFIN, 0, 1, THERE },
		{ 7, 0, 0, 0, REFUSED },   { 8, 0, 0, 0, THERE },		 { 8, FLAG_SENTFIN, 0, 1, THERE },    { 8, FLAG_SENTFIN, 0, 0, REFUSED },
		{ 9, FLAG_SENTFIN, 0, 0, THERE }, { 9, FLAG_SENTFIN, 1, 0, REFUSED }, { 9, 0, 0, 0, REFUSED },	      { 10, 0, 0, 0, LEFT_OUT },
		{ 11, 0, 0, 0, REFUSED },
	};
	GString *heard = g_string_new(NULL);
	struct stream s = { .b = g_byte_array_new() };
	struct tcp_seg g;
	struct app a;

	app_init(&a);
	place(&a, heard);
	talk(&a, 4000, &g);
	save(&a, &s);
	slirp_cleanup(a.slirp);
	for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
		app_init(&a);
		place(&a, heard);
		bytes_put32(s.b->data + AT_SND, cases[i].said);
		bytes_put16(s.b->data + AT_TCP, cases[i].state);
		bytes_put16(s.b->data + AT_FLAGS, cases[i].flags);
		bytes_put32(s.b->data + AT_SND_MAX, g.ack + cases[i].flight);
		g_test_message("case %u", i);
		g_assert_cmpint(load(&a, &s, 4), ==, cases[i].want == REFUSED ? -EINVAL : 0);
		app_settle(&a);
		g_assert_cmpuint(a.n_out > 0, ==, cases[i].want == THERE); /* it says where it stands */
		a.now_ns += 3600000000000;
		app_settle(&a);
		slirp_cleanup(a.slirp);
	}
	g_string_free(heard, TRUE);
	g_byte_array_unref(s.b);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/libslirp_save/idle", idle);
	g_test_add_func("/libslirp_save/connection", connection);
	g_test_add_func("/libslirp_save/hostile", hostile);
	g_test_add_func("/libslirp_save/all_or_nothing", all_or_nothing);
	g_test_add_func("/libslirp_save/same_instance", same_instance);
	g_test_add_func("/libslirp_save/versions", versions);
	g_test_add_func("/libslirp_save/states", states);
	return g_test_run();
}
