/* tcp_state.h - what the tcp_*.c files share about a connection's state and nobody else needs.
 *
 * Below: tcp_conn.h, tcp_seq.h.  Above: the tcp_ files of slirp/.  The functions stand in tcp_conn.c.
 */
#ifndef SLIRP_TCP_STATE_H
#define SLIRP_TCP_STATE_H

#include "slirp/tcp_conn.h"
#include "slirp/tcp_seq.h"

enum { TCP_RCV_WSCALE = 7 }; /* of our windows: 65535 << 7 carries max_window */

/* The only function that changes c->state. */
void tcp_conn_enter(struct tcp_conn *c, enum tcp_state s);
/* The link is full: c waits for stack_link_ready(), behind those that have sent nothing this turn if it has. */
void tcp_conn_stall(struct tcp_conn *c, bool sent);
/* Takes c out of every table and gives it back to the host. */
void tcp_conn_gone(struct tcp_conn *c, enum reason why);

/* Sequence numbers sent and not acknowledged: payload, and 1 for a FIN or the SYN. */
static inline uint32_t tcp_flight(const struct tcp_conn *c)
{
	return c->snd_max - c->snd_una;
}

/* The guest has sent its FIN and we have taken it. */
static inline bool tcp_guest_done(const struct tcp_conn *c)
{
	return c->state == TCP_CLOSE_WAIT || c->state == TCP_CLOSING || c->state == TCP_LAST_ACK;
}

/* Our SYN or SYN-ACK is under way and unanswered. */
static inline bool tcp_is_opening(const struct tcp_conn *c)
{
	return c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED;
}

static inline bool tcp_half_closed(const struct tcp_conn *c)
{
	return c->state == TCP_CLOSE_WAIT || c->state == TCP_FIN_WAIT_2;
}

/* The guest's FIN stands right behind what has come in order. */
static inline bool tcp_rx_fin_next(const struct tcp_conn *c)
{
	return c->rx_fin && c->rx_fin_seq == c->rcv_nxt + c->rx_len;
}

/* The next sequence number that would extend what has come in order, with what waits for the flush. */
static inline uint32_t tcp_rcv_next(const struct tcp_conn *c)
{
	return c->rcv_nxt + c->rx_len + tcp_rx_fin_next(c);
}

/* The right edge as the guest may read it: the window field is rounded up to its scale. */
static inline uint32_t tcp_rcv_edge(const struct tcp_conn *c)
{
	return c->rcv_adv + (1u << c->rcv_wscale) - 1;
}

#endif
