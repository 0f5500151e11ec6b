/* gateway_view.c - what may be asked of a gateway that runs, and what may be changed.  See gateway.h.
 *
 * prefixes: gateway_
 */
#include "gateway/dns_relay.h"
#include "gateway/flow_dgram.h"
#include "gateway/flow_echo.h"
#include "gateway/gateway_state.h"
#include "gateway/publisher.h"
#include "slirp/tcp_conn.h"

struct inbound *gateway_inbound(struct gateway *gw)
{
	return &gw->inbound;
}

void gateway_on_link_gone(struct gateway *gw, void (*fn)(void *arg, int err), void *arg)
{
	gw->on_gone = fn;
	gw->on_gone_arg = arg;
}

void gateway_count(struct gateway *gw, enum reason why)
{
	reason_count(&gw->drops, why);
}

struct udp_publish *gateway_udp_publish(struct gateway *gw)
{
	return gw->published;
}

struct guestfwd *gateway_guestfwd(struct gateway *gw)
{
	return gw->guestfwd;
}

struct stack *gateway_stack(struct gateway *gw)
{
	return gw->stack;
}

void gateway_stats(const struct gateway *gw, struct gateway_stats *ret)
{
	struct stack_stats ss;
	struct flow_dgram_stats us;
	struct flow_echo_stats es;

	stack_stats(gw->stack, &ss);
	flow_dgram_stats(gw->udp, &us);
	flow_echo_stats(gw->echo, &es);
	*ret = (struct gateway_stats){
		.link_rx_frames = ss.rx_frames,
		.link_rx_bytes = ss.rx_bytes,
		.link_tx_frames = ss.tx_frames,
		.link_tx_bytes = ss.tx_bytes,
		.flows_opened = gw->flows.opened,
		.flows_now = gw->flows.now,
		.half_open_now = gw->flows.half.now,
		.pressure_now = gw->flows.pressure.on,
		.pressure_times = gw->flows.pressure.times,
		.to_host_bytes = ss.to_host_bytes,
		.to_guest_bytes = ss.to_guest_bytes,
		.udp_sessions_opened = us.opened,
		.udp_sessions_now = us.now,
		.udp_sockets_now = us.sockets,
		.udp_evicted = us.evicted,
		.udp_to_host = us.to_host,
		.udp_to_guest = us.to_guest,
		.echo_sockets_now = es.now,
		.echo_evicted = es.evicted,
		.echo_to_host = es.to_host,
		.echo_to_guest = es.to_guest,
		.turns = loop_turns(gw->loop),
		.drops = gw->drops,
		.closes = gw->flows.closes,
	};
	dns_relay_stats(gw->dns, &ret->dns_queries, &ret->dns_answers);
	for (unsigned i = 0; gw->cfg.publisher && i < R_COUNT; i++) /* clients that never became flows */
		ret->closes.n[i] += publisher_refusals(gw->cfg.publisher)->n[i];
}

struct gateway_tunables *gateway_tunables(struct gateway *gw)
{
	return &gw->cfg.tune;
}

bool gateway_close_flow(struct gateway *gw, const struct tuple *t)
{
	struct tcp_conn *c = tcp_conn_find(gw->stack, t);

	if (!c)
		return false;
	tcp_conn_drop(c, R_OPERATOR, loop_now(gw->loop));
	loop_kick(gw->loop);
	return true;
}
