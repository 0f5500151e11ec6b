/* libslirp_cve_test.c - the classes of defects that libslirp was given CVE numbers for, each thrown at slirp_input() and the calls.
 *
 * Each test says which class it is.  Before each one the memory that frames are kept in is filled with marks, and the application's frame is
 * overwritten once it was handed in: no answer may hold either.  Afterwards the guest pings and talks TCP as ever.
 * Not here, as there is nothing to test: a DNS answer translated back (the relay's socket knows whose it is, whatever the resolver's port).
 *
 */
#include "tests/unit/gateway/doors/libslirp_world.h"

#include "slirp/wire/dhcp6_wire.h"
#include "slirp/wire/ncsi_wire.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the classes */

/* A datagram of source port 0 made a socket without an owner: NULL was followed. */
static void cve_2014_3640(void)
{
	uint8_t l4[UDP_HDR_LEN + 4] = { 0 }, f[256];
	struct world w;

	begin(&w);
	for (int i = 0; i < 3; i++) {
		l4_wire_udp_put(l4, &(struct udp){ .sport = i == 1 ? 4000 : 0, .dport = i == 0 ? 9 : 0, .len = 4 });
		refused(&w, f, ip4(f, VHOST, IP_PROTO_UDP, 1, 0, 5, l4, sizeof(l4)), R_TCP_PORT_ZERO);
		refused(&w, f, ip6(f, "fd00::15", "fd00::2", IP_PROTO_UDP, l4, sizeof(l4), 6), R_TCP_PORT_ZERO);
	}
	end(&w);
}

/* DHCP options that end behind the message: bytes behind it were read. */
static void cve_2017_11434(void)
{
	struct dhcp_msg m = { .op = DHCP_BOOTREQUEST, .htype = 1, .hlen = 6, .xid = 7 };
	uint8_t l4[512] = { 0 }, f[1024], *msg = l4 + UDP_HDR_LEN;
	struct dhcp_writer writer;
	struct world w;

	begin(&w);
	memcpy(m.chaddr, app_mac.b, 6);
	dhcp_wire_begin(&writer, msg, 500, &m);
	for (uint32_t len = 241; len < 300; len++) /* the last option runs over the end by one byte to 255 */
		for (int over = 0; over < 3; over++) {
			static const uint8_t codes[] = { DHCP_OPT_TYPE, DHCP_OPT_HOSTNAME, DHCP_OPT_REQUESTED };

			memset(msg + 240, 0, 200); /* padding in front of it */
			msg[len - 1] = codes[over];
			if (len > 241 && over) {
				msg[len - 2] = codes[over];
				msg[len - 1] = over == 1 ? 1 : 255;
			}
			l4_wire_udp_put(l4, &(struct udp){ .sport = 68, .dport = 67, .len = len });
			refused(&w, f, ip4(f, VHOST, IP_PROTO_UDP, 1, 0, 5, l4, UDP_HDR_LEN + len), R_DHCP_MALFORMED);
		}
	end(&w);
}

static void pull(struct app *a)
{
	struct tcp_seg seg = { .sport = 40001, .dport = 7, .seq = 102, .flags = TCP_RST };

	a->reenter = NULL;
	g_assert_cmpint(slirp_remove_guestfwd(a->slirp, app_in(PLACE), 7), ==, 0);
	app_tcp(a, GUEST, PLACE, &seg, NULL, 0);
	app_arp(a, GUEST, VHOST);
}

