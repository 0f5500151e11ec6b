/* gateway.c - the composition: link, core, flows, DNS relay, loop.  See gateway.h.
 *
 * What it is not: logic.  Each callback of the core is handed to the file that knows.
 * Below: everything in gateway/.  Above: gateway/doors.
 */
#include "gateway/gateway_state.h"

#include "gateway/dns_relay.h"
#include "gateway/flow_dgram.h"
#include "gateway/flow_echo.h"
#include "gateway/guestfwd.h"
#include "gateway/hostinfo.h"
#include "gateway/journal.h"
#include "gateway/map.h"
#include "gateway/publisher.h"
#include "gateway/resolv.h"
#include "gateway/resolv_watch.h"
#include "gateway/tftp.h"
#include "gateway/udp_publish.h"
#include "slirp/tcp_conn.h"

#include <errno.h>
#include <glib.h>
#include <sys/epoll.h>
#include <sys/random.h>

#define GATEWAY_RESOLV_CONF "/etc/resolv.conf"

enum {
	GATEWAY_DNS_PORT = 53,
	GATEWAY_DNS_DIAL = 2000000, /* microseconds for one name server over TCP, as over UDP */
	GATEWAY_SETTLE = 100000, /* microseconds from the first change of the host to what follows from it */
	GATEWAY_DNS_ANSWER = 65535 - 40 - 8, /* beyond the guest's MTU it goes in fragments */
	GATEWAY_RCVBUF_BUDGET = 256 << 20, /* all that receive buffers may be raised by, bytes */
};

/* ------------------------------------------------------------------ what the core asks */

static struct gateway *gw_of(struct stack_host *h)
{
	return container_of(h, struct gateway, host);
}

static bool gw_tx_get(struct stack_host *h, struct tx_slot *slot, uint32_t head_len, uint32_t payload_len, uint32_t mss)
{
	struct link *l = gw_of(h)->link;

	return l->ops->tx_get(l, slot, head_len, payload_len, mss);
}

static void gw_tx_put(struct stack_host *h, struct tx_slot *slot, const struct frame_meta *meta, uint32_t used)
{
	struct link *l = gw_of(h)->link;

	l->ops->tx_put(l, slot, meta, used);
}

/* No descriptor is left: idle sockets of the DNS relay give one, then UDP. */
static bool gw_give_way(void *arg)
{
	return dns_relay_give_way(((struct gateway *)arg)->dns) || flow_dgram_give_way(((struct gateway *)arg)->udp);
}

static bool gw_is_dns(const struct gateway *gw, const struct endpoint *far)
{
	return far->port == GATEWAY_DNS_PORT && addr_eq(&far->addr, addr_is_v4(&far->addr) ? &gw->cfg.dns4 : &gw->cfg.dns6);
}

static enum reason gw_tcp_syn(struct stack_host *h, const struct tuple *t, struct tcp_conn **ret)
{
	struct gateway *gw = gw_of(h);
	struct flow_tcp_env *env;
	struct endpoint to;
	enum reason r;

	if (guestfwd_syn(gw->guestfwd, &t->far, ret, &r))
		return r;
	r = map_to_host(&gw->cfg, gw->hostinfo, gw->dns, &t->far, &to);
	if (r)
		return r;
	env = gw_is_dns(gw, &t->far) ? &gw->dns_env : &gw->tcp_env;
	return flow_tcp_open(env, &to, ret);
}

static void gw_tcp_established(struct stack_host *h, struct tcp_conn *c)
{
	flow_tcp_established(c);
}

/* Descriptors and raised receive buffers; flows are the table's own. */
static unsigned gw_full(void *arg)
{
	struct gateway *gw = arg;
	struct flow_dgram_stats us = { 0 };
	struct flow_echo_stats es = { 0 };
	unsigned descriptors, buffers;

	flow_dgram_stats(gw->udp, &us);
	flow_echo_stats(gw->echo, &es);
	descriptors = pressure_percent(gw->flows.now + us.sockets + es.now, gw->descriptors);
	buffers = pressure_percent(GATEWAY_RCVBUF_BUDGET - gw->pool.rcvbuf_budget, GATEWAY_RCVBUF_BUDGET);
	return descriptors > buffers ? descriptors : buffers;
}

