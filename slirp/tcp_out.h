/* tcp_out.h - segments leave for the guest, payload leaves for the host.  RFC 9293 3.8.
 *
 * Below: tcp_state.h, tcp_sack.h, tcp_timer.h, ip_out.h, upstream.h.  Above: stack.c (flush), tcp_conn.c, tcp_in.c, tcp_open.c.
 */
#ifndef SLIRP_TCP_OUT_H
#define SLIRP_TCP_OUT_H

#include "slirp/stack.h"
#include "slirp/tcp_conn.h"
#include "slirp/tcp_tw.h"

#include <stdint.h>

/* One turn of one touched connection: consume what the guest has, write what it sent, send what the host has, acknowledge. */
void tcp_out_flush(struct tcp_conn *c, int64_t now);

/* RST for a connection in any state; nothing else about it changes. */
void tcp_out_reset(struct tcp_conn *c, int64_t now);

/* A segment without payload, options or connection. */
void tcp_out_bare(struct stack *st, const struct tuple *t, uint32_t seq, uint32_t ack, uint8_t flags);

/* The acknowledgement that a time-wait entry owes, with timestamps if they were agreed. */
void tcp_out_time_wait(struct stack *st, const struct tcp_tw_entry *e, int64_t now);

#endif
