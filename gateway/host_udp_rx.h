/* host_udp_rx.h - receiving on a datagram socket.  Below: host_udp.h.  Above: host_udp.c. */
#ifndef GATEWAY_HOST_UDP_RX_H
#define GATEWAY_HOST_UDP_RX_H

#include "gateway/host_udp.h"

struct host_udp_rx *host_udp_rx_new(void); /* NULL: no memory */
void host_udp_rx_free(struct host_udp_rx *rx);
void host_udp_rx_prepare(struct host_udp *s); /* socket options */
void host_udp_rx_read(struct host_udp *s, int64_t now); /* one batch; the descriptor is level-triggered, so the rest comes next turn */

#endif
