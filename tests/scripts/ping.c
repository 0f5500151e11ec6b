/* ping.c - echo in a script: "guest ping", "host echo", "host got echo", "expect echo".
 *
 * Below: craft.h, play.h.  Above: guest.c, host.c, expect.c, fake.c.
 */
#include "slirp/base/bytes.h"
#include "slirp/wire/ip_wire.h"
#include "tests/scripts/craft.h"

#include <string.h>

/* "ADDRESS (LENGTH) [id N] [seq N]"; the words behind stay. */
static bool ping_words(struct play *p, struct words *w, struct echo *e, int64_t *len)
{
	const char *end, *far = words_next(w), *length = words_next(w);
	int64_t id = 7, seq = 1;

	if (!far || !addr_parse(far, &e->far, NULL) || !length || *length != '(' || !script_number(length + 1, len, &end) || strcmp(end, ")"))
		return play_fail(p, "ADDRESS (LENGTH) [id N] [seq N]");
	if ((words_take(w, "id") && !words_number(w, &id)) || (words_take(w, "seq") && !words_number(w, &seq)))
		return play_fail(p, "id N, seq N");
	e->id = (uint16_t)id;
	e->seq = (uint16_t)seq;
	e->guest = addr_is_v4(&e->far) ? p->cfg.guest4 : p->cfg.guest6;
	return true;
}

/* "ttl N", "tos N", "df N" in any order; df may be NULL */
static bool ping_facts(struct play *p, struct words *w, int64_t *ttl, int64_t *tos, int64_t *df)
{
	for (;;) {
		int64_t *to = words_take(w, "ttl") ? ttl : words_take(w, "tos") ? tos : df && words_take(w, "df") ? df : NULL;

		if (!to)
			return true;
		if (!words_number(w, to))
			return play_fail(p, "ttl N, tos N, df N");
	}
}

bool ping_guest(struct play *p, struct words *w)
{
	g_autoptr(GByteArray) l4 = g_byte_array_new();
	struct echo e = { 0 };
	const char *wrong;
	struct craft m;
	int64_t len;
	bool v6;

	craft_init(&m);
	if (!ping_words(p, w, &e, &len))
		return false;
	wrong = craft_parse(&m, w);
	if (wrong)
		return play_fail(p, "this line is not understood: %s", wrong);
	v6 = !addr_is_v4(&e.far);
	craft_put16(l4, v6 ? 0x8000 : 0x0800);
	craft_put16(l4, 0);
	craft_put16(l4, e.id);
	craft_put16(l4, e.seq);
	for (int64_t i = 0; i < len; i++) {
		uint8_t b = play_pattern(e.id, false, (uint32_t)i);

		g_byte_array_append(l4, &b, 1);
	}
	play_note(p, "guest ping id %u seq %u (%" G_GINT64_FORMAT ")", e.id, e.seq, len);
	return guest_packet(p, &m, &e.guest, &e.far, v6 ? IP_PROTO_ICMPV6 : IP_PROTO_ICMP, l4);
}

enum reason ping_asked(struct stack_host *h, const struct echo *e, const struct iovec *data, int n, uint32_t len, int64_t now)
{
	struct play *p = container_of(h, struct play, host);
	struct echo_seen *seen;
	uint32_t pos = 0;

	if (now != p->now)
		play_fail(p, "echo with a time that is not now");
	play_note(p, "host echo id %u seq %u (%u)", e->id, e->seq, len);
	if (p->echo_answer != R_ACCEPTED)
		return p->echo_answer;
	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < data[i].iov_len; k++, pos++)
			if (((const uint8_t *)data[i].iov_base)[k] != play_pattern(e->id, false, pos))
				play_fail(p, "echo data differs at byte %u", pos);
	if (pos != len)
		play_fail(p, "echo data of %u bytes came as %u", len, pos);
	seen = g_new(struct echo_seen, 1);
	*seen = (struct echo_seen){ .echo = *e, .len = len };
	g_queue_push_tail(&p->echoes, seen);
	return R_ACCEPTED;
}

/* "host got echo ADDRESS (LENGTH) [id N] [seq N] [ttl N] [tos N] [df N]" */
bool ping_host_got(struct play *p, struct words *w)
{
	g_autofree struct echo_seen *seen = g_queue_pop_head(&p->echoes);
	struct echo e = { 0 };
	int64_t len, ttl = 64, tos = 0, df = -1;

	if (!ping_words(p, w, &e, &len) || !ping_facts(p, w, &ttl, &tos, &df))
		return false;
	if (!seen)
		return play_fail(p, "expected an echo request, got none");
	if (seen->len != len || seen->echo.id != e.id || seen->echo.seq != e.seq || seen->echo.hop_limit != ttl ||
	    seen->echo.tos != tos || (df >= 0 && seen->echo.dont_fragment != df) ||
	    !addr_eq(&seen->echo.far, &e.far) || !addr_eq(&seen->echo.guest, &e.guest))
		return play_fail(p, "got echo id %u seq %u ttl %u tos %u df %d (%u)", seen->echo.id, seen->echo.seq, seen->echo.hop_limit,
				 seen->echo.tos, seen->echo.dont_fragment, seen->len);
	return true;
}

