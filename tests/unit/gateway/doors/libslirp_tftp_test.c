/* libslirp_tftp_test.c - a guest that reads files by TFTP, or tries what it should not; the clock is the application's. */
#include "tests/unit/gateway/doors/libslirp_app.h"

#include "gateway/tftp.h"
#include "slirp/base/bytes.h"
#include "slirp/wire/tftp_wire.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define GUEST4 "10.0.2.15"
#define VHOST4 "10.0.2.2"
#define GUEST6 "fd00::15"
#define VHOST6 "fd00::2"

enum { PORT = 2000 };

/* The guest, its files, and the answer it read last. */
struct client {
	struct app a;
	char *dir;
	bool v6;
	uint16_t port;
	enum tftp_op op;
	uint16_t number;
	const uint8_t *data; /* behind opcode and number (OACK: behind the opcode) */
	uint32_t len;
};

static void put_file(struct client *c, const char *name, const void *data, size_t len)
{
	g_autofree char *path = g_build_filename(c->dir, name, NULL);

	g_assert_true(g_file_set_contents(path, data, (gssize)len, NULL));
}

/* A file whose bytes say where they stand. */
static uint8_t *counted(size_t len)
{
	uint8_t *p = g_malloc(len);

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i ^ i >> 8 ^ i >> 16);
	return p;
}

static void begin(struct client *c)
{
	*c = (struct client){ .port = PORT, .dir = g_dir_make_tmp("slirpgate-XXXXXX", NULL) };
	app_init(&c->a);
	c->a.cfg.tftp_path = c->dir;
	app_open(&c->a);
	app_arp(&c->a, GUEST4, VHOST4);
	app_settle(&c->a);
	c->a.n_out = 0;
}

static void end(struct client *c)
{
	const char *argv[] = { "rm", "-rf", c->dir, NULL };

	slirp_cleanup(c->a.slirp);
	g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
	g_free(c->dir);
}

static void udp6(struct client *c, const void *data, uint32_t len)
{
	struct addr src = app_addr(GUEST6), dst = app_addr(VHOST6);
	uint8_t p[APP_PACKET] = { 0 }, *l4 = p + ETH_HDR_LEN + IP6_HDR_LEN;
	uint16_t csum;

	app_eth(p, ETH_TYPE_IPV6);
	ip_wire_put(p + ETH_HDR_LEN, &(struct ip){ .v6 = true, .src = src, .dst = dst, .proto = IP_PROTO_UDP, .hop_limit = 64,
						   .payload_len = UDP_HDR_LEN + len });
	l4_wire_udp_put(l4, &(struct udp){ .sport = c->port, .dport = TFTP_PORT, .len = len });
	memcpy(l4 + UDP_HDR_LEN, data, len);
	csum = csum_wire_final(csum_wire_pseudo(&src, &dst, IP_PROTO_UDP, UDP_HDR_LEN + len) + csum_wire_add(l4, UDP_HDR_LEN + len));
	memcpy(l4 + 6, &csum, sizeof(csum));
	slirp_input(c->a.slirp, p, (int)(ETH_HDR_LEN + IP6_HDR_LEN + UDP_HDR_LEN + len));
}

/* Hands over; what comes back is in a.out. */
static void say(struct client *c, const void *data, uint32_t len)
{
	c->a.n_out = 0;
	if (c->v6)
		udp6(c, data, len);
	else
		app_udp(&c->a, GUEST4, c->port, VHOST4, TFTP_PORT, data, len);
	app_settle(&c->a);
}

/* The one message that the guest was sent, from port 69 to its own. */
static void hear(struct client *c)
{
	const uint8_t *p = c->a.out[0].b + ETH_HDR_LEN, *l4;
	uint32_t len = (uint32_t)c->a.out[0].len - ETH_HDR_LEN;
	struct ip ip;

	g_assert_cmpuint(c->a.n_out, ==, 1);
	g_assert_cmpint(ip_wire_parse(p, len, len, c->v6, &ip), ==, R_ACCEPTED);
	g_assert_cmpuint(ip.proto, ==, IP_PROTO_UDP);
	l4 = p + ip.hdr_len;
	g_assert_cmpuint(bytes_get16(l4), ==, TFTP_PORT);
	g_assert_cmpuint(bytes_get16(l4 + 2), ==, c->port);
	l4 += UDP_HDR_LEN;
	len = ip.payload_len - UDP_HDR_LEN;
	c->op = bytes_get16(l4);
	c->number = bytes_get16(l4 + 2);
	c->data = l4 + (c->op == TFTP_OACK ? 2 : TFTP_HDR_LEN);
	c->len = len - (c->op == TFTP_OACK ? 2 : TFTP_HDR_LEN);
}

