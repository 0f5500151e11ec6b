/* fuzz_ndp.c - neighbour and router solicitations and advertisements of a guest, with any options, through stack_input().
 *
 * Input: one byte of configuration, then messages: a byte of shape (addresses, hop limit, checksum, MAC), a byte of length, the ICMPv6
 * message.  What is held of each frame that leaves: it parses, hop limit 255, checksum right, at most one answer to a message and one router
 * advertisement beside it; a neighbour advertisement never speaks for the guest's own address; an initial advertisement comes only when its
 * deadline was announced.
 * Below: slirp.  Above: tests/meson.build.  Corpus: tests/fuzz/corpus/fuzz_ndp.
 */
#include "slirp/base/list.h"
#include "slirp/stack.h"
#include "slirp/wire/csum_wire.h"
#include "slirp/wire/ip_wire.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

enum { NDP_FRAME = 2048, NDP_MAX = 255, NDP_NA = 136, NDP_RA = 134, NDP_ECHO_REPLY = 129, NDP_ERROR_MAX = 127 };

struct ndp {
	struct stack_host host;
	struct stack_config cfg;
	struct stack *st;
	struct reason_tally drops;
	uint8_t tx[NDP_FRAME];
	uint32_t tx_head;
	bool full;
	unsigned adverts, routers; /* since the last input */
	int64_t now;
};

static void fuzz_check(bool good)
{
	if (!good)
		abort();
}

static struct addr fuzz_addr(const char *text)
{
	struct addr a;

	fuzz_check(addr_parse(text, &a, NULL));
	return a;
}

static bool ndp_tx_get(struct stack_host *h, struct tx_slot *slot, uint32_t head_len, uint32_t payload_len, uint32_t mss)
{
	struct ndp *z = container_of(h, struct ndp, host);

	(void)mss;
	if (z->full)
		return false;
	fuzz_check(head_len + payload_len <= sizeof(z->tx));
	memset(slot, 0, sizeof(*slot));
	slot->head = z->tx;
	slot->pl[0] = (struct iovec){ z->tx + head_len, payload_len };
	slot->n_pl = payload_len != 0;
	slot->room = payload_len;
	z->tx_head = head_len;
	return true;
}

static void ndp_tx_put(struct stack_host *h, struct tx_slot *slot, const struct frame_meta *meta, uint32_t used)
{
	struct ndp *z = container_of(h, struct ndp, host);
	uint32_t len = z->tx_head + used - ETH_HDR_LEN;
	const uint8_t *p = z->tx + ETH_HDR_LEN, *msg;
	struct addr target;
	struct ip ip;

	(void)slot;
	fuzz_check(meta->v6 && !ip_wire_parse(p, len, len, true, &ip));
	fuzz_check(ip.proto == IP_PROTO_ICMPV6 && ip.hdr_len + ip.payload_len == len);
	msg = p + ip.hdr_len;
	fuzz_check(csum_wire_fold(csum_wire_add(msg, ip.payload_len) + csum_wire_pseudo(&ip.src, &ip.dst, ip.proto, ip.payload_len)) == 0xffff);
	if (msg[0] == NDP_ECHO_REPLY || msg[0] <= NDP_ERROR_MAX)
		return; /* to an echo request, which a mutation makes of a message now and then */
	fuzz_check(msg[0] == NDP_NA || msg[0] == NDP_RA);
	fuzz_check(ip.hop_limit == 255 && !addr_is_unspecified(&ip.dst));
	z->adverts += msg[0] == NDP_NA;
	z->routers += msg[0] == NDP_RA;
	if (msg[0] == NDP_NA) {
		target = addr_from_v6(msg + 8);
		fuzz_check(!addr_eq(&target, &z->cfg.guest6) && addr_eq(&target, &ip.src));
	}
}

static enum reason ndp_syn(struct stack_host *h, const struct tuple *t, struct tcp_conn **ret)
{
	(void)h, (void)t, (void)ret;
	return R_DENIED;
}

static enum reason ndp_dgram(struct stack_host *h, const struct tuple *t, const struct dgram_meta *m, const struct iovec *data, int n,
			     uint32_t len, int64_t now)
{
	(void)h, (void)t, (void)m, (void)data, (void)n, (void)len, (void)now;
	return R_DENIED;
}

static enum reason ndp_echo(struct stack_host *h, const struct echo *e, const struct iovec *data, int n, uint32_t len, int64_t now)
{
	(void)h, (void)e, (void)data, (void)n, (void)len, (void)now;
	return R_DENIED;
}

