/* fake.c - what the core sees of the world: a link whose memory is cut as real links cut it, a host, and upstreams that hold the
 * core to its contract (upstream.h, stack.h): every call that breaks it fails the script.
 *
 * Payload has no buffer here: what an upstream offers is a pattern keyed by position, what it is given is compared with one.
 */
#include "slirp/base/bytes.h"
#include "slirp/base/list.h"
#include "tests/scripts/play.h"

#include <errno.h>
#include <string.h>

enum { FAKE_VRING_PIECE = 4000 }; /* with offload the slot's payload is scattered like this */

struct fake_slot {
	uint8_t *head;
	uint32_t head_len, mss;
	uint8_t *pieces[TX_SLOT_IOV];
	struct iovec pl[TX_SLOT_IOV];
	int n;
};

static struct play *fake_play(struct stack_host *h)
{
	return container_of(h, struct play, host);
}

static void fake_slot_drop(struct play *p)
{
	struct fake_slot *s = p->slot;

	if (!s)
		return;
	for (int i = 0; i < s->n; i++)
		g_free(s->pieces[i]);
	g_free(s->head);
	g_free(s);
	p->slot = NULL;
}

static bool fake_tx_get(struct stack_host *h, struct tx_slot *slot, uint32_t head_len, uint32_t payload_len, uint32_t mss)
{
	struct play *p = fake_play(h);
	struct fake_slot *s;
	uint32_t want = payload_len, step;

	fake_slot_drop(p); /* abandoning a slot is legal */
	if (p->link_room == 0) {
		play_note(p, "link full: no slot for %u bytes", payload_len);
		return false;
	}
	if (head_len - ETH_HDR_LEN + payload_len > 65535)
		play_fail(p, "tx_get asks for %u bytes of payload, more than an IP length can say", payload_len);
	if (p->slot_max && want > p->slot_max)
		want = p->slot_max;
	step = mss && !p->tso ? mss : p->tso ? FAKE_VRING_PIECE : want;
	s = g_new0(struct fake_slot, 1);
	s->head_len = head_len;
	s->mss = mss;
	s->head = g_malloc(head_len);
	memset(slot, 0, sizeof(*slot));
	while (want && s->n < TX_SLOT_IOV) {
		uint32_t len = MIN(want, step);

		s->pieces[s->n] = g_malloc(len);
		s->pl[s->n] = (struct iovec){ s->pieces[s->n], len };
		slot->pl[s->n] = s->pl[s->n];
		slot->room += len;
		want -= len;
		s->n++;
	}
	slot->head = s->head;
	slot->n_pl = s->n;
	slot->priv = s;
	p->slot = s;
	return true;
}

static void fake_emit(struct play *p, const uint8_t *head, uint32_t head_len, const struct iovec *pl, int n, uint32_t gso)
{
	g_autoptr(GByteArray) frame = g_byte_array_new();

	g_byte_array_append(frame, head, head_len);
	for (int i = 0; i < n; i++)
		g_byte_array_append(frame, pl[i].iov_base, (guint)pl[i].iov_len);
	judge_frame(p, frame->data, frame->len, gso);
}

/* A link that cuts: one frame per piece of the slot. */
static void fake_cut(struct play *p, struct fake_slot *s, const struct frame_meta *meta, uint32_t used)
{
	uint32_t off = 0;
	uint8_t head[256];

	for (int i = 0; off < used; i++) {
		uint32_t len = MIN(used - off, (uint32_t)s->pl[i].iov_len);
		struct iovec piece = { s->pl[i].iov_base, len };

		gso_wire_piece(head, s->head, meta, off, len, used, &piece, 1);
		fake_emit(p, head, meta->head_len, &piece, 1, 0);
		off += len;
	}
}

