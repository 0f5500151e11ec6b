/* ip_frag.c - the guest's IP fragments, collected until their packet is whole.  See ip_frag.h.
 *
 * Since no two pieces of a set overlap, a packet is whole when the bytes held add up to its length, which its last piece tells.
 */
#include "slirp/ip_frag.h"

#include "slirp/base/siphash.h"
#include "slirp/base/timerq.h"
#include "slirp/wire/icmp_wire.h"
#include "slirp/wire/l4_wire.h"

#include <glib.h>

enum { FRAG_UNIT = 8, FRAG_NDP_REDIRECT = 137 };

/* No padding: hashed and compared as bytes. */
struct frag_key {
	struct addr src, dst;
	uint32_t id;
	uint32_t proto; /* IPv4; 0 for IPv6 */
};

struct frag_piece {
	struct list node;
	uint32_t off, len;
	uint8_t data[];
};

/* One unfinished packet. */
struct frag_set {
	struct htab_node node;
	struct list order;
	struct list pieces; /* by offset, never overlapping */
	struct frag_key key;
	struct ip ip; /* the first piece's header; until it comes, that of whichever came */
	int64_t born;
	uint32_t n_pieces;
	uint32_t have;	  /* bytes in pieces */
	uint32_t total;	  /* bytes of the packet, 0 until the last piece came */
	enum reason dead; /* why the packet is refused, pieces to come included; R_ACCEPTED: it lives */
};

struct frag_done {
	struct list node;
	uint8_t frame[];
};

/* ---- sets */

static int64_t frag_end(const struct ip_frag *t, const struct frag_set *s)
{
	return s->born + (s->ip.v6 ? t->cfg->tune.frag_timeout6 : t->cfg->tune.frag_timeout4);
}

static void frag_empty(struct ip_frag *t, struct frag_set *s)
{
	struct list *n;

	while ((n = list_pop_head(&s->pieces))) {
		struct frag_piece *piece = container_of(n, struct frag_piece, node);

		t->bytes -= sizeof(*piece) + piece->len;
		g_free(piece);
	}
	s->n_pieces = s->have = s->total = 0;
}

static void frag_free(struct ip_frag *t, struct frag_set *s)
{
	frag_empty(t, s);
	htab_remove(&t->sets, &s->node);
	list_unlink(&s->order);
	t->bytes -= sizeof(*s);
	g_free(s);
}

/* A refused packet's set has been counted before. */
static void frag_give_up(struct ip_frag *t, struct frag_set *s, enum reason why)
{
	if (!s->dead)
		reason_count(t->drops, why);
	frag_free(t, s);
}

static struct frag_set *frag_at(const struct list *n)
{
	return container_of(n, struct frag_set, order);
}

/* The oldest set that is not `keep`, or NULL. */
static struct frag_set *frag_oldest(const struct ip_frag *t, const struct frag_set *keep)
{
	struct frag_set *oldest = NULL;

	for (int i = 0; i < 2; i++) {
		const struct list *n = t->order[i].next;

		if (keep && n == &keep->order)
			n = n->next;
		if (n != &t->order[i] && (!oldest || frag_at(n)->born < oldest->born))
			oldest = frag_at(n);
	}
	return oldest;
}

/* Gives up old sets until `need` bytes more are within the cap.  False: even alone they are not. */
static bool frag_room(struct ip_frag *t, uint64_t need, const struct frag_set *keep)
{
	while (t->bytes + need > (uint64_t)t->cfg->tune.frag_bytes_max) {
		struct frag_set *s = frag_oldest(t, keep);

		if (!s)
			return false;
		frag_give_up(t, s, R_FRAG_EVICTED);
	}
	return true;
}

static struct frag_set *frag_find(const struct ip_frag *t, const struct frag_key *key, uint32_t hash)
{
	struct htab_node *n = htab_first(&t->sets, hash);

	for (; n; n = htab_next(&t->sets, n)) {
		struct frag_set *s = container_of(n, struct frag_set, node);

		if (!memcmp(&s->key, key, sizeof(*key)))
			return s;
	}
	return NULL;
}

static struct frag_set *frag_new(struct ip_frag *t, const struct frag_key *key, uint32_t hash, const struct ip *ip, int64_t now)
{
	struct frag_set *s;

	while (htab_count(&t->sets) >= t->cfg->tune.frag_sets_max && (s = frag_oldest(t, NULL)))
		frag_give_up(t, s, R_FRAG_EVICTED);
	if (!frag_room(t, sizeof(*s), NULL) || !(s = mem_new0(t->cfg->mem, sizeof(*s))))
		return NULL;
	s->key = *key;
	s->ip = *ip;
	s->born = now;
	list_init(&s->order);
	list_init(&s->pieces);
	list_push_tail(&t->order[ip->v6], &s->order);
	htab_insert(&t->sets, &s->node, hash);
	t->bytes += sizeof(*s);
	return s;
}

