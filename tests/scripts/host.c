/* host.c - the verb "host": what the far side of a connection does, and questions about what was done to it.
 *
 * Below: play.h, slirp/tcp_open.h.  Above: play.c.
 */
#include "slirp/tcp_connect.h"
#include "slirp/tcp_export.h"
#include "slirp/tcp_open.h"
#include "tests/scripts/play.h"

#include <errno.h>
#include <string.h>

static bool host_alive(struct play *p, struct conn *c, bool opened)
{
	if (!c->flow)
		return play_fail(p, "the core has no connection for guest port %u", c->port);
	if (opened != (c->accepted || c->active))
		return play_fail(p, "the connection of guest port %u %s", c->port, opened ? "was never accepted" : "is accepted already");
	return true;
}

/* ---- the outcome of a dial */

static bool host_connected(struct play *p, struct conn *c)
{
	if (!host_alive(p, c, false))
		return false;
	c->accepted = true;
	tcp_open_accept(&c->flow->c, &c->flow->up, p->now);
	fake_reap(p);
	return true;
}

static bool host_refuse(struct play *p, struct conn *c, enum reason why)
{
	if (!host_alive(p, c, false))
		return false;
	tcp_open_refuse(&c->flow->c, why, p->now);
	fake_reap(p);
	return true;
}

static bool host_refuse_words(struct play *p, struct words *w, struct conn *c)
{
	const char *name = words_next(w);
	enum reason why;

	if (!name || !play_reason(name, &why))
		return play_fail(p, "no such reason: %s", name ? name : "nothing");
	return host_refuse(p, c, why);
}

/* "host connect [refused REASON]": a connection toward the guest, from the far side's address to the guest's port */
static bool host_connect(struct play *p, struct words *w, struct conn *c)
{
	struct tuple t = { c->guest, c->far };
	enum reason want = R_ACCEPTED, got;
	struct fake_flow *f;

	if (words_take(w, "refused") && !(words_peek(w) && play_reason(words_next(w), &want)))
		return play_fail(p, "host connect refused REASON");
	f = g_new0(struct fake_flow, 1);
	f->conn = c;
	f->up.ops = &fake_ops;
	got = tcp_connect(p->st, &f->c, &t, &f->up, p->now);
	if (got != want) {
		g_free(f);
		return play_fail(p, "tcp_connect() says %s", reason_name(got));
	}
	if (got) {
		g_free(f);
		return true;
	}
	if (c->flow)
		return play_fail(p, "tcp_connect() while the connection of guest port %u is not gone", c->port);
	c->flow = f;
	c->active = true;
	c->accepted = false;
	return true;
}

/* "host moves [refused REASON]": the connection goes over into a stack of its own, as into another process */
static bool host_moves(struct play *p, struct words *w, struct conn *c)
{
	struct fake_flow *f = g_new0(struct fake_flow, 1);
	enum reason want = R_ACCEPTED, got;
	struct stack_stats stats;
	struct tcp_export e;

	f->conn = c;
	f->up.ops = &fake_ops;
	if (words_take(w, "refused") && !(words_peek(w) && play_reason(words_next(w), &want)))
		play_fail(p, "host moves refused REASON");
	got = c->flow ? tcp_conn_export(&c->flow->c, &e, p->now) : R_IMPORT_INVALID;
	if (got != want || got) {
		g_free(f);
		return got == want || play_fail(p, "tcp_conn_export() says %s", reason_name(got));
	}
	tcp_export_release(&c->flow->c);
	fake_reap(p);
	stack_stats(p->st, &stats);
	if (stats.conns || c->gone_why != R_EXPORTED)
		return play_fail(p, "something is left in the old stack");
	c->gones--;
	stack_flush(p->st, p->now);
	stack_free(p->st);
	p->st = NULL;
	if (!play_start(p))
		return false;
	c->flow = f;
	got = tcp_conn_import(p->st, &f->c, &e, &f->up, p->now);
	return got == R_ACCEPTED || play_fail(p, "tcp_conn_import() says %s", reason_name(got));
}

/* ---- what the far side does */

static bool host_touch(struct play *p, struct conn *c)
{
	if (c->flow && (c->accepted || c->active))
		tcp_conn_touch(&c->flow->c);
	return true;
}

static bool host_sends(struct play *p, struct words *w, struct conn *c)
{
	int64_t n;

	if (!words_number(w, &n))
		return play_fail(p, "host sends NUMBER");
	c->offered += (uint64_t)n;
	return host_touch(p, c);
}