/* A connection was freed while its frames waited to be sent. */
static void cve_2017_13711(void)
{
	static uint8_t bulk[30000];
	struct tcp_seg seg;
	struct world w;

	begin(&w);
	connect_to(&w, 7, &seg);
	say(&w, &seg, TCP_ACK | TCP_PSH, "x", 1);
	take(&w, &seg, NULL);
	slirp_socket_recv(w.a.slirp, app_in(PLACE), 7, bulk, sizeof(bulk));
	w.a.reenter = pull; /* from inside the first of many frames that carry it */
	settle(&w);
	g_assert_null(w.a.reenter);
	forward(&w, 7);
	connect_to(&w, 7, &seg);
	slirp_socket_recv(w.a.slirp, app_in(PLACE), 7, bulk, sizeof(bulk));
	g_assert_cmpint(slirp_remove_guestfwd(w.a.slirp, app_in(PLACE), 7), ==, 0); /* before the turn that would send them */
	settle(&w);
	w.a.n_out = 0;
	forward(&w, 7);
	end(&w);

	begin(&w); /* the whole gateway goes while frames of both directions wait */
	connect_to(&w, 7, &seg);
	slirp_socket_recv(w.a.slirp, app_in(PLACE), 7, bulk, sizeof(bulk));
	for (int i = 0; i < 10; i++)
		app_ping(&w.a, GUEST, VHOST, (uint16_t)i);
	slirp_cleanup(w.a.slirp);
	g_string_free(w.heard, TRUE);
}

/* A packet put together from fragments was larger than the memory made for it. */
static void cve_2018_11806(void)
{
	static const struct {
		uint32_t first, each;
	} cuts[] = { { 8, 1480 }, { 1480, 8 }, { 1480, 1480 }, { 80, 400 }, { 1400, 1480 } };
	struct world w;

	begin(&w);
	for (unsigned i = 0; i < G_N_ELEMENTS(cuts); i++) {
		uint32_t len = cuts[i].each == 8 ? 1640 : 5003;
		g_autofree uint8_t *msg = echo(ICMP4_ECHO_REQUEST, len);

		w.a.n_out = 0;
		for (uint32_t at = 0, to = cuts[i].first; at < len; at = to, to = MIN(len, to + cuts[i].each))
			piece(&w, msg, at, to, (uint16_t)(i + 1), to < len, 5);
		settle(&w);
		echoed(&w, msg, len);
	}
	end(&w);
}

/* Whatever the protocol on these ports is: the bytes are carried as they are, nothing is looked at, changed or added. */
static void plain_bytes(uint16_t port, const char *text, uint32_t len)
{
	struct world w;

	begin(&w);
	forward(&w, port);
	talk(&w, port, text, len, 500);
	talk(&w, port, text, len, 1);
	end(&w);
}

/* ident: data were put behind the buffer's end. */
static void cve_2019_6778(void)
{
	char *bulk = g_malloc(6000);

	memset(bulk, '1', 6000);
	plain_bytes(113, "40001 , 113\r\n", 13);
	plain_bytes(113, bulk, 6000);
	g_free(bulk);
}

/* ident that is none: what lay on the stack was sent back. */
static void cve_2019_9824(void)
{
	plain_bytes(113, "\r\n", 2);
	plain_bytes(113, "%d , \r\nnothing\n", 15);
}

/* A first fragment larger than the buffer that was there. */
static void cve_2019_14378(void)
{
	static const uint32_t firsts[] = { 1600, 2048, 4096, 32768, 65000 };
	struct world w;

	begin(&w);
	for (unsigned i = 0; i < G_N_ELEMENTS(firsts); i++) {
		g_autofree uint8_t *msg = echo(ICMP4_ECHO_REQUEST, firsts[i] + 301);

		w.a.n_out = 0;
		piece(&w, msg, 0, firsts[i], (uint16_t)(i + 1), true, 5);
		piece(&w, msg, firsts[i], firsts[i] + 301, (uint16_t)(i + 1), false, 5);
		settle(&w);
		echoed(&w, msg, firsts[i] + 301);
	}
	end(&w);
}

