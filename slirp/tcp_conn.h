/* tcp_conn.h - the guest's half of one TCP connection: state, table, life and death.
 *
 * What it is: struct tcp_conn, its states, and the calls that gateway/ may make on it.
 * What it is not: the segment logic, which stands in tcp_in.c (arriving), tcp_out.c (leaving), tcp_timer.c (time), tcp_open.c (birth).
 * Ownership: the host embeds struct tcp_conn in its flow and owns the memory; the stack's tables hold it from tcp_syn to tcp_gone.
 * Below: upstream.h, stack.h, slirp/base.  Above: the tcp_ files of slirp/, gateway/flow_tcp.c.  RFC 9293, 7323, 2018, 6298, 5681, 5961.
 *
 * prefixes: tcp_conn_
 */
#ifndef SLIRP_TCP_CONN_H
#define SLIRP_TCP_CONN_H

#include "slirp/base/addr.h"
#include "slirp/base/htab.h"
#include "slirp/base/list.h"
#include "slirp/base/reason.h"
#include "slirp/base/timerq.h"
#include "slirp/tcp_ooo.h"
#include "slirp/upstream.h"

#include <stdbool.h>
#include <stdint.h>

struct stack;

/*
 *   guest SYN                        host connected                guest's ACK
 *   ---------> HELD -------------------------------> SYN_RECEIVED ------------> ESTABLISHED
 *               |  refused, denied, deadline             |                       |        |
 *               '--> RST or ICMP, gone                   |            guest FIN  |        | host EOF
 *                                                        v                       v        v
 *                                                     (as right)          CLOSE_WAIT    FIN_WAIT_1 --ACK of FIN--> FIN_WAIT_2
 *                                                                 host EOF |              | guest FIN                | guest FIN
 *                                                                          v              v                          |
 *                                                                       LAST_ACK       CLOSING --ACK of FIN--.       |
 *                                                              ACK of FIN  |                                 v       v
 *                                                                          v                              time-wait table
 *                                                                        gone                             (tcp_tw.c), gone
 * RST from the guest, failure of the host socket, silence: from every state to gone, with RST to whoever has not heard.
 *
 *   tcp_connect()                 guest's SYN-ACK
 *   -------------> SYN_SENT -------------------------> ESTABLISHED, as above
 *                     |  guest's RST or ICMP, its own SYN, deadline
 *                     '--> abort() to the host, gone
 *
 * HELD: the SYN is kept, the dial runs, the guest was told nothing.  Legal calls: tcp_open_accept, tcp_open_refuse, tcp_conn_drop.
 *       c->up is NULL.  A repeated SYN is counted, never answered, never dialed twice.
 * SYN_SENT: c->up is set and not read before the guest has answered.  Legal calls: tcp_conn_touch, tcp_conn_reset, tcp_conn_drop.
 * SYN_RECEIVED to LAST_ACK: c->up is set.  Legal calls: tcp_conn_touch, tcp_conn_reset, tcp_conn_drop.
 * gone (TCP_CLOSED): the memory is the host's; no call is legal.
 */
enum tcp_state {
	TCP_CLOSED,
	TCP_HELD,
	TCP_SYN_SENT,
	TCP_SYN_RECEIVED,
	TCP_ESTABLISHED,
	TCP_CLOSE_WAIT,
	TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2,
	TCP_CLOSING,
	TCP_LAST_ACK,
};

enum { TCP_SACK_BOARD = 16 }; /* ranges remembered of what the guest holds beyond snd_una: holes of one window at 1 % loss */

struct tcp_sack {
	uint32_t start[TCP_SACK_BOARD], end[TCP_SACK_BOARD]; /* ascending, disjoint, all above snd_una */
	int n;
};

struct tcp_rx; /* one in-order piece of payload waiting for the flush, tcp_rx.h */

struct tcp_conn {
	struct htab_node node;	/* in the stack's table, by tuple */
	struct timer timer;	/* caches tcp_timer_deadline() from above or below: never later */
	struct list touched;	/* on one of the stack's lists of touched and of stalled connections, or on none */
	struct list alive;	/* on one of the stack's lists of all connections */
	struct stack *st;
	struct upstream *up;	/* NULL while HELD */
	struct tuple tuple;
	uint8_t state;		/* enum tcp_state; changed by tcp_conn_enter() alone */
	bool stalled;		/* met a full link and has not been flushed since */
	uint8_t owner;		/* the host's: which of its kinds of flow this belongs to */

	/* options agreed at SYN time */
	bool ts_ok, sack_ok;
	uint8_t snd_wscale, rcv_wscale; /* shifts for the guest's windows and for ours */
	uint16_t mss;		/* payload bytes per segment toward the guest, options deducted */
	uint16_t rcv_mss;	/* largest segment seen from the guest */

