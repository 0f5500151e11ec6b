/* tcp_out.h - segments leave for the guest, payload leaves for the host.  RFC 9293 3.8.
 *
 * Below: tcp_state.h, tcp_sack.h, tcp_timer.h, tcp_bare.h, upstream.h.  Above: stack.c (flush).
 */
#ifndef SLIRP_TCP_OUT_H
#define SLIRP_TCP_OUT_H

#include "slirp/tcp_conn.h"

#include <stdint.h>

/* One turn of one touched connection: consume what the guest has, write what it sent, send what the host has, acknowledge. */
void tcp_out_flush(struct tcp_conn *c, int64_t now);

#endif