static void gw_pressure(void *arg, bool on)
{
	struct gateway *gw = arg;

	journal_say(gw->cfg.journal, JOURNAL_INFO, on ? "pressure: %u TCP flows of %u; idle ones are probed, and make room" :
							  "pressure is over: %u TCP flows of %u", gw->flows.now, flow_max(&gw->flows));
	stack_pressure(gw->stack, on, loop_now(gw->loop));
}

static void gw_tcp_gone(struct stack_host *h, struct tcp_conn *c, enum reason why)
{
	if (c->owner == GUESTFWD_OWNER)
		guestfwd_gone(c, why);
	else
		flow_tcp_gone(c, why);
}

static bool gw_stands_for(struct stack_host *h, const struct addr *a)
{
	return guestfwd_has(gw_of(h)->guestfwd, a);
}

static enum reason gw_dgram(struct stack_host *h, const struct tuple *t, const struct dgram_meta *m, const struct iovec *data, int n,
			    uint32_t len, int64_t now)
{
	struct gateway *gw = gw_of(h);
	const struct addr *dns = addr_is_v4(&t->far.addr) ? &gw->cfg.dns4 : &gw->cfg.dns6;
	enum reason r;

	if (udp_publish_send(gw->published, t, m, data, n, len, now, &r) || tftp_takes(gw->tftp, t, m, data, n, len, now, &r))
		return r;
	if (t->far.port != GATEWAY_DNS_PORT || !addr_eq(&t->far.addr, dns) || gw->cfg.dns_off || gw->cfg.restricted)
		return flow_dgram_send(gw->udp, t, m, data, n, len, now);
	return m->gso_size ? R_DNS_MALFORMED : dns_relay_query(gw->dns, t, data, n, len, now);
}

static enum reason gw_udp_map(void *arg, const struct endpoint *far, struct endpoint *ret)
{
	struct gateway *gw = arg;

	return map_to_host(&gw->cfg, gw->hostinfo, gw->dns, far, ret);
}

static enum reason gw_udp_to_guest(void *arg, const struct tuple *t, const struct dgram_meta *m, const struct iovec *iov, int n,
				   uint32_t len)
{
	return stack_dgram(((struct gateway *)arg)->stack, t, m, iov, n, len);
}

static void gw_udp_error(void *arg, const struct tuple *t, enum icmp_unreach why, uint32_t mtu, const struct addr *from)
{
	stack_dgram_error(((struct gateway *)arg)->stack, t, why, mtu, from, loop_now(((struct gateway *)arg)->loop));
}

static void gw_udp_flush(void *arg, int64_t now)
{
	flow_dgram_flush(((struct gateway *)arg)->udp, now);
	tftp_flush(((struct gateway *)arg)->tftp, now);
}

static enum reason gw_echo(struct stack_host *h, const struct echo *e, const struct iovec *data, int n, uint32_t len, int64_t now)
{
	struct gateway *gw = gw_of(h);
	enum reason r = flow_echo_send(gw->echo, e, data, n, len, now);

	return r == R_NO_DESCRIPTOR && gw_give_way(gw) ? flow_echo_send(gw->echo, e, data, n, len, now) : r;
}

static enum reason gw_echo_map(void *arg, const struct addr *far, struct addr *ret)
{
	struct endpoint to;
	enum reason r = gw_udp_map(arg, &(struct endpoint){ .addr = *far }, &to);

	if (!r)
		*ret = to.addr;
	return r;
}

static enum reason gw_echo_to_guest(void *arg, const struct echo *e, const struct iovec *data, int n, uint32_t len)
{
	return stack_echo(((struct gateway *)arg)->stack, e, data, n, len);
}

static void gw_echo_error(void *arg, const struct echo *e, enum icmp_unreach why, uint32_t mtu, const struct addr *from)
{
	stack_echo_error(((struct gateway *)arg)->stack, e, why, mtu, from, loop_now(((struct gateway *)arg)->loop));
}

static void gw_resolv(void *arg, const struct addr *servers, unsigned n)
{
	struct gateway *gw = arg;

	if (dns_relay_set_servers(gw->dns, servers, n))
		journal_say(gw->cfg.journal, JOURNAL_INFO, "the host's resolv.conf has changed: %u name servers", n);
}