/* A place in the queue of fragments was used after it was freed: refused, too old, too many, in every order. */
static void cve_2019_15890(void)
{
	g_autofree uint8_t *msg = echo(ICMP4_ECHO_REQUEST, 60008);
	struct world w;

	begin(&w);
	piece(&w, msg, 0, 80, 1, true, 5); /* the last one is missing */
	piece(&w, msg, 0, 80, 1, true, 5);
	settle(&w);
	g_assert_cmpuint(dropped(&w, R_FRAG_DUPLICATE), ==, 1);
	w.a.now_ns += 61000000000;
	settle(&w); /* which says so to the guest */
	g_assert_cmpuint(dropped(&w, R_FRAG_TIMEOUT), ==, 1);
	piece(&w, msg, 80, 160, 1, false, 5);
	settle(&w);
	for (uint16_t id = 2; id < 1500; id++) {
		piece(&w, msg, 80, 160, id, true, 5);
		settle(&w);
	}
	g_assert_cmpuint(dropped(&w, R_FRAG_EVICTED), >, 0);
	for (uint32_t at = 0; at < 60000; at += 16) {
		piece(&w, msg, at, at + 8, 1501, true, 5);
		settle(&w);
	}
	g_assert_cmpuint(dropped(&w, R_FRAG_TOO_MANY), >, 0);
	end(&w);
}

/* A fragment that overlaps others was taken out of the queue and used again. */
static void cve_2020_1983(void)
{
	g_autofree uint8_t *msg = echo(ICMP4_ECHO_REQUEST, 4000);
	static const uint16_t cuts[][4] = { { 0, 1480, 1472, 2960 }, { 0, 1480, 80, 160 }, { 80, 160, 0, 1480 }, { 80, 160, 0, 88 }, { 8, 16, 8, 24 } };
	struct world w;

	begin(&w);
	for (unsigned i = 0; i < G_N_ELEMENTS(cuts); i++) {
		uint64_t before = dropped(&w, R_FRAG_OVERLAP);

		piece(&w, msg, cuts[i][0], cuts[i][1], (uint16_t)(i + 1), true, 5);
		piece(&w, msg, cuts[i][2], cuts[i][3], (uint16_t)(i + 1), true, 5);
		piece(&w, msg, 2960, 4000, (uint16_t)(i + 1), false, 5);
		settle(&w);
		g_assert_cmpuint(dropped(&w, R_FRAG_OVERLAP), ==, before + 2);
		g_assert_cmpuint(w.a.n_out, ==, 0);
	}
	end(&w);
}

/* irc and realaudio: numbers of the text were written out longer than they came. */
static void cve_2020_7039(void)
{
	static const char irc[] = "PRIVMSG x :\1DCC SEND a 1 1\1\r\nPRIVMSG x :\1DCC CHAT chat 4294967295 65535\1";

	plain_bytes(6667, irc, sizeof(irc) - 1);
	plain_bytes(6668, irc, sizeof(irc) - 1);
	plain_bytes(7070, "PNA\0\x0c\0\1\0\2\0\0\1\2\0", 14);
}

/* ftp and the rest: the length that would have been written was taken for the one that was. */
static void cve_2020_8608(void)
{
	plain_bytes(21, "PORT 1,1,1,1,1,1\r\n227 Entering Passive Mode (10,0,2,15,255,255)\r\n", 66);
	plain_bytes(544, "65535", 6);
	plain_bytes(513, "\0root\0root\0vt100/9600", 22);
}