static void nothing(const struct client *c)
{
	g_assert_cmpuint(c->a.n_out, ==, 0);
}

#define ask(c, text)                                       \
	do {                                               \
		say((c), "\0\1" text, sizeof("\0\1" text)); \
		hear(c);                                   \
	} while (0)

static void ack(struct client *c, uint16_t block)
{
	say(c, (const uint8_t[]){ 0, TFTP_ACK, (uint8_t)(block >> 8), (uint8_t)block }, 4);
}

static void refused(const struct client *c, enum tftp_code code)
{
	g_assert_cmpint(c->op, ==, TFTP_ERROR);
	g_assert_cmpint(c->number, ==, code);
	g_assert_cmpuint(c->data[c->len - 1], ==, 0);
}

static uint64_t counted_as(const struct client *c, enum reason r)
{
	struct gateway_stats st;

	gateway_stats(c->a.slirp->gw, &st);
	return st.drops.n[r];
}

static void later(struct client *c, int64_t ms)
{
	c->a.n_out = 0;
	c->a.now_ns += ms * 1000000;
	app_settle(&c->a);
}

/* Acknowledges from the first block on (which was heard) until the file is whole. */
static void read_on(struct client *c, const uint8_t *file, size_t size, uint32_t blksize)
{
	for (size_t at = 0, block = 1;; block++) {
		g_assert_cmpint(c->op, ==, TFTP_DATA);
		g_assert_cmpuint(c->number, ==, (uint16_t)block);
		g_assert_cmpmem(c->data, c->len, file + at, MIN(blksize, size - at));
		at += c->len;
		ack(c, (uint16_t)block);
		if (c->len < blksize) {
			nothing(c);
			g_assert_cmpuint(at, ==, size);
			return;
		}
		hear(c);
	}
}

/* ---- transfers */

static void plain(void)
{
	static const size_t sizes[] = { 0, 1, 511, 512, 513, 1024, 5000 };
	g_autofree uint8_t *file = counted(5000);
	struct client c;

	begin(&c);
	for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
		put_file(&c, "file", file, sizes[i]);
		c.v6 = i & 1;
		ask(&c, "file\0octet");
		read_on(&c, file, sizes[i], TFTP_BLKSIZE_DEFAULT);
	}
	g_assert_cmpuint(counted_as(&c, R_TFTP_OTHER_BLOCK), ==, 0);
	end(&c);
}

/* More blocks than 16 bits count. */
static void wraps(void)
{
	enum { SIZE = 8 * 65540 + 3 };
	g_autofree uint8_t *file = counted(SIZE);
	static const char oack[] = "tsize\0" "524323\0blksize\0" "8";
	struct client c;

	begin(&c);
	put_file(&c, "file", file, SIZE);
	ask(&c, "file\0octet\0blksize\0" "8\0tsize\0" "0");
	g_assert_cmpint(c.op, ==, TFTP_OACK);
	g_assert_cmpmem(c.data, c.len, oack, sizeof(oack));
	ack(&c, 0);
	hear(&c);
	read_on(&c, file, SIZE, 8);
	end(&c);
}

