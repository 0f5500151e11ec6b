/* expect.c - the questions of a script: what should have come out, what should have ended, and how.
 *
 * Below: play.h.  Above: play.c.
 */
#include "tests/scripts/lease.h"

#include <string.h>

static void expect_out_free(struct out *o)
{
	if (o)
		g_free(o->text);
	g_free(o);
}

/* The oldest frame of the connection (or of the kind, where there is no connection), or simply the oldest. */
static struct out *expect_take(struct play *p, enum out_kind kind, uint16_t port)
{
	for (GList *l = p->outs.head; l; l = l->next) {
		struct out *o = l->data;
		bool match = kind == OUT_TCP || kind == OUT_ICMP ? o->conn && o->conn->port == port : o->kind == kind;

		if (match || p->strict_order || (kind == OUT_ICMP && o->kind == OUT_ICMP)) {
			g_queue_delete_link(&p->outs, l);
			return o;
		}
	}
	return NULL;
}

static bool expect_differs(struct play *p, const struct out *o, const char *what)
{
	const struct out *other = g_queue_peek_head(&p->outs);

	if (o)
		return play_fail(p, "%s\n#   got: %s", what, o->text);
	return play_fail(p, "no such frame came%s%s", other ? "; the oldest one waiting is: " : "", other ? other->text : "");
}

static bool expect_time(struct play *p, const struct out *o)
{
	int64_t early = p->now - o->at;

	return early <= PLAY_TOLERANCE || play_fail(p, "the frame left %.3f s before\n#   got: %s", (double)early / 1e6, o->text);
}

static const char *expect_sack(const struct tcp_seg *s, const struct notation_opts *n)
{
	if (s->n_sack != n->n_sack)
		return "number of SACK blocks differs";
	for (int i = 0; i < s->n_sack; i++)
		if (s->sack[i].start != n->sack[i].start || s->sack[i].end != n->sack[i].end)
			return "SACK blocks differ";
	return NULL;
}

static const char *expect_opts(const struct tcp_seg *s, const struct notation_opts *n)
{
	if (s->has_mss != n->has_mss || (n->has_mss && !n->any_mss && s->mss != n->mss))
		return "MSS option differs";
	if (s->sack_permitted != n->has_sackok)
		return "SACK-permitted option differs";
	if (s->has_wscale != n->has_wscale || (n->has_wscale && !n->any_wscale && s->wscale != n->wscale))
		return "window scale option differs";
	if (s->has_ts != n->has_ts || (n->has_ts && !n->any_tsval && s->tsval != n->tsval))
		return "timestamp value differs";
	if (n->has_ts && !n->any_tsecr && s->tsecr != n->tsecr)
		return "timestamp echo differs";
	return expect_sack(s, n);
}

static const char *expect_window(const struct conn *c, const struct tcp_seg *s, const struct notation *n)
{
	uint32_t bytes = s->window << (s->flags & TCP_SYN || !c->guest_wscale_ok ? 0 : c->wscale);

	if (n->has_win && s->window != n->win)
		return "window differs";
	if ((n->wnd_op == '=' && bytes != n->wnd) || (n->wnd_op == '<' && bytes > n->wnd) || (n->wnd_op == '>' && bytes < n->wnd))
		return "window in bytes differs";
	return NULL;
}

static const char *expect_segment(const struct out *o, const struct notation *n, uint32_t gso)
{
	const struct tcp_seg *s = &o->seg;
	uint8_t flags = s->flags;

	if (o->kind != OUT_TCP)
		return "no TCP segment";
	if (!(n->flags & TCP_PSH)) /* PSH, and ACK beside RST, matter only where they are asked for */
		flags &= (uint8_t)~TCP_PSH;
	if (n->flags == TCP_RST)
		flags &= (uint8_t)~TCP_ACK;
	if (flags != n->flags)
		return "flags differ";
	if (n->has_seq && (s->seq != n->seq || s->len != n->end - n->seq))
		return "sequence numbers differ";
	if (!n->has_seq && s->len)
		return "it has payload";
	if (n->has_ack && s->ack != n->ack)
		return "ack differs";
	if (o->gso != gso)
		return "super-frame or not: gso differs";
	if (n->opts.written) {
		const char *wrong = expect_opts(s, &n->opts);

		if (wrong)
			return wrong;
	}
	return expect_window(o->conn, s, n);
}