static void gw_dns_answer(void *arg, const struct tuple *t, const uint8_t *msg, uint32_t len)
{
	struct gateway *gw = arg;

	stack_dgram(gw->stack, t, &(struct dgram_meta){ 0 }, &(struct iovec){ (void *)msg, len }, 1, len);
}

/* A change seldom comes alone: the first one starts the clock, the others join it. */
static void gw_hostinfo_event(struct loop_watch *w, uint32_t events, int64_t now)
{
	struct gateway *gw = container_of(w, struct gateway, hostinfo_watch);

	hostinfo_read(gw->hostinfo);
	if (gw->hostinfo->changes && !gw->host_settled.timer.slot)
		loop_timer_set(gw->loop, &gw->host_settled, now + GATEWAY_SETTLE); /* no memory: the next change tries again */
}

static void gw_host_changed(struct loop_timer *t, int64_t now)
{
	struct gateway *gw = container_of(t, struct gateway, host_settled);

	gw->hostinfo->changes = 0;
	dns_relay_host_changed(gw->dns, now);
	flow_dgram_host_changed(gw->udp);
	flow_echo_host_changed(gw->echo);
}

/* DNS over TCP: the next name server. */
static bool gw_dns_again(void *arg, const struct endpoint *failed, unsigned tries, int64_t age, struct endpoint *ret)
{
	struct gateway *gw = arg;

	ret->port = failed->port;
	return dns_relay_server_failed(gw->dns, &failed->addr, tries, age, &ret->addr);
}

/* The host's loopback, which only the gateway's address leads to: the other family's. */
static bool gw_loopback_again(void *arg, const struct endpoint *failed, unsigned tries, int64_t age, struct endpoint *ret)
{
	return tries == 1 && age < GATEWAY_S && map_other_loopback(failed, ret); /* refused, not silent */
}

static void gw_link_gone(void *arg, int err)
{
	struct gateway *gw = arg;

	if (gw->on_gone)
		gw->on_gone(gw->on_gone_arg, err);
}

/* ------------------------------------------------------------------ life */

static bool gw_no_memory(GError **err)
{
	g_set_error_literal(err, G_FILE_ERROR, G_FILE_ERROR_NOMEM, "out of memory");
	return false;
}

static bool gw_make_stack(struct gateway *gw, GError **err)
{
	struct stack_config sc;

	gateway_config_stack(&gw->cfg, &sc);
	sc.link = gw->link->caps;
	if (getrandom(&sc.key, sizeof(sc.key), 0) != sizeof(sc.key)) {
		g_set_error_literal(err, G_FILE_ERROR, G_FILE_ERROR_FAILED, "the kernel gives no random bytes");
		return false;
	}
	gw->host = (struct stack_host){ .tx_get = gw_tx_get, .tx_put = gw_tx_put, .tcp_syn = gw_tcp_syn, .tcp_gone = gw_tcp_gone,
					.tcp_established = gw_tcp_established, .dgram = gw_dgram, .echo = gw_echo,
					.stands_for = gw_stands_for };
	gw->stack = stack_new(&sc, &gw->host, &gw->drops);
	return gw->stack || gw_no_memory(err);
}

static bool gw_make_dns(struct gateway *gw, GError **err)
{
	struct dns_relay_config dc = { .n_servers = gw->cfg.n_dns, .max_answer = GATEWAY_DNS_ANSWER, .drops = &gw->drops, .mem = gw->cfg.mem,
				       .answer = gw_dns_answer, .give_way = gw_give_way, .idle = gw->cfg.tune.udp_dns, .arg = gw };

	memcpy(dc.servers, gw->cfg.dns, sizeof(dc.servers));
	if (!dc.n_servers) {
		int n = resolv_servers(GATEWAY_RESOLV_CONF, dc.servers, DNS_RELAY_SERVERS);

		dc.n_servers = n > 0 ? (unsigned)n : 0; /* none: the relay says SERVFAIL */
	}
	gw->dns = dns_relay_new(gw->loop, &dc);
	return gw->dns || gw_no_memory(err);
}