/* ---- one piece by itself */

static bool frag_carried(uint8_t proto, bool v6)
{
	return proto == IP_PROTO_TCP || proto == IP_PROTO_UDP || proto == (v6 ? IP_PROTO_ICMPV6 : IP_PROTO_ICMP);
}

/* RFC 7112: the first piece holds every header up to that of the protocol, so that nothing is judged by what comes later. */
static enum reason frag_check_first(const struct ip *ip, const struct payload *data)
{
	uint8_t proto = ip->proto;
	uint32_t at = 0, need;
	enum reason r = R_ACCEPTED;

	if (ip->v6)
		r = ip_wire_chain(data->head, data->head_len, data->len, &proto, &at);
	if (r)
		return r == R_IP_HEADER ? R_FRAG_TINY : r;
	if (!frag_carried(proto, ip->v6))
		return R_IP_PROTOCOL;
	need = proto == IP_PROTO_TCP ? TCP_HDR_LEN : UDP_HDR_LEN; /* ICMP's is as long as UDP's */
	if (data->len - at < need)
		return R_FRAG_TINY;
	if (data->head_len - at < need)
		return R_SHORT_FRAME;
	if (proto == IP_PROTO_TCP && (uint32_t)(data->head[at + 12] >> 4) * 4 > data->len - at)
		return R_FRAG_TINY;
	if (proto == IP_PROTO_ICMPV6 && data->head[at] >= ICMP6_ROUTER_SOLICIT && data->head[at] <= FRAG_NDP_REDIRECT)
		return R_IP_FRAGMENT; /* RFC 6980: neighbour discovery is never fragmented */
	return R_ACCEPTED;
}

static enum reason frag_check(const struct ip *ip, const struct payload *data)
{
	/* of IPv6 the length leaves out the fixed header; the fragment header goes away */
	uint32_t headers = ip->v6 ? ip->hdr_len - IP6_HDR_LEN - IP6_FRAG_LEN : ip->hdr_len;

	if (!data->len || (ip->more_frags && data->len % FRAG_UNIT) || headers + ip->frag_off + data->len > IP_LEN_MAX)
		return R_FRAG_LENGTH;
	if (!ip->frag_off)
		return frag_check_first(ip, data);
	return ip->v6 || frag_carried(ip->proto, false) ? R_ACCEPTED : R_IP_PROTOCOL;
}

/* ---- one piece among the others */

/* Does the piece agree with what is known of the packet's end? */
static bool frag_end_agrees(const struct frag_set *s, const struct frag_piece *piece, bool more)
{
	uint32_t end = piece->off + piece->len;
	const struct frag_piece *tail = container_of(s->pieces.prev, struct frag_piece, node);

	if (s->total)
		return more ? end < s->total : end == s->total;
	return more || list_empty(&s->pieces) || tail->off + tail->len <= end;
}

/* Finds the place: *ret is the node it goes in front of.  Pieces mostly come in order, so the search begins at the end. */
static enum reason frag_place(struct frag_set *s, const struct frag_piece *piece, bool more, struct list **ret)
{
	struct list *n = s->pieces.prev;
	const struct frag_piece *other;

	if (!frag_end_agrees(s, piece, more))
		return R_FRAG_OVERLAP;
	while (n != &s->pieces && container_of(n, struct frag_piece, node)->off > piece->off)
		n = n->prev;
	*ret = n->next;
	if (n != &s->pieces) {
		other = container_of(n, struct frag_piece, node);
		if (other->off == piece->off && other->len == piece->len && !memcmp(other->data, piece->data, piece->len))
			return more || s->total ? R_FRAG_DUPLICATE : R_FRAG_OVERLAP; /* what had more behind it is not the last one */
		if (other->off + other->len > piece->off)
			return R_FRAG_OVERLAP;
	}
	if (n->next != &s->pieces && container_of(n->next, struct frag_piece, node)->off < piece->off + piece->len)
		return R_FRAG_OVERLAP;
	return R_ACCEPTED;
}

static enum reason frag_insert(struct ip_frag *t, struct frag_set *s, const struct ip *ip, struct frag_piece *piece)
{
	struct list *before;
	enum reason r = frag_place(s, piece, ip->more_frags, &before);

	if (r)
		return r;
	if (s->n_pieces >= t->cfg->tune.frag_pieces_max || !frag_room(t, sizeof(*piece) + piece->len, s))
		return R_FRAG_TOO_MANY;
	list_push_tail(before, &piece->node);
	t->bytes += sizeof(*piece) + piece->len;
	s->n_pieces++;
	s->have += piece->len;
	if (!ip->more_frags)
		s->total = piece->off + piece->len;
	if (!piece->off)
		s->ip = *ip;
	return R_ACCEPTED;
}

