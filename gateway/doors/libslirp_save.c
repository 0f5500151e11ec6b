/* libslirp_save.c - what outlives a migration: the state stream of version 4, big-endian.
 *
 *	{ 42, connection to a function of the application } ...  0  u16 IP id  16 x { u16 taken, MAC of the lease }
 *
 * Addresses and ports stand as they lie in memory, read as numbers of the host and written big-endian: reversed on most machines.
 * The buffers of a connection are written at the size that other implementations expect; their own windows, timers and estimates are
 * written as what a fresh connection would have, and not read.
 * A stream is read to its end before anything of it counts: what makes no sense, or is cut short, changes nothing.
 * prefixes: slirp_
 * Below: libslirp_state.h, gateway/guestfwd.h, slirp/tcp_export.h.  Above: the application.
 */
#include "gateway/doors/libslirp_state.h"

#include "gateway/guestfwd.h"
#include "gateway/stage.h"
#include "slirp/base/bytes.h"
#include "slirp/guests.h"
#include "slirp/tcp_export.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

enum {
	SAVE_VERSION = 4,
	SAVE_SINCE_IP_ID = 2, /* versions */
	SAVE_SINCE_LEASES = 3,
	SAVE_SINCE_FAMILIES = 4, /* a connection says its family */
	SAVE_MARK = 42,
	SAVE_BUFFER = STAGE_SIZE,  /* of each direction, in the stream */
	SAVE_BUFFER_MAX = 1 << 20, /* that we read; how much of it may be filled is another matter */
	SAVE_TYPE = 6,		   /* TCP */
	SAVE_CONNECTED = 0x04,
	SAVE_GUEST_ENDED = 0x10,
	SAVE_ESTABLISHED = 4, /* states */
	SAVE_TIME_WAIT = 10,
	SAVE_FLAG_SENTFIN = 0x10,
	SAVE_FLAG_TS = 0x80 | 0x100,
	SAVE_FLAG_SACK = 0x200,
	SAVE_TIMERS = 4,
	SAVE_RTO = 6, /* half seconds, as the next two */
	SAVE_KEEPALIVE = 14400,
	SAVE_RTO_MIN = 2,
	SAVE_RTTVAR = 24, /* when nothing is known: eighths */
};

/* The states' numbers in the stream. */
static const uint8_t save_states[] = {
	[TCP_CLOSED] = 0,     [TCP_SYN_SENT] = 2,   [TCP_SYN_RECEIVED] = 3, [TCP_ESTABLISHED] = 4, [TCP_CLOSE_WAIT] = 5,
	[TCP_FIN_WAIT_1] = 6, [TCP_CLOSING] = 7,    [TCP_LAST_ACK] = 8,	    [TCP_FIN_WAIT_2] = 9,
};

int slirp_state_version(void)
{
	return SAVE_VERSION;
}

/* ---- writing; the first error stays */

struct save {
	struct Slirp *s;
	SlirpWriteCb write;
	void *opaque;
	int err;
	int64_t now;
};

static void save_bytes(struct save *w, const void *p, size_t len)
{
	const uint8_t *at = p;

	while (len && !w->err) {
		slirp_ssize_t n = w->write(at, len, w->opaque);

		if (n <= 0 || (size_t)n > len) {
			w->err = n < 0 ? (int)n : -EIO;
			return;
		}
		at += n;
		len -= (size_t)n;
	}
}

static void save8(struct save *w, uint8_t v)
{
	save_bytes(w, &v, 1);
}

static void save16(struct save *w, uint16_t v)
{
	uint8_t b[2];

	bytes_put16(b, v);
	save_bytes(w, b, sizeof(b));
}

static void save32(struct save *w, uint32_t v)
{
	uint8_t b[4];

	bytes_put32(b, v);
	save_bytes(w, b, sizeof(b));
}

static void save_endpoint(struct save *w, const struct endpoint *e)
{
	uint32_t addr;

	memcpy(&addr, addr_v4_bytes(&e->addr), sizeof(addr));
	save16(w, AF_INET);
	save32(w, addr);
	save16(w, htons(e->port));
}

/* The bytes of the ring, NULL: none, at the front of a buffer. */
static void save_buffer(struct save *w, const struct stage *st)
{
	g_autofree uint8_t *b = g_malloc0(SAVE_BUFFER);
	uint32_t used = st ? stage_copy(st, b, SAVE_BUFFER) : 0;

	save32(w, used);
	save32(w, SAVE_BUFFER);
	save32(w, used % SAVE_BUFFER);
	save32(w, 0);
	save_bytes(w, b, SAVE_BUFFER);
}