/* TFTP names with the other kind of slash. */
static void cve_2020_7211(void)
{
	static const char *names[] = { "..\\secret", "..\\..\\secret", "../secret", "a\\..\\..\\secret", "/../secret", "..", "\\" };
	g_autofree char *top = g_dir_make_tmp("slirpgate-XXXXXX", NULL), *secret = g_build_filename(top, "secret", NULL),
			*served = g_build_filename(top, "served", NULL);
	struct world w = { 0 };

	g_assert_true(g_file_set_contents(secret, "\xc3\xc3\xc3\xc3", 4, NULL)); /* the mark: clean() knows it */
	g_assert_cmpint(mkdir(served, 0700), ==, 0);
	app_init(&w.a);
	w.a.cfg.tftp_path = served;
	open_world(&w);
	for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
		char ask[64];
		int n = snprintf(ask, sizeof(ask), "%c%c%s%coctet", 0, 1, names[i], 0);

		w.a.n_out = 0;
		app_udp(&w.a, GUEST, (uint16_t)(2000 + i), VHOST, 69, ask, (uint32_t)n + 1);
		settle(&w);
		g_assert_cmpuint(w.a.n_out, ==, 1);
		g_assert_cmpuint(bytes_get16(w.a.out[0].b + 42), ==, 5); /* an error */
	}
	g_assert_cmpuint(dropped(&w, R_TFTP_REFUSED), ==, G_N_ELEMENTS(names));
	end(&w);
	g_assert_cmpint(unlink(secret) | rmdir(served) | rmdir(top), ==, 0);
}

/* An echo request of IPv6 said to be longer than what came: the rest of the answer was memory. */
static void cve_2020_10756(void)
{
	g_autofree uint8_t *msg = echo(ICMP6_ECHO_REQUEST, 400);
	uint8_t f[1514];
	struct world w;
	uint32_t len;

	begin(&w);
	len = ip6(f, "fd00::15", "fd00::2", IP_PROTO_ICMPV6, msg, 400, 2);
	for (uint32_t cut = len - 1; cut >= ETH_HDR_LEN + IP6_HDR_LEN; cut--)
		refused(&w, f, cut, R_IP_LENGTH);
	for (uint32_t cut = ETH_HDR_LEN + IP6_HDR_LEN - 1; cut >= ETH_HDR_LEN; cut--)
		refused(&w, f, cut, R_SHORT_FRAME);
	hand(&w, f, len);
	settle(&w);
	g_assert_cmpuint(w.a.n_out, ==, 1);
	g_assert_cmpuint(w.a.out[0].len, ==, len);
	g_assert_cmpmem(w.a.out[0].b + 58, 396, msg + 4, 396);
	end(&w);
}

/* NC-SI and ARP frames that end before their header does. */
static void cve_2020_29129_29130(void)
{
	uint8_t f[128];
	struct world w;

	begin(&w);
	memset(f, 0xff, 12);
	bytes_put16(f + 12, ETH_TYPE_NCSI);
	ncsi_wire_put(f + ETH_HDR_LEN, f + ETH_HDR_LEN + NCSI_HDR_LEN, &(struct ncsi_msg){ .type = 0x0a });
	for (uint32_t len = ETH_HDR_LEN; len < ETH_HDR_LEN + NCSI_HDR_LEN; len++)
		refused(&w, f, len, R_NCSI_SHORT);
	memcpy(f + 6, app_mac.b, 6);
	bytes_put16(f + 12, ETH_TYPE_ARP);
	for (uint32_t len = ETH_HDR_LEN; len < ETH_HDR_LEN + ARP_LEN; len++)
		refused(&w, f, len, R_ARP_MALFORMED);
	end(&w);
}

/* bootp, udp6, udp and tftp: a header was read that was not there. */
static void cve_2021_3592_to_3595(void)
{
	struct world w = { 0 };

	app_init(&w.a);
	w.a.cfg.tftp_path = "/nonexistent";
	open_world(&w);
	cuts(&w, VHOST, 68, 67, 0, 236, R_DHCP_MALFORMED);
	cuts(&w, VHOST, 3000, 69, 0, 4, R_TFTP_MALFORMED);
	cuts(&w, "fd00::2", 3000, 69, 0, 4, R_TFTP_MALFORMED);
	cuts(&w, "10.0.2.3", 3000, 53, 0, 12, R_DNS_MALFORMED);
	cuts(&w, "fd00::3", 3000, 53, 0, 12, R_DNS_MALFORMED);
	cuts(&w, "ff02::1:2", 546, 547, 0, 4, R_DHCP_MALFORMED);
	end(&w);
}

