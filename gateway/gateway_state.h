/* gateway_state.h - struct gateway, for the files that make it up.
 *
 * What it is not: an interface: doors see gateway.h.
 * Below: what a gateway is composed of.  Above: gateway.c (life, the core's callbacks), gateway_view.c (what may be asked and changed).
 */
#ifndef GATEWAY_GATEWAY_STATE_H
#define GATEWAY_GATEWAY_STATE_H

#include "gateway/flow.h"
#include "gateway/flow_tcp.h"
#include "gateway/gateway.h"
#include "gateway/host_tcp.h"
#include "gateway/hostsock.h"
#include "gateway/inbound.h"
#include "gateway/loop.h"

#include <sys/resource.h>

struct gateway {
	struct gateway_config cfg;
	struct stack_host host; /* what the core calls */
	struct link *link;
	struct loop *loop;
	struct stack *stack;
	struct flow_table flows;
	struct host_tcp_pool pool;
	struct hostsock_origin origin;
	struct flow_tcp_env tcp_env, dns_env; /* dns_env: to name servers */
	struct inbound inbound;
	rlim_t descriptors; /* the limit */
	struct flow_dgram *udp;
	struct flow_echo *echo;
	struct udp_publish *published;
	struct guestfwd *guestfwd;
	struct tftp *tftp; /* NULL: none */
	struct dns_relay *dns;
	struct resolv_watch *resolv; /* NULL: the name servers were given */
	struct hostinfo *hostinfo;
	struct loop_watch hostinfo_watch;
	struct loop_timer host_settled; /* set while changes of the host gather */
	struct reason_tally drops;
	void (*on_gone)(void *arg, int err);
	void *on_gone_arg;
};

#endif