static void ndp_start(struct ndp *z, uint8_t conf)
{
	struct stack_config *c = &z->cfg;

	stack_config_init(c);
	c->v4 = conf & 1;
	c->v6 = !(conf & 2) || !c->v4;
	c->slaac = conf & 4;
	c->gw_mac = (struct mac){ { 0x52, 0x55, 10, 0, 2, 2 } };
	c->guest_mac = (struct mac){ { 0x52, 0x54, 0, 0x12, 0x34, 0x56 } };
	c->gw4 = fuzz_addr("10.0.2.2");
	c->dns4 = fuzz_addr("10.0.2.3");
	c->guest4 = fuzz_addr("10.0.2.15");
	c->gw6 = fuzz_addr("fd00::2");
	c->dns6 = fuzz_addr("fd00::3");
	c->guest6 = fuzz_addr("fd00::15");
	prefix_parse("10.0.2.0/24", false, &c->net4, NULL, NULL);
	prefix_parse("fd00::/64", false, &c->net6, NULL, NULL);
	if (conf & 8)
		g_strlcpy(c->search, "guests.example a.test", sizeof(c->search));
	c->link.mtu = 1500;
	z->now = 1000000;
	z->host = (struct stack_host){ .tx_get = ndp_tx_get, .tx_put = ndp_tx_put, .tcp_syn = ndp_syn, .dgram = ndp_dgram, .echo = ndp_echo };
	z->st = stack_new(c, &z->host, &z->drops);
	if (conf & 16)
		stack_link_up(z->st, z->now);
}

/* One message in its frame. */
static uint32_t ndp_frame(const struct ndp *z, uint8_t shape, const uint8_t *msg, uint32_t len, uint8_t *ret)
{
	static const char *const from[] = { "fd00::15", "fe80::5054:ff:fe12:3456", "::", "fd00::77" };
	static const char *const to[] = { "ff02::1:ff00:2", "fd00::2", "ff02::2", "fe80::5055:aff:fe00:202" };
	struct ip ip = { .v6 = true, .src = fuzz_addr(from[shape & 3]), .dst = fuzz_addr(to[shape >> 2 & 3]), .proto = IP_PROTO_ICMPV6,
			 .hop_limit = shape & 16 ? 64 : 255, .payload_len = len };
	uint8_t *m = ret + ETH_HDR_LEN + IP6_HDR_LEN;
	uint16_t sum = 0;

	eth_wire_put(ret, &(struct eth){ z->cfg.gw_mac, z->cfg.guest_mac, ETH_TYPE_IPV6 });
	ip_wire_put(ret + ETH_HDR_LEN, &ip);
	memcpy(m, msg, len);
	if (len >= 4 && !(shape & 32)) {
		memcpy(m + 2, &sum, 2);
		sum = csum_wire_final(csum_wire_add(m, len) + csum_wire_pseudo(&ip.src, &ip.dst, IP_PROTO_ICMPV6, len));
		memcpy(m + 2, &sum, 2);
	}
	return ETH_HDR_LEN + IP6_HDR_LEN + len;
}

static void ndp_time(struct ndp *z, int64_t step)
{
	z->now += step;
	z->routers = 0;
	if (stack_deadline(z->st) <= z->now) {
		stack_expire(z->st, z->now);
		stack_flush(z->st, z->now);
		fuzz_check(stack_deadline(z->st) > z->now);
	}
	fuzz_check(z->routers <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ndp *z = g_new0(struct ndp, 1);
	uint8_t frame[ETH_HDR_LEN + IP6_HDR_LEN + NDP_MAX];
	size_t at = 1;

	ndp_start(z, size ? data[0] : 0);
	while (size > at + 2) {
		uint8_t shape = data[at], *copy;
		uint32_t len = (uint32_t)MIN(data[at + 1], size - at - 2), n = ndp_frame(z, shape, data + at + 2, len, frame);
		struct frame f = { .head_len = n };

		z->full = shape & 64;
		z->adverts = z->routers = 0;
		f.head = copy = g_memdup2(frame, n);
		stack_input(z->st, &f, z->now);
		stack_flush(z->st, z->now);
		fuzz_check(z->adverts <= 1 && z->routers <= 2 && (!z->full || !(z->adverts + z->routers)));
		g_free(copy);
		if (shape & 128)
			ndp_time(z, (int64_t)len * 5000000);
		at += 2 + len;
	}
	stack_free(z->st);
	g_free(z);
	return 0;
}