static bool expect_tcp(struct play *p, struct words *w, uint16_t port)
{
	struct notation n;
	const char *wrong = notation_parse(w, &n);
	int64_t gso = 0;
	struct out *o;
	bool fine;

	if (!wrong && words_take(w, "gso") && !words_number(w, &gso))
		wrong = "gso NUMBER";
	if (!wrong && words_peek(w))
		wrong = words_peek(w);
	notation_clear(&n);
	if (wrong)
		return play_fail(p, "this line is not understood: %s", wrong);
	o = expect_take(p, OUT_TCP, port);
	if (!o)
		return expect_differs(p, NULL, NULL);
	wrong = expect_segment(o, &n, (uint32_t)gso);
	fine = wrong ? expect_differs(p, o, wrong) : expect_time(p, o);
	expect_out_free(o);
	return fine;
}

/* "expect bytes 1:14481 by 1448": any number of segments of that size, contiguous; only the last one may be shorter */
static bool expect_bytes(struct play *p, struct words *w, uint16_t port)
{
	const char *range = words_next(w), *end;
	int64_t at, last, by = 0;

	if (!range || !script_number(range, &at, &end) || *end != ':' || !script_number(end + 1, &last, &end))
		return play_fail(p, "expect bytes FROM:TO [by N]");
	if (words_take(w, "by") && !words_number(w, &by))
		return play_fail(p, "expect bytes FROM:TO [by N]");
	while (at < last) {
		struct out *o = expect_take(p, OUT_TCP, port);
		uint32_t len = o ? o->seg.len : 0;
		bool fine = o && o->kind == OUT_TCP && o->seg.seq == at && len && at + len <= last && !(o->seg.flags & ~(TCP_ACK | TCP_PSH)) &&
			    (!by || len == MIN(by, last - at));

		if (!fine) {
			play_fail(p, "the next segment should have begun at %" G_GINT64_FORMAT, at);
			if (o)
				g_string_append_printf(p->fail, "#   got: %s\n", o->text);
		}
		fine = fine && expect_time(p, o);
		expect_out_free(o);
		if (!fine)
			return false;
		at += len;
	}
	return true;
}

/* "mtu N", "long N" (bytes of the packet), "id N", "from ADDRESS", "about ADDRESS:PORT": of an ICMP error; about an echo: its id, and its sequence number as PORT */
static bool expect_icmp_fact(const struct out *o, struct words *w)
{
	char name[ENDPOINT_STRLEN];
	struct addr from;
	int64_t n;

	if (words_take(w, "mtu"))
		return words_number(w, &n) && o->mtu == n;
	if (words_take(w, "id"))
		return words_number(w, &n) && o->port == n;
	if (words_take(w, "long"))
		return words_number(w, &n) && o->len + (o->v6 ? 48 : 28) == n;
	if (words_take(w, "from"))
		return words_peek(w) && addr_parse(words_next(w), &from, NULL) && addr_eq(&from, &o->addr);
	return words_take(w, "about") && words_peek(w) && !strcmp(words_next(w), endpoint_format(&o->far, name));
}

/* "expect icmp net|host|port|admin|size|hops|late [mtu N] [from ADDRESS] [about ADDRESS:PORT]": RFC 792 and RFC 1812; icmp6: RFC 4443 */
static bool expect_icmp(struct play *p, struct words *w, uint16_t port, bool v6)
{
	static const struct {
		const char *name;
		uint8_t type4, code4, type6, code6;
	} list[] = { { "net", 3, 0, 1, 0 }, { "host", 3, 1, 1, 3 }, { "port", 3, 3, 1, 4 }, { "admin", 3, 13, 1, 1 },
		     { "size", 3, 4, 2, 0 }, { "hops", 11, 0, 3, 0 }, { "late", 11, 1, 3, 1 } };
	const char *name = words_next(w);
	struct out *o = expect_take(p, OUT_ICMP, port);
	bool fine = false;

	for (size_t i = 0; i < G_N_ELEMENTS(list) && !fine; i++)
		fine = o && name && !strcmp(name, list[i].name) && o->kind == OUT_ICMP && o->v6 == v6 &&
		       o->icmp_type == (v6 ? list[i].type6 : list[i].type4) &&
		       o->icmp_code == (v6 ? list[i].code6 : list[i].code4);
	while (fine && words_peek(w))
		fine = expect_icmp_fact(o, w);
	fine = fine ? expect_time(p, o) : expect_differs(p, o, "no such ICMP error");
	expect_out_free(o);
	return fine;
}

