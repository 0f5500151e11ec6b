/* libslirp_negative_test.c - what a guest should not send, through slirp_input(), as far as no script says it already.
 *
 * frames and headers: net/short, ip4, ip6, ip6_option, ethernet, udp_bad; libslirp_cve_test.  Fragments: net/frag_*, memory/fragments.
 * TCP: tcp/options, tcp/open/syn_with_data, port_zero, flags, tcp/data/urgent, wrap, mss, tcp/loss/persist, tcp/reset, tcp/close/simultaneous,
 * tcp/reset/ack_future; here bad_offset.  DHCP: net/dhcp4_bad, dhcp6_bad.  TFTP: libslirp_tftp_test.
 * ARP, NDP: net/arp_bad, ndp_bad, ra_bad; here told_by_a_guest.  ICMP errors: net/icmp_quote, echo_errors.  NC-SI: libslirp_ncsi_test.
 * Addresses: net/spoof, group; here nobodys_addresses.  A small MTU: libslirp_cve_test.  Descriptors, caps: memory/connections, test_limits.py.
 * Calls from inside: libslirp_test.  State: libslirp_save_test.
 */
#include "tests/unit/gateway/doors/libslirp_world.h"

/* Senders that nobody can be. */
static void nobodys_addresses(void)
{
	static const char *from4[] = { "0.0.0.0", "0.1.2.3", "255.255.255.255", "10.0.2.255", "10.0.2.0", "224.0.0.1", "127.0.0.1", "10.0.2.2", "10.0.2.3" };
	static const char *from6[] = { "::", "::1", "ff02::1", "fd00::2", "fd00::3" };
	uint8_t f[128];
	struct world w;

	begin(&w);
	for (unsigned i = 0; i < G_N_ELEMENTS(from4); i++) {
		app_ping(&w.a, from4[i], VHOST, 1);
		app_udp(&w.a, from4[i], 3000, VHOST, 9, "x", 1);
		app_tcp(&w.a, from4[i], PLACE, &(struct tcp_seg){ .sport = 5, .dport = 7, .flags = TCP_SYN, .window = 9 }, NULL, 0);
	}
	for (unsigned i = 0; i < G_N_ELEMENTS(from6); i++) {
		g_autofree uint8_t *msg = echo(ICMP6_ECHO_REQUEST, 16);

		hand(&w, f, ip6(f, from6[i], "fd00::2", IP_PROTO_ICMPV6, msg, 16, 2));
	}
	settle(&w);
	g_assert_cmpuint(w.a.n_out, ==, 0);
	g_assert_cmpuint(dropped(&w, R_SPOOFED_ADDR), ==, 3 * G_N_ELEMENTS(from4) + G_N_ELEMENTS(from6));
	end(&w);
}

/* TCP headers said to be shorter than a header or longer than the segment. */
static void bad_offset(void)
{
	struct addr src = app_addr(GUEST), dst = app_addr(PLACE);
	uint8_t l4[64], f[128];
	struct world w;
	uint16_t csum;

	begin(&w);
	for (uint32_t words = 0; words < 16; words++) {
		if (words == 5)
			continue;
		l4_wire_tcp_put(l4, &(struct tcp_seg){ .sport = 5, .dport = 7, .flags = TCP_SYN, .window = 9 });
		l4[12] = (uint8_t)(words << 4);
		csum = csum_wire_final(csum_wire_pseudo(&src, &dst, IP_PROTO_TCP, 20) + csum_wire_add(l4, 20));
		memcpy(l4 + TCP_CSUM_OFFSET, &csum, 2);
		refused(&w, f, ip4(f, PLACE, IP_PROTO_TCP, 1, 0, 5, l4, 20), R_L4_LENGTH);
	}
	end(&w);
}

/* Neighbour discovery that only routers may say, or that nobody can: no answer, and the gateway is who it was. */
static void told_by_a_guest(void)
{
	static const struct {
		uint8_t type;
		uint32_t len;
		const char *from, *to, *target;
		enum reason r;
	} said[] = {
		{ ICMP6_ROUTER_ADVERT, 16, "fe80::15", "ff02::1", NULL, R_ICMP_IGNORED },
		{ ICMP6_ROUTER_ADVERT, 16, "fe80::15", "fe80::2", NULL, R_ICMP_IGNORED },
		{ 137, 40, "fe80::15", "fe80::2", "fd00::2", R_ICMP_IGNORED }, /* a redirect */
		{ ICMP6_NEIGH_SOLICIT, 24, "fd00::15", "fd00::2", "ff02::1", R_NDP_MALFORMED },
		{ ICMP6_NEIGH_SOLICIT, 24, "::", "fd00::2", "fd00::2", R_NDP_MALFORMED }, /* not to the solicited nodes */
		{ ICMP6_NEIGH_SOLICIT, 23, "fd00::15", "fd00::2", "fd00::2", R_NDP_MALFORMED },
		{ ICMP6_NEIGH_ADVERT, 24, "fd00::15", "fd00::2", "ff02::1", R_NDP_MALFORMED },
		{ ICMP6_ROUTER_SOLICIT, 7, "fe80::15", "ff02::2", NULL, R_L4_LENGTH },
	};
	struct world w;

	begin(&w);
	for (unsigned i = 0; i < G_N_ELEMENTS(said); i++) {
		uint8_t msg[40] = { said[i].type }, f[128];
		uint32_t len;

		if (said[i].target)
			memcpy(msg + 8, app_addr(said[i].target).b, 16);
		len = ip6(f, said[i].from, said[i].to, IP_PROTO_ICMPV6, msg, said[i].len, 2);
		f[ETH_HDR_LEN + 7] = 255;
		refused(&w, f, len, said[i].r);
	}
	end(&w);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/libslirp_negative/nobodys_addresses", nobodys_addresses);
	g_test_add_func("/libslirp_negative/bad_offset", bad_offset);
	g_test_add_func("/libslirp_negative/told_by_a_guest", told_by_a_guest);
	return g_test_run();
}