static void save_tcp(struct save *w, const struct tcp_export *e)
{
	save16(w, save_states[e->state]);
	save16(w, e->snd_max == e->snd_una ? 0 : SAVE_RTO); /* timers, in half seconds: retransmission, persist, keepalive, 2 MSL */
	save16(w, 0);
	save16(w, SAVE_KEEPALIVE);
	save16(w, 0);
	save16(w, 0); /* back-off */
	save16(w, SAVE_RTO);
	save16(w, 0); /* duplicate ACKs */
	save16(w, e->mss);
	save8(w, 0);
	save16(w, (uint16_t)((e->fin_sent ? SAVE_FLAG_SENTFIN : 0) | (e->ts_ok ? SAVE_FLAG_TS : 0) | (e->sack_ok ? SAVE_FLAG_SACK : 0)));
	save32(w, e->snd_una);
	save32(w, e->snd_una); /* next: what is under way goes again */
	save32(w, e->snd_una); /* urgent */
	save32(w, e->snd_wl1);
	save32(w, e->snd_wl2);
	save32(w, e->snd_una - 1); /* initial */
	save32(w, e->snd_wnd);
	save32(w, e->rcv_adv - e->rcv_nxt);
	save32(w, e->rcv_nxt);
	save32(w, e->rcv_nxt); /* urgent */
	save32(w, e->rcv_nxt - 1); /* initial */
	save32(w, e->rcv_adv);
	save32(w, e->snd_max);
	save32(w, 2u * e->mss);	 /* congestion window */
	save32(w, 65535u << 14); /* and its threshold */
	save16(w, 0);
	save16(w, 0);
	save32(w, 0); /* round trip being measured */
	save16(w, 0);
	save16(w, SAVE_RTTVAR);
	save16(w, SAVE_RTO_MIN);
	save32(w, e->max_snd_wnd);
	save8(w, 0);
	save8(w, 0);
	save16(w, 0);
	save8(w, e->snd_wscale);
	save8(w, e->rcv_wscale);
	save8(w, e->rcv_wscale);
	save8(w, e->snd_wscale);
	save32(w, e->ts_recent);
	save32(w, e->ts_now); /* the age of ts_recent elsewhere, where nobody looks at it */
	save32(w, e->rcv_nxt);
}

static void save_conn(void *arg, const struct endpoint *at, struct tcp_conn *c, const struct stage *st)
{
	struct save *w = arg;
	struct tcp_export e;

	if (w->err || !addr_is_v4(&at->addr) || tcp_conn_export(c, &e, w->now))
		return;
	save8(w, SAVE_MARK);
	save32(w, 0); /* urgent bytes */
	save_endpoint(w, at);
	save_endpoint(w, &e.tuple.guest);
	save8(w, 0);
	save8(w, 0);
	save8(w, SAVE_TYPE);
	save32(w, e.state == TCP_ESTABLISHED ? SAVE_CONNECTED : SAVE_CONNECTED | SAVE_GUEST_ENDED);
	save_buffer(w, NULL);
	save_buffer(w, st);
	save_tcp(w, &e);
}

int slirp_state_save(Slirp *slirp, SlirpWriteCb write_cb, void *opaque)
{
	struct save w = { .s = slirp, .write = write_cb, .opaque = opaque, .now = loop_now(slirp->loop) };
	struct stack *st = gateway_stack(slirp->gw);

	libslirp_debug(SLIRP_DBG_CALL, "slirp_state_save");
	guestfwd_each(gateway_guestfwd(slirp->gw), save_conn, &w);
	save8(&w, 0);
	save16(&w, stack_ip_id(st, 0));
	for (unsigned i = 0; i < GUESTS_LEASES; i++) {
		struct mac mac = { { 0 } };

		save16(&w, guests_lease_get(st, i, &mac));
		save_bytes(&w, mac.b, sizeof(mac.b));
	}
	return w.err;
}

/* ---- reading */

/* A connection that has been read; its bytes are ours. */
struct load_conn {
	struct guestfwd_import in;
	uint8_t *heard, *said;
};

struct load {
	struct Slirp *s;
	SlirpReadCb read;
	void *opaque;
	bool bad;
	GArray *conns; /* struct load_conn */
};

static void load_bytes(struct load *r, void *p, size_t len)
{
	uint8_t *at = p;

	while (len && !r->bad) {
		slirp_ssize_t n = r->read(at, len, r->opaque);

		if (n <= 0 || (size_t)n > len) {
			r->bad = true;
			break;
		}
		at += n;
		len -= (size_t)n;
	}
	memset(at, 0, len);
}