static void options(void)
{
	g_autofree uint8_t *file = counted(3000);
	struct client c;

	begin(&c);
	put_file(&c, "file", file, 3000);
	ask(&c, "file\0octet\0blksize\0" "1428");
	g_assert_cmpmem(c.data, c.len, "blksize\0" "1428", 13);
	ack(&c, 0);
	hear(&c);
	read_on(&c, file, 3000, 1428);
	ask(&c, "file\0octet\0blksize\0" "65464");
	g_assert_cmpmem(c.data, c.len, "blksize\0" "1428", 13);
	ask(&c, "file\0octet\0blksize\0" "0\0multicast\0"); /* not asked for anything we know */
	read_on(&c, file, 3000, 512);
	ask(&c, "file\0octet\0timeout\0" "9");
	g_assert_cmpmem(c.data, c.len, "timeout\0" "9", 10);
	ack(&c, 0);
	hear(&c);
	later(&c, 8999);
	nothing(&c);
	later(&c, 1);
	hear(&c);
	g_assert_cmpuint(c.number, ==, 1);
	end(&c);
}

/* A block of the size agreed on fits into one frame. */
static void small_mtu(void)
{
	struct client c;

	begin(&c);
	put_file(&c, "file", "x", 1);
	slirp_cleanup(c.a.slirp);
	c.a.cfg.if_mtu = 576;
	c.a.slirp = NULL;
	app_open(&c.a);
	app_arp(&c.a, GUEST4, VHOST4);
	app_settle(&c.a);
	ask(&c, "file\0octet\0blksize\0" "1428");
	g_assert_cmpmem(c.data, c.len, "blksize\0" "544", 12);
	end(&c);
}

/* ---- lost messages */

static void goes_again(void)
{
	static const int64_t waits[] = { 1000, 2000, 4000, 8000, 8000 };
	struct client c;

	begin(&c);
	put_file(&c, "file", "hello", 5);
	ask(&c, "file\0octet");
	for (unsigned i = 0; i < G_N_ELEMENTS(waits); i++) {
		later(&c, waits[i] - 1);
		nothing(&c);
		g_assert_cmpuint(c.a.timeout, ==, 1);
		later(&c, 1);
		hear(&c);
		g_assert_cmpmem(c.data, c.len, "hello", 5);
	}
	later(&c, 8000);
	nothing(&c);
	g_assert_cmpuint(counted_as(&c, R_TFTP_TIMEOUT), ==, 1);
	g_assert_cmpuint(c.a.timeout, ==, UINT32_MAX); /* nothing is left to wake for */
	ack(&c, 1);
	nothing(&c);
	g_assert_cmpuint(counted_as(&c, R_TFTP_NO_TRANSFER), ==, 1);
	end(&c);
}

/* An acknowledgement that comes twice does not double what follows (RFC 1123 4.2.3.1), and a storm of them moves nothing. */
static void acks(void)
{
	g_autofree uint8_t *file = counted(2000);
	struct client c;

	begin(&c);
	put_file(&c, "file", file, 2000);
	ask(&c, "file\0octet");
	ack(&c, 1);
	hear(&c);
	g_assert_cmpuint(c.number, ==, 2);
	for (unsigned i = 0; i < 1000; i++) {
		ack(&c, (uint16_t)(i == 2 ? 0 : i));
		nothing(&c);
	}
	g_assert_cmpuint(counted_as(&c, R_TFTP_OTHER_BLOCK), ==, 1000);
	ack(&c, 2);
	hear(&c);
	g_assert_cmpuint(c.number, ==, 3);
	c.port++; /* somebody else */
	ack(&c, 3);
	nothing(&c);
	c.port--;
	ack(&c, 3);
	hear(&c);
	g_assert_cmpuint(c.len, ==, 2000 - 3 * 512);
	end(&c);
}

/* A request that comes twice begins anew; an error of the guest ends its transfer. */
static void begins_anew(void)
{
	struct client c;

	begin(&c);
	put_file(&c, "file", "hello", 5);
	put_file(&c, "other", "other", 5);
	ask(&c, "file\0octet");
	ask(&c, "other\0octet");
	g_assert_cmpmem(c.data, c.len, "other", 5);
	say(&c, "\0\5\0\0", 5);
	nothing(&c);
	later(&c, 60000);
	nothing(&c);
	say(&c, "\0\5\0\0", 5);
	nothing(&c);
	g_assert_cmpuint(counted_as(&c, R_TFTP_NO_TRANSFER), ==, 1);
	end(&c);
}