/* The last segment of a row ahead of a gap was looked for in the wrong place (4.8.0). */
static void tcp_reassembly(void)
{
	static const uint8_t orders[][5] = { { 4, 3, 2, 1, 0 }, { 1, 3, 4, 2, 0 }, { 4, 1, 4, 2, 3 }, { 2, 2, 4, 4, 4 } };
	static const char text[] = "aaabbbcccdddeee";
	struct world w;

	begin(&w);
	for (unsigned i = 0; i < G_N_ELEMENTS(orders); i++) {
		const uint8_t *back;
		struct tcp_seg seg, last;
		uint32_t base;
		GString *echoed_text = g_string_new(NULL);

		connect_to(&w, 7, &seg);
		base = seg.seq;
		for (int k = 0; k < 10; k++) { /* the order, then each in its place for what is still missing */
			uint32_t at = 3 * (k < 5 ? orders[i][k] : (uint32_t)k - 5);

			seg.seq = base + at;
			w.a.n_out = 0;
			say(&w, &seg, TCP_ACK | TCP_PSH, text + at, 3);
			if (!w.a.n_out)
				continue;
			last = take(&w, &seg, &back);
			g_string_append_len(echoed_text, (const char *)back, last.len);
		}
		g_assert_cmpstr(w.heard->str, ==, text);
		g_assert_cmpstr(echoed_text->str, ==, text);
		g_string_free(echoed_text, TRUE);
		seg.seq = base + 15;
		part(&w, &seg);
	}
	end(&w);
}

/* A transfer was used after an error had ended it (4.8.0). */
static void tftp_after_end(void)
{
	g_autofree char *dir = g_dir_make_tmp("slirpgate-XXXXXX", NULL), *file = g_build_filename(dir, "f", NULL);
	static const uint8_t error[] = { 0, 5, 0, 0, 'x', 0 }, ack[] = { 0, 4, 0, 1 };
	struct world w = { 0 };

	g_assert_true(g_file_set_contents(file, "0123456789abcdef", 16, NULL));
	app_init(&w.a);
	w.a.cfg.tftp_path = dir;
	open_world(&w);
	for (int i = 0; i < 30; i++) {
		w.a.n_out = 0;
		app_udp(&w.a, GUEST, 2000, VHOST, 69, "\0\1f\0octet", 10);
		settle(&w);
		g_assert_cmpuint(w.a.n_out, ==, 1);
		app_udp(&w.a, GUEST, 2000, VHOST, 69, error, sizeof(error));
		app_udp(&w.a, GUEST, 2000, VHOST, 69, ack, sizeof(ack)); /* in the same turn */
		app_udp(&w.a, GUEST, 2000, VHOST, 69, error, sizeof(error));
		settle(&w);
		g_assert_cmpuint(dropped(&w, R_TFTP_NO_TRANSFER), >=, (uint64_t)i + 1);
	}
	w.a.now_ns += 100000000000;
	w.a.n_out = 0;
	settle(&w);
	g_assert_cmpuint(w.a.n_out, ==, 0); /* nothing goes again */
	end(&w);
	g_assert_cmpint(unlink(file) | rmdir(dir), ==, 0);
}