/* A link with offload: checks that the frame carries what a device needs, then completes the checksum as a device does. */
static void fake_offload(struct play *p, struct fake_slot *s, const struct frame_meta *meta, const struct iovec *pl, int n,
			 uint32_t used)
{
	g_autoptr(GByteArray) frame = g_byte_array_new();
	uint32_t csum_at = meta->l4_off + (meta->proto == IP_PROTO_TCP ? TCP_CSUM_OFFSET : UDP_CSUM_OFFSET);
	uint16_t sum;

	gso_wire_partial(s->head, meta, used);
	g_byte_array_append(frame, s->head, meta->head_len);
	for (int i = 0; i < n; i++)
		g_byte_array_append(frame, pl[i].iov_base, (guint)pl[i].iov_len);
	sum = (uint16_t)~judge_sum(frame->data + meta->l4_off, frame->len - meta->l4_off, 0);
	bytes_put16(frame->data + csum_at, sum);
	judge_frame(p, frame->data, frame->len, meta->mss && used > meta->mss ? meta->mss : 0);
}

static bool fake_meta_good(struct play *p, const struct fake_slot *s, const struct frame_meta *m, uint32_t used)
{
	uint32_t room = 0;

	for (int i = 0; i < s->n; i++)
		room += (uint32_t)s->pl[i].iov_len;
	if (used > room)
		return play_fail(p, "tx_put of %u payload bytes into a slot of %u", used, room);
	if (m->head_len != s->head_len)
		return play_fail(p, "meta.head_len is %u, the slot was asked with %u", m->head_len, s->head_len);
	if (m->proto && m->proto != IP_PROTO_TCP && m->proto != IP_PROTO_UDP)
		return play_fail(p, "meta.proto is %u", m->proto);
	if (m->proto && (m->l3_off != ETH_HDR_LEN || m->l4_off != ETH_HDR_LEN + ip_wire_hdr_len(m->v6)))
		return play_fail(p, "meta: headers at %u and %u", m->l3_off, m->l4_off);
	if (m->mss && m->mss != s->mss)
		return play_fail(p, "meta.mss is %u, the slot was asked with %u", m->mss, s->mss);
	return true;
}

static void fake_tx_put(struct stack_host *h, struct tx_slot *slot, const struct frame_meta *meta, uint32_t used)
{
	struct play *p = fake_play(h);
	struct fake_slot *s = p->slot;
	struct iovec pl[TX_SLOT_IOV];
	uint32_t left = used;
	int n = 0;

	if (!s || slot->priv != s) {
		play_fail(p, "tx_put of a slot that is not out");
		return;
	}
	if (!fake_meta_good(p, s, meta, used))
		return fake_slot_drop(p);
	if (p->link_room > 0)
		p->link_room--;
	for (; left && n < s->n; n++) {
		pl[n] = (struct iovec){ s->pl[n].iov_base, MIN(left, (uint32_t)s->pl[n].iov_len) };
		left -= (uint32_t)pl[n].iov_len;
	}
	if (!meta->proto) {
		fake_emit(p, s->head, meta->head_len, pl, n, 0);
	} else if (p->tso) {
		fake_offload(p, s, meta, pl, n, used);
	} else if (meta->mss && used > meta->mss) {
		fake_cut(p, s, meta, used);
	} else {
		gso_wire_checksum(s->head, meta, pl, n, used);
		fake_emit(p, s->head, meta->head_len, pl, n, 0);
	}
	fake_slot_drop(p);
}

static enum reason fake_tcp_syn(struct stack_host *h, const struct tuple *t, struct tcp_conn **ret)
{
	struct play *p = fake_play(h);
	struct conn *c = play_conn_find(p, t->guest.port);
	enum reason answer = p->syn_answer;

