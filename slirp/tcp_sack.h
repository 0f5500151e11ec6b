/* tcp_sack.h - what the guest holds, what it misses, and how much may be under way.  RFC 2018, 5681, 6582, 6675 in small.
 *
 * Below: tcp_state.h.  Above: tcp_in.c (acknowledgements come), tcp_out.c (asks what to send), tcp_timer.c (time-out).
 */
#ifndef SLIRP_TCP_SACK_H
#define SLIRP_TCP_SACK_H

#include "slirp/tcp_conn.h"

#include <stdbool.h>
#include <stdint.h>

struct tcp_seg;

void tcp_sack_take(struct tcp_conn *c, const struct tcp_seg *seg); /* SACK blocks of an acknowledgement */
void tcp_sack_acked(struct tcp_conn *c, uint32_t bytes);	   /* snd_una has moved over `bytes` of payload */
void tcp_sack_dup_ack(struct tcp_conn *c);
void tcp_sack_timeout(struct tcp_conn *c); /* everything unacknowledged counts as lost */

/* In recovery: the next hole that may be sent again now.  False: none. */
bool tcp_sack_hole(const struct tcp_conn *c, uint32_t *ret_start, uint32_t *ret_len);
/* len bytes from start were sent again. */
void tcp_sack_sent_again(struct tcp_conn *c, uint32_t start, uint32_t len);

#endif