/* An urgent pointer behind the data: a count went below zero, and the host's memory out. */
static void cve_2026_9539(void)
{
	static const uint16_t pointers[] = { 0, 1, 2, 5, 1460, 32768, 65535 };
	static const uint32_t lens[] = { 0, 1, 5 };
	struct world w;
	struct tcp_seg seg;
	GString *want = g_string_new(NULL);

	begin(&w);
	connect_to(&w, 7, &seg);
	for (unsigned i = 0; i < G_N_ELEMENTS(pointers) * G_N_ELEMENTS(lens); i++) {
		struct addr src = app_addr(GUEST), dst = app_addr(PLACE);
		uint32_t len = lens[i % G_N_ELEMENTS(lens)], hdr;
		uint8_t l4[64];
		uint16_t csum;

		seg.flags = TCP_ACK | TCP_URG;
		hdr = l4_wire_tcp_put(l4, &seg);
		bytes_put16(l4 + 18, pointers[i / G_N_ELEMENTS(lens)]);
		memcpy(l4 + hdr, "urgnt", len);
		g_string_append_len(want, "urgnt", len);
		csum = csum_wire_final(csum_wire_pseudo(&src, &dst, IP_PROTO_TCP, hdr + len) + csum_wire_add(l4, hdr + len));
		memcpy(l4 + TCP_CSUM_OFFSET, &csum, 2);
		w.a.n_out = 0;
		app_ip(&w.a, GUEST, PLACE, IP_PROTO_TCP, l4, hdr + len);
		seg.seq += len;
		settle(&w);
		if (len)
			g_assert_cmpuint(take(&w, &seg, NULL).len, ==, len);
		g_assert_cmpmem(w.heard->str, w.heard->len, want->str, want->len);
	}
	part(&w, &seg);
	g_string_free(want, TRUE);
	end(&w);
}

/* Fragments of one packet with headers of different length; and an IPv6 frame with more in it than the packet (4.9.4). */
static void frag_header_lengths(void)
{
	static const uint8_t words[][3] = { { 5, 15, 5 }, { 15, 5, 5 }, { 6, 5, 15 }, { 15, 15, 5 } };
	g_autofree uint8_t *msg = echo(ICMP4_ECHO_REQUEST, 3001), *msg6 = echo(ICMP6_ECHO_REQUEST, 40);
	uint8_t f[1514];
	struct world w;
	uint32_t len;

	begin(&w);
	for (unsigned i = 0; i < 2 * G_N_ELEMENTS(words); i++) {
		const uint8_t *h = words[i / 2];

		w.a.n_out = 0;
		for (int k = 0; k < 3; k++) {
			int at = i % 2 ? 2 - k : k; /* either order */

			piece(&w, msg, 1440 * at, at == 2 ? 3001 : 1440 * (at + 1), (uint16_t)(i + 1), at < 2, h[at]);
		}
		settle(&w);
		echoed(&w, msg, 3001);
	}
	w.a.n_out = 0;
	memset(f, MARK, sizeof(f));
	len = ip6(f, "fd00::15", "fd00::2", IP_PROTO_ICMPV6, msg6, 40, 2);
	hand(&w, f, len + 900);
	settle(&w);
	g_assert_cmpuint(w.a.n_out, ==, 1);
	g_assert_cmpuint(w.a.out[0].len, ==, len);
	end(&w);
}

static void inform(struct world *w, uint32_t duid)
{
	uint8_t l4[512] = { 0 }, f[1024], id[256];
	struct dhcp6_writer writer;

	memset(id, 7, sizeof(id));
	dhcp6_wire_begin(&writer, l4 + UDP_HDR_LEN, 480, DHCP6_INFORMATION_REQUEST, 5);
	dhcp6_wire_put(&writer, DHCP6_OPT_CLIENT_ID, id, duid);
	dhcp6_wire_put(&writer, DHCP6_OPT_ORO, "\0\x17\0\x18\0\x3b", 6);
	l4_wire_udp_put(l4, &(struct udp){ .sport = 546, .dport = 547, .len = writer.len });
	hand(w, f, ip6(f, "fe80::15", "ff02::1:2", IP_PROTO_UDP, l4, UDP_HDR_LEN + writer.len, 6));
}

