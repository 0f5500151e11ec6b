/* tcp_sack.h - what the guest holds, what it misses, and how much may be under way.  RFC 2018, 3042, 5681, 6582, 6675 in small.
 *
 * Below: tcp_state.h.  Above: tcp_in.c (acknowledgements come), tcp_out.c (asks what to send), tcp_timer.c (time-out).
 */
#ifndef SLIRP_TCP_SACK_H
#define SLIRP_TCP_SACK_H

#include "slirp/tcp_conn.h"

#include <stdbool.h>
#include <stdint.h>

struct tcp_seg;

void tcp_sack_begin(struct tcp_conn *c, bool syn_lost); /* mss is known: the congestion window for it */
void tcp_sack_idle(struct tcp_conn *c, int64_t now);	 /* about to send: a window grown long ago is no longer believed */
void tcp_sack_take(struct tcp_conn *c, const struct tcp_seg *seg); /* SACK blocks of an acknowledgement */
void tcp_sack_acked(struct tcp_conn *c, uint32_t bytes);	   /* snd_una has moved over `bytes` of payload */
void tcp_sack_dup_ack(struct tcp_conn *c);
void tcp_sack_timeout(struct tcp_conn *c); /* everything unacknowledged counts as lost */

/* In recovery: the next hole that may be sent again now.  False: none. */
bool tcp_sack_hole(const struct tcp_conn *c, uint32_t *ret_start, uint32_t *ret_len);
/* Behind a time-out: moves snd_nxt over what the guest has told that it holds; fewer than *len bytes may follow in one piece. */
void tcp_sack_skip(struct tcp_conn *c, uint32_t *len);
/* len bytes from start were sent again. */
void tcp_sack_sent_again(struct tcp_conn *c, uint32_t start, uint32_t len);

#endif
