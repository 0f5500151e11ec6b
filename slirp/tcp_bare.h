/* tcp_bare.h - headers toward the guest, and segments that are nothing but a header.
 *
 * What it is: from a struct tcp_seg to the front of a frame; the RST and ACK that need no connection, and the RST of one.
 * What it is not: a judge of when to send (tcp_out.c, tcp_in.c).
 * Below: ip_out.h, l4_wire.  Above: tcp_out.c, tcp_in.c, tcp_open.c, tcp_conn.c.  RFC 9293 3.5.2, 3.5.3.
 */
#ifndef SLIRP_TCP_BARE_H
#define SLIRP_TCP_BARE_H

#include "slirp/stack.h"
#include "slirp/tcp_tw.h"
#include "slirp/wire/l4_wire.h"

#include <stdbool.h>
#include <stdint.h>

/* Bytes of Ethernet, IP and TCP header for seg. */
uint32_t tcp_bare_head_len(const struct tuple *t, const struct tcp_seg *seg);
/* Writes them at p for a segment with len payload bytes; returns where things stand. */
struct frame_meta tcp_bare_head(struct stack *st, const struct tuple *t, uint8_t *p, const struct tcp_seg *seg, uint32_t len);
/* Sends seg without payload.  False: the link is full. */
bool tcp_bare_send(struct stack *st, const struct tuple *t, const struct tcp_seg *seg);
/* A segment without options, window or connection. */
void tcp_bare_segment(struct stack *st, const struct tuple *t, uint32_t seq, uint32_t ack, uint8_t flags);
/* The acknowledgement that a time-wait entry owes, with timestamps if they were agreed. */
void tcp_bare_time_wait(struct stack *st, const struct tcp_tw_entry *e, int64_t now);
/* RST for a connection in any state; nothing else about it changes. */
void tcp_bare_reset(const struct tcp_conn *c);

#endif