	p->syn_answer = R_ACCEPTED;
	if (!c || !endpoint_eq(&t->guest, &c->guest) || !endpoint_eq(&t->far, &c->far)) {
		play_fail(p, "tcp_syn for a connection that the script does not have (guest port %u)", t->guest.port);
		return R_DENIED;
	}
	c->dials++;
	play_note(p, "host@%u dial%s%s", c->port, answer == R_ACCEPTED ? "" : " answered ", answer == R_ACCEPTED ? "" : reason_name(answer));
	if (answer != R_ACCEPTED)
		return answer;
	if (c->flow)
		play_fail(p, "tcp_syn while the connection of guest port %u is not gone", c->port);
	c->flow = g_new0(struct fake_flow, 1);
	c->flow->conn = c;
	c->flow->up.ops = &fake_ops;
	*ret = &c->flow->c;
	return R_ACCEPTED;
}

static void fake_tcp_gone(struct stack_host *h, struct tcp_conn *tc, enum reason why)
{
	struct play *p = fake_play(h);
	struct fake_flow *f = container_of(tc, struct fake_flow, c);
	struct conn *c = f->conn;

	play_note(p, "host@%u gone %s", c->port, reason_name(why));
	if (c->flow != f)
		play_fail(p, "tcp_gone twice for guest port %u", c->port);
	c->flow = NULL;
	c->gones++;
	c->gone_why = why;
	g_ptr_array_add(p->dead, f);
}

static void fake_tcp_established(struct stack_host *h, struct tcp_conn *tc)
{
	struct play *p = fake_play(h);
	struct conn *c = container_of(tc, struct fake_flow, c)->conn;

	play_note(p, "host@%u established", c->port);
	if (!c->active || tc->state != TCP_ESTABLISHED)
		play_fail(p, "tcp_established for guest port %u", c->port);
	c->accepted = true;
	c->established++;
}

static enum reason fake_dgram(struct stack_host *h, const struct tuple *t, const struct dgram_meta *m, const struct iovec *data,
			       int n, uint32_t len, int64_t now)
{
	struct play *p = fake_play(h);
	struct dgram_seen *d;
	uint32_t pos = 0;

	if (now != p->now)
		play_fail(p, "dgram with a time that is not now");
	play_note(p, "host dgram from port %u to port %u (%u)", t->guest.port, t->far.port, len);
	if (p->dgram_answer != R_ACCEPTED)
		return p->dgram_answer;
	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < data[i].iov_len; k++, pos++)
			if (((const uint8_t *)data[i].iov_base)[k] != play_pattern(t->guest.port, false, m->gso_size ? pos % m->gso_size : pos))
				play_fail(p, "datagram content differs at byte %u", pos);
	if (pos != len)
		play_fail(p, "datagram of %u bytes came as %u", len, pos);
	d = g_new(struct dgram_seen, 1);
	*d = (struct dgram_seen){ .far = t->far, .len = len, .meta = *m };
	g_queue_push_tail(&p->dgrams, d);
	return R_ACCEPTED;
}

/* ---- upstreams */

static struct conn *fake_conn(struct upstream *up, const char *call)
{
	struct conn *c = container_of(up, struct fake_flow, up)->conn;

	if (c->aborted)
		play_fail(c->play, "%s() after abort() (guest port %u)", call, c->port);
	if (!c->flow || &c->flow->up != up)
		play_fail(c->play, "%s() on a connection that is gone (guest port %u)", call, c->port);
	return c;
}

static ssize_t fake_peek(struct upstream *up, uint32_t off, const struct iovec *iov, int n)
{
	struct conn *c = fake_conn(up, "peek");
	uint64_t at = c->consumed + off, end = c->offered;
	ssize_t got = 0;

	if (!c->accepted)
		play_fail(c->play, "peek() before the connection stands");
	if (at > c->peeked)
		play_fail(c->play, "peek at byte %" G_GUINT64_FORMAT ", beyond what was ever peeked (%" G_GUINT64_FORMAT ")", at,
			  c->peeked);
	if (at >= c->offered && c->peek_error)
		return -c->peek_error;
	if (at == c->offered)
		return c->eof ? 0 : -EAGAIN;
	if (c->peek_max && end - at > c->peek_max)
		end = at + c->peek_max;
	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < iov[i].iov_len && at < end; k++, at++, got++)
			((uint8_t *)iov[i].iov_base)[k] = play_pattern(c->port, true, (uint32_t)at);
	if (at > c->peeked)
		c->peeked = at;
	return got;
}