static bool gw_make_udp(struct gateway *gw, GError **err)
{
	struct flow_dgram_env env;

	flow_dgram_env_init(&env);
	env.loop = gw->loop;
	env.origin = &gw->origin;
	env.drops = &gw->drops;
	env.tune = &gw->cfg.tune;
	env.mem = gw->cfg.mem;
	env.open_filter = gw->cfg.udp_filter_open;
	env.run_each = gw->link->caps.mtu - 40u - 8u; /* the larger of both families' headers */
	env.map = gw_udp_map;
	env.to_guest = gw_udp_to_guest;
	env.error = gw_udp_error;
	env.give_way = gw_give_way;
	env.arg = gw;
	gw->udp = flow_dgram_new(&env);
	if (gw->udp)
		loop_before_flush(gw->loop, gw_udp_flush, gw);
	return gw->udp || gw_no_memory(err);
}

static bool gw_make_echo(struct gateway *gw, GError **err)
{
	gw->echo = flow_echo_new(&(struct flow_echo_env){ .loop = gw->loop, .mem = gw->cfg.mem, .origin = &gw->origin, .drops = &gw->drops,
							  .journal = gw->cfg.journal, .tune = &gw->cfg.tune, .map = gw_echo_map, .to_guest = gw_echo_to_guest,
							  .error = gw_echo_error, .arg = gw });
	return gw->echo || gw_no_memory(err);
}

static bool gw_make_guestfwd(struct gateway *gw, GError **err)
{
	gw->guestfwd = guestfwd_new(&(struct guestfwd_env){ .loop = gw->loop, .tcp = &gw->tcp_env, .closes = &gw->flows.closes,
							    .drained = gw->cfg.guestfwd_drained, .arg = gw->cfg.guestfwd_arg });
	return gw->guestfwd || gw_no_memory(err);
}

/* Before gw_make_dns() reads the file: no change goes unseen. */
static void gw_make_resolv(struct gateway *gw)
{
	if (gw->cfg.n_dns)
		return;
	gw->resolv = resolv_watch_new(gw->loop, GATEWAY_RESOLV_CONF, gw_resolv, gw);
	if (!gw->resolv)
		journal_say(gw->cfg.journal, JOURNAL_WARN, "the host's resolv.conf is not followed: %s", g_strerror(errno));
}

static bool gw_make_hostinfo(struct gateway *gw, GError **err)
{
	const struct gateway_config *cfg = &gw->cfg;

	if (!cfg->hostinfo) {
		if (cfg->host_loopback || cfg->own_addresses)
			return true;
		g_set_error_literal(err, G_FILE_ERROR, G_FILE_ERROR_FAILED, "nobody knows the host's own addresses, which are to be closed");
		return false;
	}
	gw->hostinfo = cfg->hostinfo(err);
	if (!gw->hostinfo)
		return false;
	gw->hostinfo_watch.fn = gw_hostinfo_event;
	if (hostinfo_fd(gw->hostinfo) < 0 || !loop_watch_add(gw->loop, &gw->hostinfo_watch, hostinfo_fd(gw->hostinfo), EPOLLIN))
		return true;
	return gw_no_memory(err);
}

static bool gw_make_flows(struct gateway *gw, GError **err)
{
	struct flow_table_ops ops = flow_tcp_ops();
	struct siphash_key key;
	struct rlimit rl;

	ops.full = gw_full;
	ops.pressure = gw_pressure;
	ops.arg = gw;
	gw->descriptors = getrlimit(RLIMIT_NOFILE, &rl) || rl.rlim_cur == RLIM_INFINITY ? INT32_MAX : rl.rlim_cur;
	if (getrandom(&key, sizeof(key), 0) != sizeof(key))
		return gw_no_memory(err);
	return flow_table_init(&gw->flows, gw->loop, &gw->cfg.tune, &ops, &key, gw->cfg.mem) || gw_no_memory(err);
}