static bool host_space(struct play *p, struct words *w, struct conn *c)
{
	int64_t n = PLAY_SPACE;

	if (!words_take(w, "auto") && !words_number(w, &n))
		return play_fail(p, "host space NUMBER or host space auto");
	c->space = (uint32_t)n;
	return host_touch(p, c);
}

static bool host_errno(const char *name, int *ret)
{
	static const struct {
		const char *name;
		int value;
	} list[] = { { "EPIPE", EPIPE }, { "ECONNRESET", ECONNRESET }, { "EIO", EIO }, { "ETIMEDOUT", ETIMEDOUT } };

	for (size_t i = 0; name && i < G_N_ELEMENTS(list); i++)
		if (!strcmp(list[i].name, name)) {
			*ret = list[i].value;
			return true;
		}
	return false;
}

/* "host fails REASON" tells the core; "host fails peek ERRNO" and "host fails write ERRNO" let it find out. */
static bool host_fails(struct play *p, struct words *w, struct conn *c)
{
	enum reason why;
	const char *name;

	if (words_take(w, "peek"))
		return host_errno(words_next(w), &c->peek_error) ? host_touch(p, c) : play_fail(p, "no such error");
	if (words_take(w, "write"))
		return host_errno(words_next(w), &c->write_error) || play_fail(p, "no such error");
	name = words_next(w);
	if (!name || !play_reason(name, &why))
		return play_fail(p, "no such reason");
	if (!host_alive(p, c, true))
		return false;
	tcp_conn_reset(&c->flow->c, why, p->now);
	fake_reap(p);
	return true;
}

static bool host_reset(struct play *p, struct conn *c)
{
	if (!host_alive(p, c, true))
		return false;
	tcp_conn_reset(&c->flow->c, R_HOST_RESET, p->now);
	fake_reap(p);
	return true;
}

static bool host_drops(struct play *p, struct words *w, struct conn *c)
{
	enum reason why;
	const char *name = words_next(w);

	if (!name || !play_reason(name, &why))
		return play_fail(p, "host drops REASON");
	if (!c->flow)
		return play_fail(p, "the core has no connection for guest port %u", c->port);
	tcp_conn_drop(&c->flow->c, why, p->now);
	fake_reap(p);
	return true;
}

static bool host_limit(struct play *p, struct words *w, uint32_t *limit)
{
	int64_t n;

	if (words_take(w, "all")) {
		*limit = 0;
		return true;
	}
	if (!words_take(w, "at") || !words_take(w, "most") || !words_number(w, &n))
		return play_fail(p, "host takes|peeks at most NUMBER, or all");
	*limit = (uint32_t)n;
	return true;
}

/* "host answers REASON": to the next SYN; "host answers dgram REASON": to datagrams from now on; likewise echo */
static bool host_answers(struct play *p, struct words *w)
{
	enum reason *where = words_take(w, "dgram") ? &p->dgram_answer : words_take(w, "echo") ? &p->echo_answer : &p->syn_answer;
	const char *name = words_next(w);

	return (name && play_reason(name, where)) || play_fail(p, "host answers REASON");
}

/* "10.0.2.3:53", "[fd00::3]:53" */
static bool host_far(const char *text, struct endpoint *ret)
{
	const char *end;
	int64_t port;

	if (!text)
		return false;
	addr_parse(*text == '[' ? text + 1 : text, &ret->addr, &end);
	end += *end == ']';
	if (*end != ':' || !script_number(end + 1, &port, &end))
		return false;
	ret->port = (uint16_t)port;
	return true;
}