static void fake_consume(struct upstream *up, uint32_t n)
{
	struct conn *c = fake_conn(up, "consume");

	c->consumed += n;
	if (c->consumed > c->peeked)
		play_fail(c->play, "consume() of bytes that were never peeked");
	if (c->consumed + 1 > c->acked)
		play_fail(c->play, "consume() up to byte %" G_GUINT64_FORMAT ", the guest acknowledged %u", c->consumed, c->acked);
}

static ssize_t fake_write(struct upstream *up, const struct iovec *iov, int n)
{
	struct conn *c = fake_conn(up, "write");
	uint64_t total = 0, takes = 0;

	for (int i = 0; i < n; i++)
		total += iov[i].iov_len;
	c->writes++;
	if (c->shut)
		play_fail(c->play, "write() after shutdown()");
	if (c->write_error)
		return -c->write_error;
	if (!total)
		play_fail(c->play, "write() of nothing");
	takes = MIN(total, c->space);
	if (c->take_max)
		takes = MIN(takes, c->take_max);
	total = takes;
	for (int i = 0; i < n && takes; i++) {
		const uint8_t *b = iov[i].iov_base;

		for (size_t k = 0; k < iov[i].iov_len && takes; k++, takes--) {
			if (b[k] != play_pattern(c->port, false, (uint32_t)c->written)) {
				play_fail(c->play, "guest byte %" G_GUINT64_FORMAT " reached the host wrong or out of order", c->written);
				takes = 1;
			}
			c->written++;
		}
	}
	if (c->space != PLAY_SPACE)
		c->space -= (uint32_t)total;
	play_note(c->play, "host@%u write of %d pieces, takes %" G_GUINT64_FORMAT, c->port, n, total);
	return (ssize_t)total;
}

static void fake_shutdown(struct upstream *up)
{
	struct conn *c = fake_conn(up, "shutdown");

	play_note(c->play, "host@%u shutdown", c->port);
	if (c->shut)
		play_fail(c->play, "shutdown() twice");
	if (!c->fin_end || c->written + 2 != c->fin_end)
		play_fail(c->play, "shutdown() with %" G_GUINT64_FORMAT " bytes written, the guest's FIN ends at %u", c->written,
			  c->fin_end);
	c->shut = true;
	c->fins++;
}

static void fake_abort(struct upstream *up)
{
	struct conn *c = fake_conn(up, "abort");

	play_note(c->play, "host@%u abort", c->port);
	c->aborted = true;
	c->resets++;
}

static uint32_t fake_space(struct upstream *up)
{
	return fake_conn(up, "space")->space;
}

const struct upstream_ops fake_ops = {
	.peek = fake_peek,
	.consume = fake_consume,
	.write = fake_write,
	.shutdown = fake_shutdown,
	.abort = fake_abort,
	.space = fake_space,
};

void fake_init(struct play *p)
{
	p->host = (struct stack_host){
		.tx_get = fake_tx_get,
		.tx_put = fake_tx_put,
		.tcp_syn = fake_tcp_syn,
		.tcp_gone = fake_tcp_gone,
		.tcp_established = fake_tcp_established,
		.dgram = fake_dgram,
		.echo = ping_asked,
	};
}

void fake_reap(struct play *p)
{
	for (guint i = 0; i < p->dead->len; i++) {
		struct fake_flow *f = p->dead->pdata[i];

		memset(f, 0xdd, sizeof(*f));
		g_free(f);
	}
	g_ptr_array_set_size(p->dead, 0);
	if (p->slot)
		fake_slot_drop(p);
}
