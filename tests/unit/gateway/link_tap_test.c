/* link_tap_test.c - a real tap in a network namespace of this process; a packet socket on it plays the guest.
 *
 * With virtio headers and without: what the guest sends is what the core is given, what the core puts the guest receives, cut and
 * checksummed where the kernel does not do it.  Needs root or user namespaces, and /dev/net/tun.
 * Below: gateway/link_tap.h.  The core is a fake that keeps frames: its one function takes the place of slirp/stack.c here.
 */
#include "gateway/link_tap.h"
#include "slirp/base/bytes.h"
#include "tests/unit/naive.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { HEAD = 14 + 20 + 20, PLAY_TYPE = 0x88b5 /* for local experiments */, MSS = 1000, WAIT_MS = 20000 };

struct stack {
	GPtrArray *frames; /* GBytes, of our ethertype */
	struct frame last;
};

enum reason stack_input(struct stack *st, const struct frame *f, int64_t now)
{
	GByteArray *whole = g_byte_array_new();

	g_byte_array_append(whole, f->head, f->head_len);
	for (int i = 0; i < f->n_rest; i++)
		g_byte_array_append(whole, f->rest[i].iov_base, (guint)f->rest[i].iov_len);
	if (whole->len >= 14 && bytes_get16(whole->data + 12) == PLAY_TYPE) {
		st->last = *f;
		g_ptr_array_add(st->frames, g_byte_array_free_to_bytes(whole));
	} else {
		g_byte_array_unref(whole); /* the kernel's own: neighbour discovery */
	}
	return R_ACCEPTED;
}

struct world {
	struct link *link;
	struct stack stack;
	int guest; /* packet socket */
};

static void up(const char *name, int mtu)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_mtu = mtu };

	g_strlcpy(ifr.ifr_name, name, sizeof(ifr.ifr_name));
	g_assert_cmpint(ioctl(fd, SIOCSIFMTU, &ifr), ==, 0);
	ifr.ifr_flags = IFF_UP;
	g_assert_cmpint(ioctl(fd, SIOCSIFFLAGS, &ifr), ==, 0);
	close(fd);
}

static void begin(struct world *w, bool offload, int mtu)
{
	struct sockaddr_ll sll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	g_autoptr(GError) err = NULL;
	int fd = link_tap_create("play0", offload, &err);

	g_assert_no_error(err);
	g_assert_cmpint(fcntl(fd, F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
	g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
	w->stack.frames = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
	w->link = link_tap_new(fd, (uint16_t)mtu, &err);
	g_assert_no_error(err);
	up("play0", mtu);
	w->guest = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	sll.sll_ifindex = (int)if_nametoindex("play0");
	g_assert_cmpint(bind(w->guest, (struct sockaddr *)&sll, sizeof(sll)), ==, 0);
}

static void end(struct world *w)
{
	close(w->guest);
	link_free(w->link);
	g_ptr_array_unref(w->stack.frames);
	g_assert_cmpuint(if_nametoindex("play0"), ==, 0);
}

/* ------------------------------------------------------------------ from the guest */

static void guest_sends(struct world *w, uint32_t len, uint8_t seed)
{
	uint8_t b[70000] = { 0x52, 0x55, 10, 0, 2, 2, 0x52, 0x54, 0, 0x12, 0x34, 0x56, PLAY_TYPE >> 8, PLAY_TYPE & 0xff };

	for (uint32_t i = 14; i < len; i++)
		b[i] = (uint8_t)(seed + i * 7);
	g_assert_cmpint(send(w->guest, b, len, 0), ==, (ssize_t)len);
}

/* Until n frames of ours have come. */
static void rx_until(struct world *w, unsigned n, unsigned budget)
{
	while (w->stack.frames->len < n) {
		struct pollfd p = { w->link->fd, POLLIN, 0 };
		bool more = true;

		g_assert_cmpint(poll(&p, 1, WAIT_MS), ==, 1);
		while (more && w->stack.frames->len < n) {
			int got = w->link->ops->rx(w->link, &w->stack, budget, 1, &more);

			g_assert_cmpint(got, >=, 0);
			g_assert_cmpint(got, <=, (int)budget);
			w->link->ops->rx_done(w->link);
		}
	}
}

static void receive(const void *arg)
{
	static const uint32_t sizes[] = { 14, 60, 255, 256, 257, 1514, 9000, 65535 };
	struct world w = { 0 };
	bool offload = GPOINTER_TO_INT(arg);
	int mtu = 65521;

	begin(&w, offload, mtu);
	for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
		gsize len;
		const uint8_t *b;

		guest_sends(&w, sizes[i], (uint8_t)i);
		rx_until(&w, i + 1, 8);
		b = g_bytes_get_data(w.stack.frames->pdata[i], &len);
		g_assert_cmpuint(len, ==, sizes[i]);
		for (uint32_t k = 14; k < len; k++)
			g_assert_cmpuint(b[k], ==, (uint8_t)(i + k * 7));
		g_assert_cmpuint(w.stack.last.gso_size, ==, 0);
		g_assert_cmpuint(w.stack.last.head_len, >=, MIN(len, (gsize)FRAME_HEAD_MAX));
		g_assert_false(w.stack.last.csum_ok); /* nobody has vouched for anything */
	}
	end(&w);
}

/* Many at once come in order, whatever the budget. */
static void receive_many(const void *arg)
{
	for (unsigned budget = 1; budget <= 64; budget *= 4) {
		struct world w = { 0 };

		begin(&w, GPOINTER_TO_INT(arg), 1500);
		for (unsigned i = 0; i < 200; i++)
			guest_sends(&w, 100 + i, (uint8_t)i);
		rx_until(&w, 200, budget);
		for (unsigned i = 0; i < 200; i++)
			g_assert_cmpuint(g_bytes_get_size(w.stack.frames->pdata[i]), ==, 100 + i);
		end(&w);
	}
}

/* ------------------------------------------------------------------ to the guest */

/* Ethernet, IPv4 and TCP in front of `used` bytes. */
static struct frame_meta head_of(uint8_t *p, uint32_t used)
{
	static const uint8_t macs[12] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56, 0x52, 0x55, 10, 0, 2, 2 };

	memset(p, 0, HEAD);
	memcpy(p, macs, sizeof(macs));
	bytes_put16(p + 12, 0x0800);
	p[14] = 0x45;
	bytes_put16(p + 16, (uint16_t)(40 + used));
	p[22] = 64;
	p[23] = 6;
	bytes_put32(p + 26, 0xc0000201);
	bytes_put32(p + 30, 0x0a00020f);
	bytes_put16(p + 24, (uint16_t)~naive_sum(0, p + 14, 20, 0));
	bytes_put16(p + 34, 80);
	bytes_put16(p + 36, 40000);
	bytes_put32(p + 38, 1000000);
	p[46] = 5 << 4;
	p[47] = 0x18; /* PSH, ACK */
	bytes_put16(p + 48, 1000);
	return (struct frame_meta){ .l3_off = 14, .l4_off = 34, .head_len = HEAD, .mss = used > MSS ? MSS : 0, .proto = 6 };
}