static uint8_t load8(struct load *r)
{
	uint8_t v;

	load_bytes(r, &v, 1);
	return v;
}

static uint16_t load16(struct load *r)
{
	uint8_t b[2];

	load_bytes(r, b, sizeof(b));
	return bytes_get16(b);
}

static uint32_t load32(struct load *r)
{
	uint8_t b[4];

	load_bytes(r, b, sizeof(b));
	return bytes_get32(b);
}

static void load_skip(struct load *r, size_t len)
{
	uint8_t b[64];

	for (; len && !r->bad; len -= MIN(len, sizeof(b)))
		load_bytes(r, b, MIN(len, sizeof(b)));
}

static void load_addr(struct load *r, struct endpoint *ret)
{
	uint32_t addr = load32(r);

	ret->addr = addr_from_v4((const uint8_t *)&addr);
}

/* Both ends; older streams have them without a family. */
static void load_ends(struct load *r, int version, struct endpoint *at, struct endpoint *guest)
{
	if (version < SAVE_SINCE_FAMILIES) {
		load_addr(r, at);
		load_addr(r, guest);
		at->port = ntohs(load16(r));
		guest->port = ntohs(load16(r));
		return;
	}
	for (int i = 0; i < 2; i++) {
		struct endpoint *e = i ? guest : at;

		if (load16(r) != AF_INET) { /* no connection of ours can have another */
			r->bad = true;
			return;
		}
		load_addr(r, e);
		e->port = ntohs(load16(r));
	}
}

/* The bytes that wait in a buffer, in order, to be freed; NULL: none.  More than a stage holds make no sense. */
static uint8_t *load_buffer(struct load *r, uint32_t *ret_len)
{
	uint32_t used = load32(r), size = load32(r), in = load32(r), out = load32(r);
	g_autofree uint8_t *ring = NULL;
	uint8_t *b;

	*ret_len = 0;
	if (used > MIN(size, STAGE_SIZE) || in >= size || out >= size || size > SAVE_BUFFER_MAX)
		r->bad = true;
	ring = r->bad ? NULL : g_try_malloc(size);
	b = ring && used ? g_try_malloc(used) : NULL;
	if (!ring || (used && !b)) {
		r->bad = true;
		return NULL;
	}
	load_bytes(r, ring, size);
	for (uint32_t i = 0; i < used; i++)
		b[i] = ring[(out + i) % size];
	*ret_len = used;
	return b;
}

/*
 * A state's number in the stream, with our FIN sent and without, as a state of ours.  Elsewhere a FIN may be owed to the guest before it is
 * sent; with us the stage's end says so.  TCP_CLOSED: it is no connection, or one that is not carried over (being opened, in time-wait).
 */
static enum tcp_state load_state(struct load *r, uint16_t state, bool sent)
{
	static const uint8_t states[][2] = {
		[4] = { TCP_ESTABLISHED, TCP_CLOSED },	    [5] = { TCP_CLOSE_WAIT, TCP_CLOSED }, [6] = { TCP_ESTABLISHED, TCP_FIN_WAIT_1 },
		[7] = { TCP_CLOSED, TCP_CLOSING },	    [8] = { TCP_CLOSE_WAIT, TCP_LAST_ACK }, [9] = { TCP_CLOSED, TCP_FIN_WAIT_2 },
		[SAVE_TIME_WAIT] = { TCP_CLOSED, TCP_CLOSED },
	};

	if (state >= G_N_ELEMENTS(states)) {
		r->bad = true;
		return TCP_CLOSED;
	}
	if (states[state][sent] == TCP_CLOSED && states[state][!sent] != TCP_CLOSED)
		r->bad = true;
	return states[state][sent];
}

/* What was sent and not acknowledged is in the buffer, but for a FIN, which is the last. */
static bool load_flight_good(const struct guestfwd_import *in)
{
	uint32_t flight = in->tcp.snd_max - in->tcp.snd_una;

	if (in->tcp.state == TCP_FIN_WAIT_2)
		return !flight && !in->said_len;
	return in->tcp.fin_sent ? flight == in->said_len + 1 : flight <= in->said_len;
}

