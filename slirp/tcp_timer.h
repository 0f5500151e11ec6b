/* tcp_timer.h - everything about a connection that time does.  RFC 6298, RFC 9293 3.8.4 and 3.8.6.1, RFC 1122 4.2.3.5.
 *
 * One pure function says when a connection must be looked at; the heap only caches it, and may be early, never late: deadlines that move
 * back are not re-queued but found out when they fire.
 * Below: tcp_state.h, tcp_sack.h, timerq.  Above: tcp_in.c, tcp_out.c, stack.c.
 */
#ifndef SLIRP_TCP_TIMER_H
#define SLIRP_TCP_TIMER_H

#include "slirp/tcp_conn.h"

#include <stdint.h>

enum { TCP_TIMER_RTO_INITIAL = 1000000 }; /* microseconds, RFC 6298 2.1 */

/* The earliest of retransmission or persist, delayed ACK, handshake, silence, keepalive. */
int64_t tcp_timer_deadline(const struct tcp_conn *c);
/* The only function that arms a TCP timer. */
void tcp_timer_rekey(struct tcp_conn *c);
/* The cached deadline has fired. */
void tcp_timer_expire(struct tcp_conn *c, int64_t now);

/* snd_una has moved: RTT sample, back-off over, timer restarted or off. */
void tcp_timer_acked(struct tcp_conn *c, int64_t now);
/* Something that wants an acknowledgement is leaving; new_end: sequence number behind it, fresh: sent for the first time. */
void tcp_timer_sent(struct tcp_conn *c, uint32_t new_end, bool fresh, int64_t now);
/* A closed window has opened: whatever a probe has put behind it goes again, at once. */
void tcp_timer_window_open(struct tcp_conn *c, int64_t now);
/* Nothing is in flight and the window holds data back. */
void tcp_timer_persist(struct tcp_conn *c, int64_t now);

#endif