static uint8_t pattern(uint32_t i)
{
	return (uint8_t)(i * 2654435761u >> 23);
}

static void put(struct world *w, uint32_t asked, uint32_t used)
{
	struct frame_meta m;
	struct tx_slot slot;
	uint32_t done = 0;

	g_assert_true(w->link->ops->tx_get(w->link, &slot, HEAD, asked, MSS));
	g_assert_cmpuint(slot.room, >=, used);
	g_assert_cmpuint(slot.room, <=, asked);
	for (int i = 0; i < slot.n_pl; i++) { /* all of it, as a peek that finds more than is used afterwards; the rest is rubbish */
		for (uint32_t k = 0; k < slot.pl[i].iov_len; k++, done++)
			((uint8_t *)slot.pl[i].iov_base)[k] = done < used ? pattern(done) : 0xee;
	}
	g_assert_cmpuint(done, ==, slot.room);
	m = head_of(slot.head, used);
	w->link->ops->tx_put(w->link, &slot, &m, used);
	w->link->ops->tx_flush(w->link);
}

/* The next IPv4 frame that the guest gets. */
static uint32_t guest_gets(struct world *w, uint8_t *b, size_t size)
{
	struct pollfd p = { w->guest, POLLIN, 0 };
	ssize_t n;

	do {
		g_assert_cmpint(poll(&p, 1, WAIT_MS), ==, 1);
		n = recv(w->guest, b, size, 0);
		g_assert_cmpint(n, >=, 14);
	} while (bytes_get16(b + 12) != 0x0800);
	return (uint32_t)n;
}

static uint32_t tcp_sum(const uint8_t *b, uint32_t len)
{
	struct addr src = addr_from_v4(b + 26), dst = addr_from_v4(b + 30);

	return naive_sum(naive_pseudo(&src, &dst, 6, len - 34), b + 34, len - 34, 0);
}

/* Pieces of at most MSS, each a segment of its own and right to the last bit. */
static void check_pieces(struct world *w, uint32_t used)
{
	for (uint32_t off = 0, index = 0; off < used || !index; index++) {
		uint32_t len = MIN(used - off, (uint32_t)MSS);
		uint8_t b[70000];

		g_assert_cmpuint(guest_gets(w, b, sizeof(b)), ==, HEAD + len);
		g_assert_cmpuint(bytes_get16(b + 16), ==, 40 + len);
		g_assert_cmpuint(naive_sum(0, b + 14, 20, 0), ==, 0xffff);
		g_assert_cmpuint(bytes_get32(b + 38), ==, 1000000 + off);
		g_assert_cmpuint(b[47], ==, off + len == used ? 0x18 : 0x10);
		g_assert_cmpuint(tcp_sum(b, HEAD + len), ==, 0xffff);
		for (uint32_t i = 0; i < len; i++)
			g_assert_cmpuint(b[HEAD + i], ==, pattern(off + i));
		off += len;
	}
}

