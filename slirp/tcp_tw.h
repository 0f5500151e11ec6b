/* tcp_tw.h - connections in TIME-WAIT, 62 bytes each: 60 for the entry, 2 for its share of the chains' heads.
 *
 * What it is: a ring of fixed entries in order of entry (all live equally long, so the oldest is first) with hash chains by index.
 * tcp_in.c answers late segments from it as RFC 9293 3.10.7.4 asks and lets a newer SYN through (RFC 6191, RFC 1122 4.2.2.13).
 * What it is not: a user of descriptors, flows, caps or timers.  Entries end when somebody looks; a full table forgets its oldest.
 * Below: slirp/base.  Above: tcp_in.c, tcp_out.c (adds).
 */
#ifndef SLIRP_TCP_TW_H
#define SLIRP_TCP_TW_H

#include "slirp/base/addr.h"
#include "slirp/base/mem.h"

#include <stdbool.h>
#include <stdint.h>

struct tcp_tw_entry {
	struct tuple tuple; /* its hash is not kept: it is needed again only when the entry ends or the ring grows */
	uint32_t next : 30; /* index + 1 of the next entry of the chain; 0: end */
	uint32_t live : 1;
	uint32_t ts_ok : 1;
	uint32_t snd_nxt, rcv_nxt;     /* behind both FINs */
	uint32_t ts_recent, ts_offset; /* when ts_ok */
	uint32_t expires;	       /* milliseconds modulo 2^32 */
};
_Static_assert(sizeof(struct tcp_tw_entry) == 60, "a time-wait entry is 60 bytes");

struct tcp_tw {
	struct tcp_tw_entry *ring; /* room entries; NULL until the first is added */
	uint32_t *bucket;	   /* room / 2 heads: index + 1; 0: empty */
	uint32_t room;		   /* a power of two */
	uint32_t head;		   /* index of the oldest, modulo room */
	uint32_t used;		   /* entries from head on, those that ended early included */
	uint32_t max;
	int64_t lifetime; /* microseconds */
	uint32_t (*hash)(const void *of, const struct tuple *t);
	const void *hash_of; /* its first argument */
	struct mem *mem;  /* NULL, or set after tcp_tw_init() */
};

/* `hash` must give for a tuple what tcp_tw_find() is told. */
void tcp_tw_init(struct tcp_tw *tw, uint32_t max, int64_t lifetime, uint32_t (*hash)(const void *of, const struct tuple *t),
		 const void *hash_of);
void tcp_tw_clear(struct tcp_tw *tw);

/* Adds a copy of e (tuple, numbers, ts_*); sets its end.  Without memory for a larger ring the oldest entry goes. */
void tcp_tw_add(struct tcp_tw *tw, const struct tcp_tw_entry *e, int64_t now);
/* The live entry of t, or NULL.  Valid until the next call. */
struct tcp_tw_entry *tcp_tw_find(struct tcp_tw *tw, const struct tuple *t, uint32_t hash, int64_t now);
/* Milliseconds since e was added. */
uint32_t tcp_tw_age(const struct tcp_tw *tw, const struct tcp_tw_entry *e, int64_t now);
void tcp_tw_remove(struct tcp_tw *tw, struct tcp_tw_entry *e);

#endif