/* "host echo ADDRESS (LENGTH) ... [ttl N] [tos N]": stack_echo();  "host echo error WHY ADDRESS (0) ... [mtu N] [from ADDRESS]": stack_echo_error() */
bool ping_host(struct play *p, struct words *w)
{
	static const char *const names[] = { [ICMP_UNREACH_NET] = "net", [ICMP_UNREACH_HOST] = "host", [ICMP_UNREACH_PORT] = "port",
					     [ICMP_UNREACH_ADMIN] = "admin", [ICMP_UNREACH_SIZE] = "size", [ICMP_UNREACH_HOPS] = "hops",
					     [ICMP_UNREACH_LATE] = "late" };
	bool error = words_take(w, "error"), has_from = false;
	const char *name = error ? words_next(w) : "net";
	g_autofree uint8_t *data = NULL;
	struct echo e = { 0 };
	struct iovec iov[2];
	int64_t len, mtu = 0, ttl = 0, tos = 0;
	struct addr from;
	size_t why = 0;

	while (why < G_N_ELEMENTS(names) && name && strcmp(name, names[why]))
		why++;
	if (!name || why == G_N_ELEMENTS(names) || !ping_words(p, w, &e, &len) || (words_take(w, "mtu") && !words_number(w, &mtu)))
		return play_fail(p, "host echo [error WHY] ADDRESS (LENGTH) [id N] [seq N] [mtu N] [from ADDRESS]");
	has_from = words_take(w, "from");
	if (has_from && (!words_peek(w) || !addr_parse(words_next(w), &from, NULL)))
		return play_fail(p, "from ADDRESS");
	if (!ping_facts(p, w, &ttl, &tos, NULL))
		return false;
	e.hop_limit = (uint8_t)ttl;
	e.tos = (uint8_t)tos;
	if (!play_start(p))
		return false;
	if (error) {
		stack_echo_error(p->st, &e, (enum icmp_unreach)why, (uint32_t)mtu, has_from ? &from : NULL, p->now);
		return true;
	}
	data = g_malloc((gsize)len + 1);
	for (int64_t i = 0; i < len; i++)
		data[i] = play_pattern(e.id, false, (uint32_t)i);
	iov[0] = (struct iovec){ data, (size_t)len / 3 };
	iov[1] = (struct iovec){ data + len / 3, (size_t)(len - len / 3) };
	p->last_drop = stack_echo(p->st, &e, iov, 2, (uint32_t)len);
	return true;
}

/* "expect echo ADDRESS (LENGTH) [id N] [seq N] [ttl N] [tos N] [in N]": a reply, whose data is the guest's; in: so many fragments */
bool ping_expect(struct play *p, struct words *w, struct out *o)
{
	struct echo e = { 0 };
	int64_t len, ttl = 64, tos = 0, pieces = 0;

	if (!ping_words(p, w, &e, &len))
		return false;
	if (!ping_facts(p, w, &ttl, &tos, NULL) || (words_take(w, "in") && !words_number(w, &pieces)))
		return play_fail(p, "expect echo ADDRESS (LENGTH) [id N] [seq N] [ttl N] [tos N] [in N]");
	if (!o)
		return play_fail(p, "no echo reply came");
	if (o->hop_limit != ttl || o->tos != tos || o->pieces != pieces)
		return play_fail(p, "the echo reply came with ttl %u, tos %u, in %u fragments", o->hop_limit, o->tos, o->pieces);
	return (o->icmp_type == (o->v6 ? 129 : 0) && !o->icmp_code && o->len == len && o->mtu == ((uint32_t)e.id << 16 | e.seq) &&
		addr_eq(&o->addr, &e.far)) ||
	       play_fail(p, "no such echo reply\n#   got: %s (%u) id %u seq %u", o->text, o->len, o->mtu >> 16, o->mtu & 0xffff);
}

void ping_judge(struct play *p, struct out *o, const uint8_t *l4)
{
	o->mtu = bytes_get32(l4 + 4);
	for (uint32_t i = 0; i < o->len; i++) {
		if (l4[8 + i] != play_pattern((uint16_t)(o->mtu >> 16), false, i)) {
			play_fail(p, "echo reply whose data differs at byte %u", i);
			return;
		}
	}
}