static bool gw_make(struct gateway *gw, GError **err)
{
	static const struct hostsock_origin anywhere;
	const struct gateway_config *cfg = &gw->cfg;

	loop_use_mem(gw->loop, cfg->mem);
	if (!gw_make_flows(gw, err))
		return false;
	gw->pool = (struct host_tcp_pool){ .loop = gw->loop, .rcvbuf_budget = GATEWAY_RCVBUF_BUDGET };
	gw->origin.outbound4 = cfg->outbound4;
	gw->origin.outbound6 = cfg->outbound6;
	g_strlcpy(gw->origin.outbound_if, cfg->outbound_if, sizeof(gw->origin.outbound_if));
	gw->tcp_env = (struct flow_tcp_env){ .mem = cfg->mem, .table = &gw->flows, .pool = &gw->pool, .origin = &gw->origin,
					     .again = gw_loopback_again, .give_way = gw_give_way, .arg = gw, .own_addresses = cfg->host_loopback || cfg->own_addresses };
	gw->host_settled.fn = gw_host_changed;
	gw->dns_env = gw->tcp_env; /* as for DNS over UDP: from wherever the host reaches its name servers, loopback among them */
	gw->dns_env.origin = &anywhere;
	gw->dns_env.dial_timeout = GATEWAY_DNS_DIAL;
	gw->dns_env.own_addresses = true;
	gw->dns_env.again = gw_dns_again;
	gw->dns_env.arg = gw;
	gw_make_resolv(gw);
	if (!gw_make_hostinfo(gw, err) || !gw_make_dns(gw, err) || !gw_make_udp(gw, err) || !gw_make_echo(gw, err) ||
	    !gw_make_guestfwd(gw, err) || !gw_make_stack(gw, err))
		return false;
	if (cfg->tftp)
		gw->tftp = tftp_new(&(struct tftp_env){ .loop = gw->loop, .stack = gw->stack, .drops = &gw->drops, .journal = cfg->journal }, cfg->tftp);
	if (cfg->tftp && !gw->tftp)
		return gw_no_memory(err);
	gw->published = udp_publish_new(&(struct udp_publish_env){ .loop = gw->loop, .stack = gw->stack, .drops = &gw->drops,
								   .idle = &gw->cfg.tune.udp_published });
	if (!gw->published)
		return gw_no_memory(err);
	inbound_init(&gw->inbound, &gw->tcp_env, gw->stack);
	if (cfg->publisher)
		publisher_begin(cfg->publisher, gw->loop, &gw->inbound, gw->published, &gw->cfg);
	loop_drive(gw->loop, gw->link, gw->stack, gw_link_gone, gw);
	return true;
}

struct gateway *gateway_new_on(const struct gateway_config *cfg, struct link *link, struct loop *loop, GError **err)
{
	struct gateway *gw = g_try_new0(struct gateway, 1);

	if (!gw) {
		link_free(link);
		loop_free(loop);
		gw_no_memory(err);
		return NULL;
	}
	gw->cfg = *cfg;
	gw->link = link;
	gw->loop = loop;
	if (gw_make(gw, err))
		return gw;
	gateway_free(gw);
	return NULL;
}

struct gateway *gateway_new(const struct gateway_config *cfg, struct link *link, GMainContext *ctx, GError **err)
{
	struct loop *loop = loop_new(ctx, err);
	struct gateway *gw;

	if (!loop) {
		link_free(link);
		return NULL;
	}
	loop_linger(loop);
	gw = gateway_new_on(cfg, link, loop, err);
	if (!gw)
		return NULL;
	stack_link_up(gw->stack, loop_now(loop));
	loop_kick(loop);
	return gw;
}

void gateway_free(struct gateway *gw)
{
	if (!gw)
		return;
	if (gw->stack)
		tcp_conn_drop_all(gw->stack, R_SHUTDOWN, loop_now(gw->loop));
	if (gw->cfg.publisher)
		publisher_end(gw->cfg.publisher);
	if (gw->hostinfo)
		loop_watch_remove(gw->loop, &gw->hostinfo_watch);
	udp_publish_free(gw->published);
	loop_timer_set(gw->loop, &gw->host_settled, TIMERQ_NEVER);
	flow_dgram_free(gw->udp);
	tftp_free(gw->tftp);
	flow_echo_free(gw->echo);
	resolv_watch_free(gw->resolv);
	dns_relay_free(gw->dns);
	loop_free(gw->loop);
	flow_table_clear(&gw->flows);
	guestfwd_free(gw->guestfwd);
	hostinfo_free(gw->hostinfo);
	stack_free(gw->stack);
	link_free(gw->link);
	g_free(gw);
}