/* False: a connection that is not carried over. */
static bool load_tcp(struct load *r, struct guestfwd_import *in)
{
	struct tcp_export *e = &in->tcp;
	uint16_t state = load16(r), flags;

	load_skip(r, 2 * (SAVE_TIMERS + 3));
	e->mss = e->rcv_mss = load16(r);
	load_skip(r, 1);
	flags = load16(r);
	e->fin_sent = flags & SAVE_FLAG_SENTFIN;
	e->state = (uint8_t)load_state(r, state, e->fin_sent);
	in->ended = state != SAVE_ESTABLISHED;
	e->ts_ok = (flags & SAVE_FLAG_TS) == SAVE_FLAG_TS;
	e->sack_ok = flags & SAVE_FLAG_SACK;
	e->snd_una = load32(r);
	load_skip(r, 4 + 4);
	e->snd_wl1 = load32(r);
	e->snd_wl2 = load32(r);
	load_skip(r, 4);
	e->snd_wnd = load32(r);
	load_skip(r, 4);
	e->rcv_nxt = load32(r);
	load_skip(r, 4 + 4);
	e->rcv_adv = load32(r);
	if ((int32_t)(e->rcv_adv - e->rcv_nxt) < 0)
		e->rcv_adv = e->rcv_nxt;
	e->snd_max = load32(r);
	load_skip(r, 4 + 4 + 2 + 2 + 4 + 2 + 2 + 2);
	e->max_snd_wnd = load32(r);
	if (e->max_snd_wnd < e->snd_wnd)
		e->max_snd_wnd = e->snd_wnd;
	load_skip(r, 1 + 1 + 2);
	e->snd_wscale = load8(r);
	e->rcv_wscale = load8(r);
	load_skip(r, 1 + 1);
	e->ts_recent = load32(r);
	e->ts_now = load32(r);
	load_skip(r, 4);
	if (e->state == TCP_CLOSED)
		return false;
	r->bad |= !load_flight_good(in);
	return true;
}

static void load_conn_clear(void *p)
{
	struct load_conn *c = p;

	g_free(c->heard);
	g_free(c->said);
}

static void load_conn(struct load *r, int version)
{
	struct load_conn c = { 0 };

	load_skip(r, 4); /* urgent bytes */
	load_ends(r, version, &c.in.tcp.tuple.far, &c.in.tcp.tuple.guest);
	load_skip(r, 1 + 1 + 1 + 4);
	c.in.heard = c.heard = load_buffer(r, &c.in.heard_len);
	c.in.said = c.said = load_buffer(r, &c.in.said_len);
	if (load_tcp(r, &c.in) && !r->bad && r->conns->len < GUESTFWD_FLOWS) {
		g_array_append_val(r->conns, c);
		return;
	}
	r->bad |= r->conns->len == GUESTFWD_FLOWS;
	load_conn_clear(&c);
}

static int load_restore(const struct load *r)
{
	g_autofree struct guestfwd_import *in = g_try_new0(struct guestfwd_import, r->conns->len);
	struct gateway *gw = r->s->gw;

	if (!r->conns->len)
		return 0;
	if (!in)
		return -EINVAL;
	for (guint i = 0; i < r->conns->len; i++)
		in[i] = g_array_index(r->conns, struct load_conn, i).in;
	return guestfwd_restore(gateway_guestfwd(gw), gateway_stack(gw), in, r->conns->len);
}

static int load_all(struct load *r, int version)
{
	struct stack *st = gateway_stack(r->s->gw);
	struct load_lease {
		uint16_t taken;
		struct mac mac;
	} lease[GUESTS_LEASES];
	uint8_t mark;
	uint16_t ip_id;

	while ((mark = load8(r)) == SAVE_MARK && !r->bad)
		load_conn(r, version);
	ip_id = version >= SAVE_SINCE_IP_ID ? load16(r) : 0;
	for (unsigned i = 0; i < GUESTS_LEASES && version >= SAVE_SINCE_LEASES; i++) {
		lease[i].taken = load16(r);
		load_bytes(r, lease[i].mac.b, sizeof(lease[i].mac.b));
	}
	if (mark || r->bad || load_restore(r))
		return -EINVAL;
	stack_ip_id(st, ip_id);
	for (unsigned i = 0; i < GUESTS_LEASES && version >= SAVE_SINCE_LEASES; i++)
		guests_lease_put(st, i, lease[i].taken ? &lease[i].mac : NULL);
	return 0;
}

int slirp_state_load(Slirp *slirp, int version_id, SlirpReadCb read_cb, void *opaque)
{
	struct load r = { .s = slirp, .read = read_cb, .opaque = opaque };
	int err;

	libslirp_debug(SLIRP_DBG_CALL, "slirp_state_load: version %d", version_id);
	if (version_id < 1 || version_id > SAVE_VERSION)
		return -EINVAL;
	r.conns = g_array_new(FALSE, FALSE, sizeof(struct load_conn));
	g_array_set_clear_func(r.conns, load_conn_clear);
	err = load_all(&r, version_id);
	g_array_unref(r.conns);
	return err;
}
