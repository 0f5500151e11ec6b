/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * library.h - what the two parts of bench-library share.
 *
 * library.c loads the library, lends it a loop and measures; library_guest.c is
 * the guest: addresses, frames and the least TCP that a fair peer needs.  One
 * process is one guest: a plain global holds it.
 */
#ifndef BENCH_LIBRARY_H
#define BENCH_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PORT_FIRST = 2000,		/* of the guest's own ports */
	PORT_LAST = 62000,
	WINDOW_SHIFT = 7,		/* the guest's window scale (RFC 7323) */
	SEND_AHEAD = 4 << 20,		/* bytes the guest keeps in flight at most */
	BURST_FRAMES = 256,		/* frames per turn, a virtio ring full */
	BURST_BYTES = 1 << 20,
	PAYLOAD_MAX = 65536,
};

enum peer_state { PEER_SYN, PEER_UP, PEER_CLOSING, PEER_OVER };

/* A connection of the guest. */
struct peer {
	enum peer_state state;
	char kind;			/* the letter its bytes are, see traffic.c */
	uint16_t lport, rport;
	uint32_t una, nxt, wnd, wnd_max;	/* what it sends */
	uint32_t rcv;			/* what it gets */
	uint32_t ack_due[BURST_FRAMES];	/* acknowledgements of this turn, one per second frame */
	int acks;
	bool odd;			/* a frame without its second */
	bool asked, scaled, fin_sent, fin_seen, queued;
	uint32_t mss;
	uint64_t got;			/* bytes received */
	int64_t start, moved;		/* ns: connect or request; last progress */
	struct peer *next;
};

struct guest {
	void (*input)(const uint8_t *frame, int len);
	void (*event)(struct peer *p);	/* after a turn: something has changed */
	uint32_t mtu;
	int port, ports;		/* of the server */
	struct peer *by_port[65536];
	struct peer *todo;		/* to be looked at after the turn */
	unsigned opened;
	uint64_t frames_in, frames_out, resent, probes, disorder, bad, refused;
};

extern struct guest guest;

int64_t now_ns(void);

void guest_begin(uint32_t mtu, int port, int ports, void (*input)(const uint8_t *, int), void (*event)(struct peer *));
/* A frame from the library: only notes what follows from it. */
void guest_frame(const uint8_t *f, size_t len);
/* After the library's turn: answers, tells event(). */
void guest_turn(void);

struct peer *peer_open(char kind);
/* Sends len bytes, all p->kind.  False: the window has no room for them. */
bool peer_send(struct peer *p, uint32_t len);
/* Sends segments, full or, as Linux does, half the largest window, as long as the window and a turn allow.  True: there was room for more. */
bool peer_stream(struct peer *p);
/* Everything is acknowledged and the window is zero; sends a byte beyond it, whose answer tells whether it is still so. */
bool peer_is_shut(const struct peer *p);
void peer_probe(struct peer *p);
void peer_fin(struct peer *p);
void peer_reset(struct peer *p);	/* and forget it */
void peer_forget(struct peer *p);

#endif