/* "host dgram error size 192.0.2.1:9 [mtu 1400] [from 192.0.2.7]": stack_dgram_error() */
static bool host_dgram_error(struct play *p, struct words *w, uint16_t port)
{
	static const char *const names[] = { [ICMP_UNREACH_NET] = "net", [ICMP_UNREACH_HOST] = "host", [ICMP_UNREACH_PORT] = "port",
					     [ICMP_UNREACH_ADMIN] = "admin", [ICMP_UNREACH_SIZE] = "size", [ICMP_UNREACH_HOPS] = "hops",
					     [ICMP_UNREACH_LATE] = "late" };
	const char *name = words_next(w);
	struct tuple t = { 0 };
	struct addr from;
	int64_t mtu = 0;
	size_t why = 0;
	bool has_from;

	while (why < G_N_ELEMENTS(names) && name && strcmp(name, names[why]))
		why++;
	if (!name || why == G_N_ELEMENTS(names) || !host_far(words_next(w), &t.far))
		return play_fail(p, "host dgram error net|host|port|admin|size|hops|late ADDRESS:PORT");
	t.guest = (struct endpoint){ addr_is_v4(&t.far.addr) ? p->cfg.guest4 : p->cfg.guest6, port };
	if (words_take(w, "mtu") && !words_number(w, &mtu))
		return play_fail(p, "mtu NUMBER");
	has_from = words_take(w, "from");
	if (has_from && (!words_peek(w) || !addr_parse(words_next(w), &from, NULL)))
		return play_fail(p, "from ADDRESS");
	if (!play_start(p))
		return false;
	stack_dgram_error(p->st, &t, (enum icmp_unreach)why, (uint32_t)mtu, has_from ? &from : NULL, p->now);
	return true;
}

/* "host dgram 10.0.2.3:53 (20) [by 10] [tos N]": to the guest; by: a run of datagrams of that size */
static bool host_dgram(struct play *p, struct words *w, uint16_t port)
{
	const char *from, *len, *end;
	struct tuple t = { 0 };
	g_autofree uint8_t *data = NULL;
	struct dgram_meta m = { 0 };
	struct iovec iov[2];
	int64_t n, by = 0, tos = 0;

	if (words_take(w, "error"))
		return host_dgram_error(p, w, port);
	from = words_next(w);
	len = words_next(w);
	if (!host_far(from, &t.far) || !len || *len != '(' || !script_number(len + 1, &n, &end) || strcmp(end, ")"))
		return play_fail(p, "host dgram ADDRESS:PORT (LENGTH)");
	if (words_take(w, "by") && !words_number(w, &by))
		return play_fail(p, "by NUMBER");
	if (words_take(w, "tos") && !words_number(w, &tos))
		return play_fail(p, "tos NUMBER");
	m.tos = (uint8_t)tos;
	m.gso_size = (uint16_t)by;
	t.guest = (struct endpoint){ addr_is_v4(&t.far.addr) ? p->cfg.guest4 : p->cfg.guest6, port };
	data = g_malloc((gsize)n + 1);
	for (int64_t i = 0; i < n; i++)
		data[i] = play_pattern(port, true, (uint32_t)(by ? i % by : i));
	if (!play_start(p))
		return false;
	iov[0] = (struct iovec){ data, (size_t)n / 3 }; /* in two pieces that fit nothing */
	iov[1] = (struct iovec){ data + n / 3, (size_t)(n - n / 3) };
	p->last_drop = stack_dgram(p->st, &t, &m, iov, 2, (uint32_t)n);
	return true;
}

/* ---- questions */

static bool host_count(struct play *p, uint32_t *count, uint32_t want, const char *what)
{
	uint32_t n = *count;

	*count = 0;
	return n == want || play_fail(p, "%s: expected %u, got %u", what, want, n);
}

/* "(12) [ttl N] [tos N] [by N] [df N]": a datagram, or a run of them */
static bool host_got_dgram(struct play *p, struct words *w)
{
	g_autofree struct dgram_seen *d = g_queue_pop_head(&p->dgrams);
	const char *len = words_next(w), *end;
	int64_t n;

	if (!len || *len != '(' || !script_number(len + 1, &n, &end))
		return play_fail(p, "host got dgram (LENGTH)");
	if (!d)
		return play_fail(p, "expected a datagram, got none");
	if (d->len != n)
		return play_fail(p, "expected a datagram of %" G_GINT64_FORMAT " bytes, got %u", n, d->len);
	while (words_peek(w)) {
		const char *name = words_next(w);
		const struct {
			const char *name;
			int64_t got;
		} facts[] = { { "ttl", d->meta.hop_limit }, { "tos", d->meta.tos }, { "by", d->meta.gso_size }, { "df", d->meta.dont_fragment } };
		size_t i = 0;

		while (i < G_N_ELEMENTS(facts) && strcmp(facts[i].name, name))
			i++;
		if (i == G_N_ELEMENTS(facts) || !words_number(w, &n))
			return play_fail(p, "ttl, tos, by or df, and a number");
		if (facts[i].got != n)
			return play_fail(p, "expected %s %" G_GINT64_FORMAT ", got %" G_GINT64_FORMAT, name, n, facts[i].got);
	}
	return true;
}

