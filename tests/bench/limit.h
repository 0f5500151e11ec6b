/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * limit.h - what the parts of bench-limit share.
 *
 * limit_wire.c reads and writes headers, limit_flow.c is the relay (a table of
 * flows, segments in, bytes out), limit_dgram.c is that of datagrams, limit.c
 * has the tap, the options and the loop.  One process serves one tap: plain globals are enough.
 */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ETH_LEN = 14,
	TCP_LEN = 20,
	UDP_LEN = 8,
	SYN_OPTS = 8,		/* MSS, NOP, window scale */
	SUPER = 65535,		/* IP length of a super-frame */
	OUR_SCALE = 8,		/* window scale we announce */
	SEND_BUFFER = 4 << 20,	/* asked for per host socket, may get less */
	TAP_TURN = 64,		/* frames read before sockets get their turn */
	TAP_ARENA = 1 << 20,	/* and their bytes */
	SOCK_TURN = 4,		/* reads of one socket per turn */
	BUCKETS = 1 << 15,
	EVENTS = 64,
};

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

struct key {
	uint8_t guest[16], far[16];	/* an IPv4 address fills the first 4 */
	uint16_t gport, fport;		/* network order */
	uint32_t six;			/* IPv6? */
};

/*
 *  SYN --connect()--> dialing --EPOLLOUT--> open --both ends closed--> gone
 *  Any RST or socket error ends it at once.
 */
struct flow {
	bool is_dgram;		/* false; struct dflow of limit_dgram.c begins so too */
	struct key key;
	struct flow *chain;	/* next in the bucket */
	struct flow *next_owed;	/* list of flows to acknowledge this turn */
	struct flow *next_dead;
	int fd;
	uint32_t rcv_nxt;	/* next byte expected from the guest */
	uint32_t snd_nxt;	/* next byte to send to it */
	uint32_t snd_una;	/* oldest it has not acknowledged */
	uint32_t window;	/* bytes it can take beyond snd_una */
	uint32_t edge;		/* right edge of the window we last announced */
	uint8_t scale;		/* its window scale */
	bool open, owed, dead;
	bool guest_fin, host_fin;	/* which ends have closed */
	uint32_t interest;	/* epoll mask set at present */
};

struct segment {
	struct key key;
	const struct tcphdr *tcp;	/* NULL: a datagram */
	const uint8_t *data;
	size_t len;
};

extern int tap, ep;
extern bool offload;
extern bool uso;		/* super-frames of datagrams, both ways */
extern bool batching;		/* of datagrams */
extern unsigned int mtu;
extern uint8_t guest_mac[6];	/* of the last frame */

void die(const char *what);

/* limit_wire.c */
uint16_t sum_fold(uint64_t sum);
uint64_t sum_bytes(const void *data, size_t len, uint64_t sum);
uint64_t sum_pseudo(const struct key *k, int proto, size_t l4_len);
void put_eth(uint8_t *at, bool six);
size_t put_ip(uint8_t *at, const struct key *k, int proto, size_t l4_len);
bool parse(const uint8_t *p, size_t len, struct segment *s);
uint8_t syn_scale(const struct tcphdr *tcp);

/* limit_flow.c */
unsigned int key_bucket(const struct key *k);
void from_guest(const struct segment *s);
void socket_event(struct flow *f, uint32_t events);
void settle(void);		/* at the end of a turn */

/* limit_dgram.c */
void dgram_from_guest(const struct key *k, const uint8_t *p, size_t len,
		      size_t each);
void dgram_event(void *flow);
void settle_dgrams(void);	/* what was read from the tap is free after that */

#endif
