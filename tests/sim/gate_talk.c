/* gate_talk.c - the guest's datagrams: UDP to peers of several kinds, pings, questions for names.
 *
 * Each datagram says whose it is, which one, how long, and has a pattern of its own: so it arrives exactly as it was sent, or not at
 * all, and never at somebody else's.
 * Below: gate_pack.c.  Above: gate.c, gate_udp.c.
 *
 * prefixes: talk_
 */
#include "slirp/base/bytes.h"
#include "tests/sim/gate.h"

#include <string.h>

enum {
	TALK_HEAD = 12,
	TALK_PORTS = 6, /* shared by some */
	TALK_DNS_PORT = 53,
	TALK_QUESTION = 12 + 1 + 8 + 1 + 4,
	TALK_LARGE = 20000,
};

static uint8_t talk_byte(int nr, bool back, uint32_t seq, uint32_t at)
{
	return (uint8_t)((uint32_t)nr * 31 + seq * 7 + at * 13 + (at >> 8) * 5 + back * 99u);
}

uint32_t talk_fill(const struct talk *t, bool back, uint32_t seq, uint32_t len, uint8_t *p)
{
	len = MAX(len, TALK_HEAD);
	bytes_put16(p, 0x544b);
	p[2] = (uint8_t)t->nr;
	p[3] = back;
	bytes_put32(p + 4, seq);
	bytes_put32(p + 8, len);
	for (uint32_t i = TALK_HEAD; i < len; i++)
		p[i] = talk_byte(t->nr, back, seq, i);
	return len;
}

struct talk *talk_check(struct gate *g, const uint8_t *p, uint32_t len, bool back)
{
	struct talk *t;

	if (len < TALK_HEAD || bytes_get16(p) != 0x544b || p[2] >= g->n_talk || p[3] != back || bytes_get32(p + 8) != len)
		return NULL;
	t = &g->talk[p[2]];
	if (bytes_get32(p + 4) >= (back ? t->answered + 1 : t->sent + 1))
		return NULL;
	for (uint32_t i = TALK_HEAD; i < len; i++)
		if (p[i] != talk_byte(t->nr, back, bytes_get32(p + 4), i))
			return NULL;
	return t;
}

/* ---- making */

static struct addr talk_addr(const struct sim *s, int nr)
{
	struct addr a = sim_addr(s->v6 ? "2001:db8::100" : "192.0.2.100");

	a.b[15] = (uint8_t)(a.b[15] + nr);
	return a;
}

static void talk_init(struct talk *t, struct gate *g, int nr)
{
	struct sim *s = g->s;
	uint32_t what = sim_rand(s, 100);

	*t = (struct talk){ .gate = g, .nr = nr };
	t->kind = what < 65 ? TALK_UDP : what < 80 ? TALK_PING : what < 88 ? TALK_PING_GATEWAY : TALK_DNS;
	t->peer = sim_chance(s, 700) ? PEER_ANSWERS : sim_chance(s, 500) ? PEER_SILENT : PEER_REFUSES;
	t->port = (uint16_t)(GATE_TALK_PORT + sim_rand(s, TALK_PORTS));
	t->far = (struct endpoint){ talk_addr(s, nr), (uint16_t)(t->kind == TALK_UDP ? GATE_PEER_PORT + nr : 0) };
	if (t->kind == TALK_PING_GATEWAY)
		t->far.addr = s->v6 ? s->cfg.gw6 : s->cfg.gw4;
	if (t->kind == TALK_DNS) {
		t->far = (struct endpoint){ s->v6 ? s->cfg.dns6 : s->cfg.dns4, TALK_DNS_PORT };
		t->port = (uint16_t)(GATE_TALK_PORT + 100 + nr);
	}
	t->at = s->now + sim_time(s, 0, SIM_S);
	t->gap = sim_chance(s, 700) ? sim_time(s, 0, 20 * SIM_MS) : sim_time(s, 0, 100 * SIM_S);
	t->left = 1 + sim_rand(s, 30);
	t->size_max = sim_chance(s, 800) ? 1200 : TALK_LARGE;
	t->fragments = t->size_max > 1200;
}

void talk_make(struct gate *g)
{
	struct sim *s = g->s;

	g->n_talk = sim_chance(s, 500) ? (int)sim_rand(s, GATE_TALKS + 1) : 0;
	for (int i = 0; i < g->n_talk; i++)
		talk_init(&g->talk[i], g, i);
	g->dns_dead[0] = sim_chance(s, 200);
	g->dns_dead[1] = sim_chance(s, 200);
	g->dns_refuses = sim_chance(s, 500);
}

/* ---- the guest sends */

static uint32_t talk_question(const struct talk *t, uint32_t seq, uint8_t *p)
{
	memset(p, 0, TALK_QUESTION);
	bytes_put16(p, (uint16_t)(seq * 257 + (uint32_t)t->nr));
	p[2] = 1;
	p[5] = 1;
	p[12] = 8;
	for (int i = 0; i < 8; i++)
		p[13 + i] = (uint8_t)('a' + (seq + (uint32_t)i * (uint32_t)t->nr) % 26);
	p[TALK_QUESTION - 3] = 1;
	p[TALK_QUESTION - 1] = 1;
	return TALK_QUESTION;
}