/* "host got 10 [in 1 write]", "host got fin", "host got reset", "host got dgram (12)", "host got nothing" */
static bool host_got(struct play *p, struct words *w, struct conn *c)
{
	uint64_t got = c->written - c->got_seen;
	int64_t n = 0, writes;

	if (words_take(w, "fin"))
		return host_count(p, &c->fins, 1, "shutdown() calls");
	if (words_take(w, "reset"))
		return host_count(p, &c->resets, 1, "abort() calls");
	if (words_take(w, "dgram"))
		return host_got_dgram(p, w);
	if (words_take(w, "echo"))
		return ping_host_got(p, w);
	if (!words_take(w, "nothing") && !words_number(w, &n))
		return play_fail(p, "host got NUMBER, nothing, fin, reset or dgram");
	c->got_seen = c->written;
	if (got != (uint64_t)n)
		return play_fail(p, "expected the host to get %" G_GINT64_FORMAT " bytes, it got %" G_GUINT64_FORMAT, n, got);
	if (words_take(w, "in")) {
		if (!words_number(w, &writes) || !(words_take(w, "write") || words_take(w, "writes")))
			return play_fail(p, "host got N in M writes");
		return host_count(p, &c->writes, (uint32_t)writes, "write() calls");
	}
	c->writes = 0;
	return true;
}

static bool host_consumed(struct play *p, struct words *w, struct conn *c)
{
	uint64_t n = c->consumed - c->consumed_seen;
	int64_t want;

	if (!words_number(w, &want))
		return play_fail(p, "host consumed NUMBER");
	c->consumed_seen = c->consumed;
	return n == (uint64_t)want ||
	       play_fail(p, "expected consume() of %" G_GINT64_FORMAT " bytes, got %" G_GUINT64_FORMAT, want, n);
}

static bool host_outcome(struct play *p, struct words *w, struct conn *c, bool *known)
{
	*known = true;
	if (words_take(w, "connected"))
		return host_connected(p, c);
	if (words_take(w, "refused"))
		return host_refuse(p, c, R_DIAL_REFUSED);
	if (words_take(w, "denied"))
		return host_refuse(p, c, R_DENIED);
	if (words_take(w, "timeout"))
		return host_refuse(p, c, R_DIAL_TIMEOUT);
	if (words_take(w, "unreachable"))
		return host_refuse(p, c, words_take(w, "net") ? R_NET_UNREACHABLE :
					 words_take(w, "host") ? R_HOST_UNREACHABLE : R_DIAL_REFUSED);
	if (words_take(w, "refuse"))
		return host_refuse_words(p, w, c);
	*known = false;
	return true;
}

bool host_line(struct play *p, struct words *w, uint16_t port)
{
	struct conn *c = play_conn(p, port);
	bool known, fine;

	if (!play_asks(w))
		states_host(p, c, words_peek(w));
	fine = host_outcome(p, w, c, &known);
	if (known)
		return fine;
	if (words_take(w, "connect"))
		return host_connect(p, w, c);
	if (words_take(w, "moves"))
		return host_moves(p, w, c);
	if (words_take(w, "established"))
		return host_count(p, &c->established, words_take(w, "not") ? 0 : 1, "tcp_established calls");
	if (words_take(w, "sends"))
		return host_sends(p, w, c);
	if (words_take(w, "eof")) {
		c->eof = true;
		return host_touch(p, c);
	}
	if (words_take(w, "touch"))
		return host_touch(p, c);
	if (words_take(w, "space"))
		return host_space(p, w, c);
	if (words_take(w, "takes"))
		return host_limit(p, w, &c->take_max);
	if (words_take(w, "peeks"))
		return host_limit(p, w, &c->peek_max);
	if (words_take(w, "reset"))
		return host_reset(p, c);
	if (words_take(w, "fails"))
		return host_fails(p, w, c);
	if (words_take(w, "drops"))
		return host_drops(p, w, c);
	if (words_take(w, "answers"))
		return host_answers(p, w);
	if (words_take(w, "dgram"))
		return host_dgram(p, w, port);
	if (words_take(w, "echo"))
		return ping_host(p, w);
	if (words_take(w, "dials"))
		return host_count(p, &c->dials, words_take(w, "not") ? 0 : 1, "dials");
	if (words_take(w, "got"))
		return host_got(p, w, c);
	if (words_take(w, "consumed"))
		return host_consumed(p, w, c);
	return play_fail(p, "host does not know \"%s\"", words_peek(w) ? words_peek(w) : "");
}
