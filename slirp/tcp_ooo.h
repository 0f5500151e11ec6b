/* tcp_ooo.h - payload from the guest that cannot be written yet: ahead of a gap, or more than the host socket took.
 *
 * What it is: a bounded store of copies.  Nothing in it is acknowledged; SACK tells what stands ahead of a gap (RFC 2018), so that the
 * guest sends only what is missing.  Each connection has a list of blocks in order of sequence numbers; the blocks are the stack's.
 * What it is not: on the way of data that comes in order and is taken, which is written from where the link has put it.
 * Bounds: blocks per connection and per stack; a full store refuses what is new, and the guest sends it again.
 * Below: tcp_seq.h, mem.h.  Above: tcp_in.c (adds), tcp_out.c (writes, tells), tcp_conn.c (the end), stack.c.
 */
#ifndef SLIRP_TCP_OOO_H
#define SLIRP_TCP_OOO_H

#include "slirp/base/mem.h"
#include "slirp/wire/l4_wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
	TCP_OOO_BLOCK = 2048, /* bytes of memory */
	TCP_OOO_DATA = TCP_OOO_BLOCK - 24,
	TCP_OOO_SPARE = 32, /* free blocks that are kept */
};

struct tcp_ooo_block {
	struct tcp_ooo_block *next;
	uint32_t seq, len;
	uint32_t off; /* of the first byte in data */
	uint8_t data[TCP_OOO_DATA];
};
_Static_assert(sizeof(struct tcp_ooo_block) <= TCP_OOO_BLOCK, "a block is 2 KiB");

/* The stack's. */
struct tcp_ooo_pool {
	struct tcp_ooo_block *spare;
	uint32_t n_spare, used; /* blocks */
	uint32_t max, conn_max; /* most blocks in use, in all and by one connection */
	struct mem *mem;
};

/* One connection's; zeroes are an empty one. */
struct tcp_ooo {
	struct tcp_ooo_block *head, *tail; /* ascending, disjoint, never empty */
	uint32_t used;			   /* blocks */
	uint32_t recent[TCP_SACK_MAX];	   /* a byte of each of the ranges that grew last, the newest first */
	uint8_t n_recent;
};

void tcp_ooo_pool_init(struct tcp_ooo_pool *p, int64_t max_bytes, int64_t conn_max_bytes, struct mem *mem);
void tcp_ooo_pool_clear(struct tcp_ooo_pool *p); /* nothing may be in use */

/* Copies what is not held yet of the len bytes that begin at seq.  False: no room for all of it; what went in is a front part. */
bool tcp_ooo_add(struct tcp_ooo *o, struct tcp_ooo_pool *p, uint32_t seq, const void *data, uint32_t len);
/* seq has just been added, or come again: its range is the newest that SACK tells of (RFC 2018 4). */
void tcp_ooo_news(struct tcp_ooo *o, uint32_t seq);
/* Forgets everything before seq, everything from seq on, everything. */
void tcp_ooo_drop(struct tcp_ooo *o, struct tcp_ooo_pool *p, uint32_t seq);
void tcp_ooo_cut(struct tcp_ooo *o, struct tcp_ooo_pool *p, uint32_t seq);
void tcp_ooo_clear(struct tcp_ooo *o, struct tcp_ooo_pool *p);

/* The bytes that are held from seq on without a gap, in up to max pieces: how many pieces; *ret_len: how many bytes. */
int tcp_ooo_ready(const struct tcp_ooo *o, uint32_t seq, struct iovec *iov, int max, uint32_t *ret_len);
/* Up to max ranges that begin above `above`, the newest first. */
int tcp_ooo_ranges(const struct tcp_ooo *o, uint32_t above, struct tcp_range *ret, int max);

#endif