/* Twenty at a time; the one that was quiet for longest gives way. */
static void twenty(void)
{
	g_autofree uint8_t *file = counted(2000);
	struct client c;

	begin(&c);
	put_file(&c, "file", file, 2000);
	for (unsigned i = 0; i < TFTP_SESSIONS; i++) {
		c.port = (uint16_t)(PORT + i);
		ask(&c, "file\0octet");
	}
	c.port = PORT;
	ack(&c, 1);
	hear(&c);
	g_assert_cmpuint(counted_as(&c, R_TFTP_EVICTED), ==, 0);
	c.port = PORT + TFTP_SESSIONS;
	ask(&c, "file\0octet");
	g_assert_cmpuint(counted_as(&c, R_TFTP_EVICTED), ==, 1);
	c.port = PORT + 1;
	ack(&c, 1);
	nothing(&c);
	c.port = PORT;
	ack(&c, 2);
	hear(&c);
	g_assert_cmpuint(c.number, ==, 3);
	end(&c);
}

/* ---- what is refused */

static void refusals(void)
{
	char name[1200] = "\0\1";
	struct client c;

	begin(&c);
	put_file(&c, "file", "x", 1);
	ask(&c, "nothing\0octet");
	refused(&c, TFTP_E_NOT_FOUND);
	ask(&c, "../file\0octet");
	refused(&c, TFTP_E_ACCESS);
	ask(&c, "/etc/../../file\0octet");
	refused(&c, TFTP_E_ACCESS);
	ask(&c, "file/\0octet");
	refused(&c, TFTP_E_ACCESS);
	ask(&c, "\0octet");
	refused(&c, TFTP_E_ACCESS);
	ask(&c, "file\0netascii");
	refused(&c, TFTP_E_ILLEGAL);
	say(&c, "\0\2file\0octet", 13);
	hear(&c);
	refused(&c, TFTP_E_ACCESS);
	ask(&c, "/file\0octet"); /* from the root of what is served */
	g_assert_cmpint(c.op, ==, TFTP_DATA);
	g_assert_cmpuint(counted_as(&c, R_TFTP_REFUSED), ==, 7);
	memset(name + 2, 'a', sizeof(name) - 2);
	memcpy(name + 2 + 500, "\0octet", 7);
	say(&c, name, 509);
	hear(&c);
	refused(&c, TFTP_E_NOT_FOUND);
	end(&c);
}

/* Cut short, without NUL, too long, too many options, a server's messages: counted, not answered. */
static void malformed(void)
{
	static const char *const bad[] = { "", "0", "01", "01file", "03", "0", "08ab", "06", "03ab" };
	uint8_t p[1400] = { 0, TFTP_RRQ, 'f', 0, 'o', 'c', 't', 'e', 't', 0 };
	struct client c;

	begin(&c);
	put_file(&c, "f", "x", 1);
	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
		uint8_t m[16];

		for (unsigned k = 0; bad[i][k]; k++)
			m[k] = bad[i][k] <= '9' ? (uint8_t)(bad[i][k] - '0') : (uint8_t)bad[i][k];
		say(&c, m, (uint32_t)strlen(bad[i]));
		nothing(&c);
		g_assert_cmpuint(counted_as(&c, R_TFTP_MALFORMED), ==, i + 1);
	}
	for (unsigned i = 10; i < sizeof(p); i++)
		p[i] = i % 2 ? 0 : 'o';
	say(&c, p, sizeof(p)); /* hundreds of options "o" "o" */
	g_assert_cmpuint((sizeof(p) - 10) / 2 % 2, ==, 1); /* the last one has no value */
	nothing(&c);
	say(&c, p, sizeof(p) - 2);
	hear(&c);
	g_assert_cmpint(c.op, ==, TFTP_DATA);
	memset(p + 2, 'f', sizeof(p) - 2);
	say(&c, p, sizeof(p));
	nothing(&c);
	end(&c);
}

/* The library's descriptor of a file below dir. */
static int descriptor_of(const char *file)
{
	for (int fd = 3; fd < 256; fd++) {
		g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd), *to = g_file_read_link(link, NULL);

		if (to && g_str_has_suffix(to, file))
			return fd;
	}
	g_assert_not_reached();
}