static enum reason frag_keep(struct ip_frag *t, struct frag_set *s, const struct ip *ip, const struct payload *data)
{
	struct frag_piece *piece = mem_new(t->cfg->mem, sizeof(*piece) + data->len);
	enum reason r;

	if (!piece)
		return R_NO_MEMORY;
	piece->off = ip->frag_off;
	piece->len = data->len;
	payload_copy(data, piece->data);
	r = frag_insert(t, s, ip, piece);
	if (r)
		g_free(piece);
	return r;
}

/* ---- the packet */

static enum reason frag_finish(struct ip_frag *t, struct frag_set *s, struct frame *ret)
{
	uint32_t hdr_len = ETH_HDR_LEN + ip_wire_hdr_len(s->ip.v6);
	struct frag_done *d = mem_new(t->cfg->mem, sizeof(*d) + hdr_len + s->total);

	if (!d)
		return R_NO_MEMORY;
	s->ip.payload_len = s->total;
	s->ip.is_fragment = s->ip.more_frags = s->ip.dont_fragment = false;
	memset(d->frame, 0, ETH_HDR_LEN);
	ip_wire_put(d->frame + ETH_HDR_LEN, &s->ip);
	for (const struct list *n = s->pieces.next; n != &s->pieces; n = n->next) {
		const struct frag_piece *piece = container_of(n, struct frag_piece, node);

		memcpy(d->frame + hdr_len + piece->off, piece->data, piece->len);
	}
	list_init(&d->node);
	list_push_tail(&t->done, &d->node);
	*ret = (struct frame){ .head = d->frame, .head_len = hdr_len + s->total };
	return R_ACCEPTED;
}

enum reason ip_frag_add(struct ip_frag *t, const struct ip *ip, const struct payload *data, int64_t now, struct frame *ret)
{
	struct frag_key key = { ip->src, ip->dst, ip->id, ip->v6 ? 0 : ip->proto };
	uint32_t hash = (uint32_t)siphash(&t->cfg->key, &key, sizeof(key));
	enum reason r = frag_check(ip, data);
	struct frag_set *s;

	*ret = (struct frame){ 0 };
	if (r)
		return r;
	s = frag_find(t, &key, hash);
	if (!s)
		s = frag_new(t, &key, hash, ip, now);
	if (!s)
		return R_NO_MEMORY;
	if (s->dead)
		return s->dead;
	r = frag_keep(t, s, ip, data);
	if (r == R_FRAG_OVERLAP || r == R_FRAG_TOO_MANY) {
		frag_empty(t, s);
		s->dead = r;
	}
	if (!r && s->have == s->total) {
		r = frag_finish(t, s, ret);
		frag_free(t, s);
	}
	return r;
}

/* ---- the table */

bool ip_frag_init(struct ip_frag *t, const struct stack_config *cfg, struct reason_tally *drops)
{
	*t = (struct ip_frag){ .cfg = cfg, .drops = drops };
	list_init(&t->order[0]);
	list_init(&t->order[1]);
	list_init(&t->done);
	return htab_init(&t->sets);
}

void ip_frag_clear(struct ip_frag *t)
{
	if (!t->cfg)
		return;
	for (int i = 0; i < 2; i++)
		while (!list_empty(&t->order[i]))
			frag_free(t, frag_at(t->order[i].next));
	ip_frag_flushed(t);
	htab_clear(&t->sets);
}

void ip_frag_flushed(struct ip_frag *t)
{
	struct list *n;

	while ((n = list_pop_head(&t->done)))
		g_free(container_of(n, struct frag_done, node));
}

/* RFC 792 and 8200 4.5: an error is told only if the first fragment came, which names the program it is for. */
static bool frag_late(const struct frag_set *s, struct ip_frag_late *ret)
{
	const struct frag_piece *first = container_of(s->pieces.next, struct frag_piece, node);

	if (list_empty(&s->pieces) || first->off || first->len < sizeof(ret->l4))
		return false;
	ret->ip = s->ip;
	ret->ip.payload_len = first->len;
	memcpy(ret->l4, first->data, sizeof(ret->l4));
	return true;
}

bool ip_frag_expire(struct ip_frag *t, int64_t now, struct ip_frag_late *ret)
{
	bool tell = false;

	for (int i = 0; i < 2 && !tell; i++)
		while (!tell && !list_empty(&t->order[i]) && frag_end(t, frag_at(t->order[i].next)) <= now) {
			tell = frag_late(frag_at(t->order[i].next), ret);
			frag_give_up(t, frag_at(t->order[i].next), R_FRAG_TIMEOUT);
		}
	return tell;
}

int64_t ip_frag_deadline(const struct ip_frag *t)
{
	int64_t at = TIMERQ_NEVER;

	for (int i = 0; i < 2; i++)
		if (!list_empty(&t->order[i]) && frag_end(t, frag_at(t->order[i].next)) < at)
			at = frag_end(t, frag_at(t->order[i].next));
	return at;
}