/* "expect arp reply 10.0.2.2 is-at gw", "expect na fd00::2 [is-at gw] [solicited] [override]" */
static bool expect_neighbour(struct play *p, struct words *w, enum out_kind kind)
{
	const char *text = words_next(w);
	struct mac mac = p->cfg.gw_mac;
	struct addr addr;
	struct out *o;
	bool fine = text && addr_parse(text, &addr, NULL);

	if (fine && words_take(w, "is-at") && !words_take(w, "gw"))
		fine = words_peek(w) && eth_wire_mac_parse(words_next(w), &mac, NULL);
	if (!fine)
		return play_fail(p, "expect arp reply ADDRESS is-at gw, or expect na ADDRESS is-at gw");
	o = expect_take(p, kind, 0);
	fine = o && o->kind == kind && addr_eq(&o->addr, &addr) && mac_eq(&o->mac, &mac);
	for (; fine && words_peek(w);)
		fine = words_take(w, "solicited") ? o->solicited : words_take(w, "unsolicited") ? !o->solicited :
		       words_take(w, "override") ? o->override : words_take(w, "router") ? o->router : false;
	fine = fine ? expect_time(p, o) : expect_differs(p, o, "no such neighbour answer");
	expect_out_free(o);
	return fine;
}

/* "expect udp 10.0.2.3:53 (20) [gso N] [tos N] [in N]": in: that many fragments */
static bool expect_udp(struct play *p, struct words *w)
{
	struct out *o = expect_take(p, OUT_UDP, 0);
	const char *from = words_next(w), *len = words_next(w);
	int64_t pieces = 0;
	g_autofree char *want = NULL;
	char name[ENDPOINT_STRLEN];
	int64_t gso = 0, tos = 0;
	bool fine;

	if (words_take(w, "gso") && !words_number(w, &gso))
		return play_fail(p, "gso NUMBER");
	if (words_take(w, "tos") && !words_number(w, &tos))
		return play_fail(p, "tos NUMBER");
	if (!o || !from || !len || (words_take(w, "in") && !words_number(w, &pieces)))
		return expect_differs(p, o, "expect udp ADDRESS:PORT (LENGTH)");
	want = g_strdup_printf("(%u)", o->len);
	fine = o->kind == OUT_UDP && o->gso == gso && o->tos == tos && !strcmp(from, endpoint_format(&o->far, name)) && !strcmp(len, want);
	if (fine && o->pieces != pieces)
		play_fail(p, "the datagram came in %u fragments", o->pieces);
	fine = fine ? expect_time(p, o) : expect_differs(p, o, "no such datagram");
	expect_out_free(o);
	return fine;
}

static bool expect_echo(struct play *p, struct words *w)
{
	struct out *o = expect_take(p, OUT_ECHO, 0);
	bool fine = ping_expect(p, w, o) && expect_time(p, o);

	expect_out_free(o);
	return fine;
}

/* "expect dhcp offer yiaddr=10.0.2.15 3=10.0.2.2 !119": see lease.h */
static bool expect_lease(struct play *p, struct words *w, enum out_kind kind)
{
	struct out *o = expect_take(p, kind, 0);
	const char *wrong = o && o->kind == kind ? lease_compare(o->text, w) : "the whole answer";
	g_autofree char *text = wrong ? g_strdup_printf("differs: %s", wrong) : NULL;
	bool fine = wrong ? expect_differs(p, o, text) : expect_time(p, o);

	expect_out_free(o);
	return fine;
}

/* "expect fragments N": of a packet that never became whole */
static bool expect_fragments(struct play *p, struct words *w)
{
	uint32_t n = gather_forget(p);
	int64_t want;

	if (!words_number(w, &want))
		return play_fail(p, "expect fragments NUMBER");
	return n == want || play_fail(p, "of the oldest unfinished packet %u fragments came", n);
}

bool expect_line(struct play *p, struct words *w, uint16_t port)
{
	if (words_take(w, "arp"))
		return words_take(w, "reply") ? expect_neighbour(p, w, OUT_ARP) : play_fail(p, "expect arp reply ADDRESS is-at gw");
	if (words_take(w, "na"))
		return expect_neighbour(p, w, OUT_NA);
	if (words_take(w, "icmp"))
		return expect_icmp(p, w, port, false);
	if (words_take(w, "icmp6"))
		return expect_icmp(p, w, port, true);
	if (words_take(w, "echo"))
		return expect_echo(p, w);
	if (words_take(w, "dhcp"))
		return expect_lease(p, w, OUT_DHCP);
	if (words_take(w, "dhcp6"))
		return expect_lease(p, w, OUT_DHCP6);
	if (words_take(w, "ra"))
		return expect_lease(p, w, OUT_RA);
	if (words_take(w, "udp"))
		return expect_udp(p, w);
	if (words_take(w, "fragments"))
		return expect_fragments(p, w);
	if (words_take(w, "bytes"))
		return expect_bytes(p, w, port);
	return expect_tcp(p, w, port);
}