/* Replies of DHCPv6 were longer than a small MTU let them; an OEM command of NC-SI that ends in the middle. */
static void cve_2026_95508(void)
{
	static const char *search[] = { "a-rather-long-label-to-begin-with.another-one-that-is-long.example.test", "b.test", NULL };
	static const size_t mtus[] = { 68, 100, 128, 256, 576, 1280 };
	static const uint8_t oem[12] = { 0, 0, 0x81, 0x19, 0, 0, 0x1b, 0 };
	uint8_t f[128];

	for (unsigned i = 0; i < G_N_ELEMENTS(mtus); i++) {
		struct world w = { 0 };
		uint32_t len;

		app_init(&w.a);
		w.a.cfg.version = 5;
		w.a.cfg.mfr_id = 0x8119;
		w.a.cfg.if_mtu = mtus[i];
		w.a.cfg.vdnssearch = search;
		w.a.cfg.tftp_server_name = "tftp.example.test";
		w.a.cfg.bootfile = "a/rather/long/name/of/a/file/to/boot/from";
		open_world(&w);
		for (uint32_t duid = 1; duid <= 256; duid += 5)
			inform(&w, duid);
		settle(&w);
		g_assert_cmpuint(w.a.n_out > 0, ==, mtus[i] >= 1280); /* IPv6 needs that much */
		for (unsigned k = 0; k < w.a.n_out; k++)
			g_assert_cmpuint(w.a.out[k].len, <=, MAX(60, ETH_HDR_LEN + mtus[i]));
		memset(f, 0xff, 12);
		bytes_put16(f + 12, ETH_TYPE_NCSI);
		for (uint32_t n = 0; n < sizeof(oem); n++) {
			ncsi_wire_put(f + ETH_HDR_LEN, f + ETH_HDR_LEN + NCSI_HDR_LEN,
				      &(struct ncsi_msg){ .type = 0x50, .len = (uint16_t)n, .payload = oem });
			for (len = ETH_HDR_LEN + NCSI_HDR_LEN; len < ETH_HDR_LEN + NCSI_HDR_LEN + n; len++)
				refused(&w, f, len, R_NCSI_SHORT);
		}
		end(&w);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/libslirp_cve/cve_2014_3640", cve_2014_3640);
	g_test_add_func("/libslirp_cve/cve_2017_11434", cve_2017_11434);
	g_test_add_func("/libslirp_cve/cve_2017_13711", cve_2017_13711);
	g_test_add_func("/libslirp_cve/cve_2018_11806", cve_2018_11806);
	g_test_add_func("/libslirp_cve/cve_2019_6778", cve_2019_6778);
	g_test_add_func("/libslirp_cve/cve_2019_9824", cve_2019_9824);
	g_test_add_func("/libslirp_cve/cve_2019_14378", cve_2019_14378);
	g_test_add_func("/libslirp_cve/cve_2019_15890", cve_2019_15890);
	g_test_add_func("/libslirp_cve/cve_2020_1983", cve_2020_1983);
	g_test_add_func("/libslirp_cve/cve_2020_7039", cve_2020_7039);
	g_test_add_func("/libslirp_cve/cve_2020_8608", cve_2020_8608);
	g_test_add_func("/libslirp_cve/cve_2020_7211", cve_2020_7211);
	g_test_add_func("/libslirp_cve/cve_2020_10756", cve_2020_10756);
	g_test_add_func("/libslirp_cve/cve_2020_29129_29130", cve_2020_29129_29130);
	g_test_add_func("/libslirp_cve/cve_2021_3592_to_3595", cve_2021_3592_to_3595);
	g_test_add_func("/libslirp_cve/tcp_reassembly", tcp_reassembly);
	g_test_add_func("/libslirp_cve/tftp_after_end", tftp_after_end);
	g_test_add_func("/libslirp_cve/cve_2026_9539", cve_2026_9539);
	g_test_add_func("/libslirp_cve/frag_header_lengths", frag_header_lengths);
	g_test_add_func("/libslirp_cve/cve_2026_95508", cve_2026_95508);
	return g_test_run();
}