/* The disk fails under way: what stands in for the file cannot be read. */
static void unreadable(void)
{
	g_autofree uint8_t *file = counted(2000);
	struct client c;
	int dir;

	begin(&c);
	put_file(&c, "file", file, 2000);
	ask(&c, "file\0octet");
	dir = open(c.dir, O_PATH | O_CLOEXEC);
	g_assert_cmpint(dup2(dir, descriptor_of("/file")), >=, 0);
	close(dir);
	ack(&c, 1);
	hear(&c);
	refused(&c, TFTP_E_OTHER);
	g_assert_cmpuint(counted_as(&c, R_TFTP_READ), ==, 1);
	later(&c, 60000);
	nothing(&c);
	end(&c);
}

/* A file that becomes shorter ends there. */
static void shrinks(void)
{
	g_autofree uint8_t *file = counted(5000);
	g_autofree char *path = NULL;
	struct client c;

	begin(&c);
	put_file(&c, "file", file, 5000);
	path = g_build_filename(c.dir, "file", NULL);
	ask(&c, "file\0octet");
	g_assert_cmpint(truncate(path, 700), ==, 0);
	ack(&c, 1);
	hear(&c);
	g_assert_cmpuint(c.len, ==, 700 - 512);
	ack(&c, 2);
	nothing(&c);
	ask(&c, "file\0octet");
	g_assert_cmpint(truncate(path, 100), ==, 0);
	ack(&c, 1);
	hear(&c);
	g_assert_cmpuint(c.len, ==, 0);
	end(&c);
}

/* Without a directory, or at the name server's address, the port is like others. */
static void elsewhere(void)
{
	struct client c;

	begin(&c);
	put_file(&c, "file", "x", 1);
	c.a.n_out = 0;
	app_udp(&c.a, GUEST4, PORT, "10.0.2.3", TFTP_PORT, "\0\1file\0octet", 13);
	app_settle(&c.a);
	for (unsigned i = 0; i < c.a.n_out; i++)
		g_assert_cmpuint(c.a.out[i].b[23], ==, IP_PROTO_ICMP);
	slirp_cleanup(c.a.slirp);
	c.a.slirp = NULL;
	c.a.cfg.tftp_path = NULL;
	app_open(&c.a);
	app_arp(&c.a, GUEST4, VHOST4);
	app_settle(&c.a);
	say(&c, "\0\1file\0octet", 13);
	for (unsigned i = 0; i < c.a.n_out; i++)
		g_assert_cmpuint(c.a.out[i].b[23], ==, IP_PROTO_ICMP);
	end(&c);
}

/* A guest that may reach nothing may still boot. */
static void restricted(void)
{
	struct client c;

	begin(&c);
	put_file(&c, "file", "hello", 5);
	slirp_cleanup(c.a.slirp);
	c.a.slirp = NULL;
	c.a.cfg.restricted = 1;
	app_open(&c.a);
	app_arp(&c.a, GUEST4, VHOST4);
	app_settle(&c.a);
	ask(&c, "file\0octet");
	g_assert_cmpmem(c.data, c.len, "hello", 5);
	end(&c);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/libslirp_tftp/plain", plain);
	g_test_add_func("/libslirp_tftp/wraps", wraps);
	g_test_add_func("/libslirp_tftp/options", options);
	g_test_add_func("/libslirp_tftp/small_mtu", small_mtu);
	g_test_add_func("/libslirp_tftp/goes_again", goes_again);
	g_test_add_func("/libslirp_tftp/acks", acks);
	g_test_add_func("/libslirp_tftp/begins_anew", begins_anew);
	g_test_add_func("/libslirp_tftp/twenty", twenty);
	g_test_add_func("/libslirp_tftp/refusals", refusals);
	g_test_add_func("/libslirp_tftp/malformed", malformed);
	g_test_add_func("/libslirp_tftp/shrinks", shrinks);
	g_test_add_func("/libslirp_tftp/unreadable", unreadable);
	g_test_add_func("/libslirp_tftp/elsewhere", elsewhere);
	g_test_add_func("/libslirp_tftp/restricted", restricted);
	return g_test_run();
}