bool expect_silence(struct play *p, uint16_t port, bool any_port)
{
	for (GList *l = p->outs.head; l; l = l->next) {
		struct out *o = l->data;

		if (any_port || (o->conn && o->conn->port == port))
			return play_fail(p, "expected silence\n#   got: %s", o->text);
	}
	return true;
}

/* "gone CLOSED": tcp_gone was called once, with that reason */
bool expect_gone(struct play *p, struct words *w, uint16_t port)
{
	struct conn *c = play_conn(p, port);
	const char *name = words_next(w);
	uint32_t n = c->gones;
	enum reason why;

	if (!name || !play_reason(name, &why))
		return play_fail(p, "gone REASON");
	c->gones = 0;
	if (n != 1)
		return play_fail(p, "expected one tcp_gone(), got %u", n);
	return c->gone_why == why || play_fail(p, "expected tcp_gone(%s), got %s", name, reason_name(c->gone_why));
}

/* "drop REASON": what stack_input() or stack_dgram() returned last */
bool expect_drop(struct play *p, struct words *w)
{
	const char *name = words_next(w);
	enum reason why;

	if (!name || !play_reason(strcmp(name, "none") ? name : "ACCEPTED", &why))
		return play_fail(p, "drop REASON, or drop none");
	return p->last_drop == why || play_fail(p, "expected drop %s, got %s", name, reason_name(p->last_drop));
}

/* "counted REASON [N]": how often, since the last line that asked about this reason */
bool expect_counted(struct play *p, struct words *w)
{
	const char *name = words_next(w);
	enum reason why;
	int64_t want = -1;
	uint64_t n;

	if (!name || !play_reason(name, &why) || (words_peek(w) && !words_number(w, &want)))
		return play_fail(p, "counted REASON [NUMBER]");
	n = p->drops.n[why] - p->drops_seen.n[why];
	p->drops_seen.n[why] = p->drops.n[why];
	return (want < 0 ? n > 0 : n == (uint64_t)want) || play_fail(p, "%s was counted %" G_GUINT64_FORMAT " times", name, n);
}

/* "stat retransmits 1": a total of struct stack_stats */
bool expect_stat(struct play *p, struct words *w)
{
	struct stack_stats s;
	const struct {
		const char *name;
		const uint64_t *at;
	} list[] = { { "retransmits", &s.retransmits }, { "rto_events", &s.rto_events }, { "acks_sent", &s.acks_sent },
		     { "time_waits", &s.time_waits }, { "to_host_bytes", &s.to_host_bytes }, { "to_guest_bytes", &s.to_guest_bytes } };
	const char *name = words_next(w);
	int64_t want;

	if (!play_start(p))
		return false;
	stack_stats(p->st, &s);
	if (!name || !words_number(w, &want))
		return play_fail(p, "stat NAME NUMBER");
	if (!strcmp(name, "conns"))
		return s.conns == want || play_fail(p, "expected %" G_GINT64_FORMAT " connections, there are %u", want, s.conns);
	for (size_t i = 0; i < G_N_ELEMENTS(list); i++)
		if (!strcmp(list[i].name, name))
			return *list[i].at == (uint64_t)want ||
			       play_fail(p, "expected %s %" G_GINT64_FORMAT ", got %" G_GUINT64_FORMAT, name, want, *list[i].at);
	return play_fail(p, "no such figure: %s", name);
}

static bool expect_conn_end(struct play *p, const struct conn *c)
{
	if (c->fins || c->resets || c->gones || c->dials)
		return play_fail(p, "guest port %u: nobody asked about %u dials, %u shutdown(), %u abort(), %u gone%s%s", c->port, c->dials,
				 c->fins, c->resets, c->gones, c->gones ? " " : "", c->gones ? reason_name(c->gone_why) : "");
	if (c->flow && !p->leftover_ok)
		return play_fail(p, "left over: the connection of guest port %u in state %s (\"leftover ok\" allows it)", c->port,
				 tcp_conn_state_name(c->flow->c.state));
	return true;
}

bool expect_end(struct play *p)
{
	GHashTableIter it;
	gpointer c;

	if (!p->leftover_ok && !expect_silence(p, 0, true))
		return false;
	if (!g_queue_is_empty(&p->gathers))
		return play_fail(p, "left over: fragments of a packet that is not whole (\"expect fragments N\")");
	g_hash_table_iter_init(&it, p->conns);
	while (g_hash_table_iter_next(&it, NULL, &c))
		if (!expect_conn_end(p, c))
			return false;
	return true;
}