	/* toward the guest; byte 0 of the upstream's queue is snd_una (iss + 1 while the SYN-ACK is unacknowledged) */
	uint32_t iss, snd_una, snd_nxt;
	uint32_t snd_max;	/* highest snd_nxt ever: beyond it nothing can be acknowledged */
	uint32_t snd_wnd;	/* bytes, scaled */
	uint32_t snd_wl1, snd_wl2;
	uint32_t max_snd_wnd;	/* largest window the guest ever offered, for silly window avoidance */
	uint32_t acked;		/* acknowledged bytes not yet consumed: done once per flush */
	bool fin_sent;		/* our FIN stands at snd_max - 1 */

	/* from the guest */
	uint32_t irs, rcv_nxt;
	uint32_t rcv_adv;	/* right edge of the window the guest was told; never moves left */
	uint32_t ack_sent;	/* highest acknowledgement the guest was told */
	struct tcp_rx *rx_head, *rx_tail; /* in-order payload of this turn, not yet written */
	uint32_t rx_len;	/* its bytes */
	struct tcp_ooo ooo;	/* what came ahead of a gap, or was more than the host took: held, not acknowledged */
	bool rx_fin;		/* the guest's FIN has come: it stands at rx_fin_seq, behind everything held */
	bool sack_tell;		/* something was added to ooo: a bare ACK tells it */
	uint8_t dups;		/* such segments since the last ACK, each of which is owed a duplicate ACK without SACK */
	uint32_t rx_fin_seq;
	bool short_write;	/* the last write() took less than was there */
	bool ack_now;
	bool probe_now;		/* the timer asks for a keepalive or window probe */
	bool rtx_now;		/* the SYN-ACK goes again */
	uint32_t ts_recent;	/* RFC 7323 4.3 */
	uint32_t ts_offset;	/* our timestamps: milliseconds + this */

	/* loss and congestion: RFC 5681, 6582, 6675 in small */
	uint32_t cwnd, ssthresh;
	uint32_t recover;	/* valid while in_recovery or timed_out: leave when snd_una passes it */
	uint32_t rtx_next;	/* next byte to look at for holes */
	uint32_t rtx_credit;	/* bytes that may be retransmitted now */
	uint32_t rtx_mark;	/* snd_max when the first hole was sent again */
	bool rtx_lost;		/* and that was lost too: once more */
	uint32_t extra;		/* bytes beyond cwnd that duplicate ACKs without SACK have paid for: RFC 3042, RFC 5681 3.2 */
	uint8_t dupacks;
	bool in_recovery;
	bool timed_out;		/* everything up to `recover` was sent again: duplicate ACKs tell nothing new until it is acknowledged */
	uint8_t backoff;	/* of the retransmission or persist timer */
	uint8_t probes;		/* unanswered keepalive probes */
	bool persist;		/* waiting for a window with nothing in flight */
	struct tcp_sack sack;

	uint8_t challenges;	/* challenge ACKs since challenge_at, RFC 5961 7 */
	int64_t challenge_at;

	/* time, microseconds; 0 or TIMERQ_NEVER as stated */
	int64_t srtt, rttvar;	/* RFC 6298; srtt 0: no sample yet */
	int64_t rto;		/* before back-off */
	uint32_t rtt_seq;	/* the sample ends when this is acknowledged */
	int64_t rtt_at;		/* when it was sent; 0: no sample running */
	int64_t rto_at;		/* retransmission or persist deadline; TIMERQ_NEVER: off */
	int64_t ack_at;		/* delayed ACK deadline; TIMERQ_NEVER: off */
	int64_t rx_at;		/* last valid segment from the guest */
	int64_t progress_at;	/* last time the guest acknowledged something new, or something new was sent to a quiet line */
	int64_t last_word_at;	/* when a guest silent for too long was asked once more; older than what was heard since: means nothing */
	int64_t opened_at;	/* tcp_open_accept() or tcp_connect(): the handshake's deadline counts from here */
};

const char *tcp_conn_state_name(enum tcp_state s); /* "ESTABLISHED" */

/* The connection with this key, or NULL.  Expected O(1). */
struct tcp_conn *tcp_conn_find(const struct stack *st, const struct tuple *t);

/* Every connection, in no order; fn may look and nothing else.  For listings. */
void tcp_conn_each(struct stack *st, void (*fn)(void *arg, const struct tcp_conn *c), void *arg);

/* Reading or writing at the upstream may go on: the next stack_flush() will try. */
void tcp_conn_touch(struct tcp_conn *c);

/* The upstream failed (RST from the network, error): RST to the guest now, gone.  up->abort() is not called. */
void tcp_conn_reset(struct tcp_conn *c, enum reason why, int64_t now);

/* The gateway ends the connection: abort() to the upstream if there is one, RST to the guest, gone. */
void tcp_conn_drop(struct tcp_conn *c, enum reason why, int64_t now);

/* tcp_conn_drop() for all, at shutdown. */
void tcp_conn_drop_all(struct stack *st, enum reason why, int64_t now);

#endif
