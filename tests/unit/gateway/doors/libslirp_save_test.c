/* libslirp_save_test.c - the state stream: its length, a connection that goes on in another instance, and streams that make no sense. */
#include "tests/unit/gateway/doors/libslirp_app.h"

#include <errno.h>

#define PLACE "10.0.2.100"
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
		g_assert_cmpint(slirp_state_load(b.slirp, 4, on_read, &s), <, 0);
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

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/libslirp_save/idle", idle);
	g_test_add_func("/libslirp_save/connection", connection);
	g_test_add_func("/libslirp_save/hostile", hostile);
	return g_test_run();
}