static void talk_send(struct talk *t)
{
	static uint8_t l4[65536];
	struct gate *g = t->gate;
	struct sim *s = g->s;
	bool ping = t->kind == TALK_PING || t->kind == TALK_PING_GATEWAY;
	struct ip ip = { .v6 = s->v6, .src = sim_guest_end(s, 0).addr, .dst = t->far.addr, .hop_limit = 64, .proto = IP_PROTO_UDP };
	uint32_t len = t->kind == TALK_DNS ? talk_question(t, t->sent, l4 + UDP_HDR_LEN)
					   : talk_fill(t, false, t->sent, sim_rand(s, t->size_max + 1), l4 + UDP_HDR_LEN);
	uint32_t at = UDP_CSUM_OFFSET;
	uint16_t sum;

	if (ping) {
		ip.proto = s->v6 ? IP_PROTO_ICMPV6 : IP_PROTO_ICMP;
		memset(l4, 0, ICMP_HDR_LEN);
		l4[0] = s->v6 ? ICMP6_ECHO_REQUEST : ICMP4_ECHO_REQUEST;
		bytes_put16(l4 + 4, t->port);
		bytes_put16(l4 + 6, (uint16_t)t->sent);
		at = 2;
	} else {
		l4_wire_udp_put(l4, &(struct udp){ .sport = t->port, .dport = t->far.port, .len = len });
	}
	ip.payload_len = UDP_HDR_LEN + len;
	sum = csum_wire_final(csum_wire_add(l4, ip.payload_len) +
			      (ip.proto == IP_PROTO_ICMP ? 0 : csum_wire_pseudo(&ip.src, &ip.dst, ip.proto, ip.payload_len)));
	if (!sum && !ping)
		sum = 0xffff;
	memcpy(l4 + at, &sum, sizeof(sum));
	t->sent++;
	pack_send(g, &ip, l4, s->cfg.link.mtu, t->fragments && sim_chance(s, 100));
}

int64_t talk_next(const struct gate *g)
{
	int64_t at = SIM_NEVER;

	for (int i = 0; i < g->n_talk; i++)
		at = MIN(at, g->talk[i].left ? g->talk[i].at : SIM_NEVER);
	return at;
}

void talk_tick(struct gate *g)
{
	for (int i = 0; i < g->n_talk; i++) {
		struct talk *t = &g->talk[i];

		if (!t->left || t->at > g->s->now)
			continue;
		t->left--;
		t->at = g->s->now + sim_time(g->s, 0, t->gap);
		talk_send(t);
	}
}

bool talk_done(const struct gate *g)
{
	return talk_next(g) == SIM_NEVER;
}

/* ---- the guest gets */

static void talk_name(struct gate *g, uint16_t port, const uint8_t *p, uint32_t len)
{
	int nr = port - GATE_TALK_PORT - 100;
	const struct talk *t = nr >= 0 && nr < g->n_talk ? &g->talk[nr] : NULL;
	uint8_t want[TALK_QUESTION];

	for (uint32_t seq = 0; t && t->kind == TALK_DNS && seq < t->sent; seq++) {
		talk_question(t, seq, want);
		if (len == TALK_QUESTION && !memcmp(p, want, 2) && !memcmp(p + 12, want + 12, TALK_QUESTION - 12))
			return;
	}
	sim_fail(g->s, "an answer of %u bytes to port %u that repeats no question", len, port);
}

static void talk_udp(struct gate *g, const struct ip *ip, const uint8_t *p, uint32_t len)
{
	struct talk *t;
	struct udp u;

	if (l4_wire_udp_parse(p, len, len, &u)) {
		sim_fail(g->s, "a UDP header that does not parse");
		return;
	}
	sim_note(g->s, "port %u gets %u bytes from %u", u.dport, u.len, u.sport);
	if (u.sport == TALK_DNS_PORT) {
		talk_name(g, u.dport, p + UDP_HDR_LEN, u.len);
		return;
	}
	t = talk_check(g, p + UDP_HDR_LEN, u.len, true);
	if (!t)
		sim_fail(g->s, "a datagram of %u bytes from port %u reached the guest altered", u.len, u.sport);
	else if (t->port != u.dport || t->far.port != u.sport || !addr_eq(&t->far.addr, &ip->src))
		sim_fail(g->s, "a datagram of talk %d came from port %u to port %u", t->nr, u.sport, u.dport);
	else if (++t->returned > t->answered && !g->s->lossy)
		sim_fail(g->s, "talk %d got %u answers of %u", t->nr, t->returned, t->answered);
}

static void talk_ping(struct gate *g, const struct ip *ip, const uint8_t *p, uint32_t len)
{
	struct talk *t = len < ICMP_HDR_LEN ? NULL : talk_check(g, p + ICMP_HDR_LEN, len - ICMP_HDR_LEN, false);

	if (!t || bytes_get16(p + 4) != t->port || !addr_eq(&t->far.addr, &ip->src) || (t->kind != TALK_PING && t->kind != TALK_PING_GATEWAY))
		sim_fail(g->s, "an echo reply of %u bytes that answers no ping", len);
	else
		t->returned++;
}

bool talk_to_guest(struct sim *s, const struct ip *ip, const uint8_t *l4)
{
	struct gate *g = s->gate;
	uint32_t len = ip->payload_len;
	uint64_t sum;

	if (ip->is_fragment)
		l4 = pack_gather(g, ip, l4, &len);
	if (!l4)
		return true;
	sum = csum_wire_add(l4, len) + (ip->proto == IP_PROTO_ICMP ? 0 : csum_wire_pseudo(&ip->src, &ip->dst, ip->proto, len));
	if (csum_wire_final(sum))
		return ip->is_fragment && s->to_guest.faults.corrupt; /* else world.c looks */
	if (ip->proto == IP_PROTO_UDP)
		talk_udp(g, ip, l4, len);
	else if (ip->proto == (s->v6 ? IP_PROTO_ICMPV6 : IP_PROTO_ICMP) && l4[0] == (s->v6 ? ICMP6_ECHO_REPLY : ICMP4_ECHO_REPLY))
		talk_ping(g, ip, l4, len);
	else
		return false;
	return true;
}