/* Slots are asked for what might come and filled with what has come: less than one piece of many, all of it, anything between. */
static void send_plain(void)
{
	static const uint32_t asked[] = { 0, 1, 999, 1000, 1001, 2500, 8000, 60000 }, parts[] = { 0, 1, 2, 3, 7, 1000 };
	struct world w = { 0 };

	begin(&w, false, 1500);
	g_assert_false(w.link->caps.tso4 || w.link->caps.tso6);
	g_assert_cmpuint(w.link->caps.guest_queue, >, 0);
	for (unsigned i = 0; i < G_N_ELEMENTS(asked); i++) {
		for (unsigned k = 0; k < G_N_ELEMENTS(parts); k++) {
			uint32_t used = parts[k] ? asked[i] / parts[k] : asked[i] ? asked[i] - 1 : 0;

			put(&w, asked[i], used);
			check_pieces(&w, used);
		}
	}
	g_assert_cmpuint(w.link->tx_lost, ==, 0);
	end(&w);
}

/* The kernel gets one super-frame and shows it to a packet socket as one. */
static void send_offload(void)
{
	static const uint32_t sizes[] = { 0, 1, 1000, 1001, 30000, 60000 };
	struct world w = { 0 };
	uint8_t b[70000];

	begin(&w, true, 1500);
	g_assert_true(w.link->caps.tso4 && w.link->caps.tso6);
	g_assert_cmpuint(w.link->caps.guest_queue, ==, 0);
	for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
		put(&w, sizes[i] + 500, sizes[i]);
		g_assert_cmpuint(guest_gets(&w, b, sizeof(b)), ==, HEAD + sizes[i]);
		g_assert_cmpuint(bytes_get32(b + 38), ==, 1000000);
		for (uint32_t k = 0; k < sizes[i]; k++)
			g_assert_cmpuint(b[HEAD + k], ==, pattern(k));
	}
	g_assert_cmpuint(w.link->tx_lost, ==, 0);
	end(&w);
}

/* A slot that is not put has no effect. */
static void abandoned(void)
{
	struct world w = { 0 };
	struct tx_slot slot;

	begin(&w, false, 1500);
	g_assert_true(w.link->ops->tx_get(w.link, &slot, HEAD, 5000, MSS));
	put(&w, 10, 10);
	check_pieces(&w, 10);
	end(&w);
}

/* ------------------------------------------------------------------ failures */

static void gone(const void *arg)
{
	struct world w = { 0 };
	bool more;
	int status;

	begin(&w, GPOINTER_TO_INT(arg), 1500);
	g_assert_true(g_spawn_command_line_sync("ip link delete play0", NULL, NULL, &status, NULL));
	g_assert_cmpint(status, ==, 0);
	g_assert_cmpint(w.link->ops->rx(w.link, &w.stack, 8, 1, &more), <, 0);
	put(&w, 100, 100); /* nobody is there, nothing breaks */
	g_assert_cmpuint(w.link->tx_lost, ==, 1);
	end(&w);
}

static void not_a_tap(void)
{
	g_autoptr(GError) err = NULL;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	g_assert_null(link_tap_new(fd, 1500, &err));
	g_assert_nonnull(err);
	g_assert_cmpint(fcntl(fd, F_GETFD), ==, -1); /* it was ours to close */
}

static void name_taken(void)
{
	g_autoptr(GError) err = NULL;

	g_assert_cmpint(link_tap_create("lo", true, &err), ==, -1);
	g_assert_nonnull(err);
}

/* ------------------------------------------------------------------ a namespace of our own */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		g_error("%s: %s", path, g_strerror(errno));
	close(fd);
}

static void leave_the_machine(void)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[32];

	if (unshare(CLONE_NEWNET | (uid ? CLONE_NEWUSER : 0)) < 0)
		g_error("no network namespace: %s", g_strerror(errno));
	if (!uid)
		return;
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	write_file("/proc/self/gid_map", map);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	leave_the_machine();
	g_test_add_data_func("/link_tap/receive/plain", GINT_TO_POINTER(0), receive);
	g_test_add_data_func("/link_tap/receive/offload", GINT_TO_POINTER(1), receive);
	g_test_add_data_func("/link_tap/receive/many-plain", GINT_TO_POINTER(0), receive_many);
	g_test_add_data_func("/link_tap/receive/many-offload", GINT_TO_POINTER(1), receive_many);
	g_test_add_func("/link_tap/send/plain", send_plain);
	g_test_add_func("/link_tap/send/offload", send_offload);
	g_test_add_func("/link_tap/send/abandoned", abandoned);
	g_test_add_data_func("/link_tap/gone/plain", GINT_TO_POINTER(0), gone);
	g_test_add_data_func("/link_tap/gone/offload", GINT_TO_POINTER(1), gone);
	g_test_add_func("/link_tap/not-a-tap", not_a_tap);
	g_test_add_func("/link_tap/name-taken", name_taken);
	return g_test_run();
}
