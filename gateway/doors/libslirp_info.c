/* libslirp_info.c - what a person may ask: connections and neighbours, as text in the format that tools parse.
 *
 * prefixes: slirp_
 * Below: libslirp_state.h.  Above: the application.
 */
#include "gateway/doors/libslirp_state.h"
#include "gateway/flow_tcp.h"
#include "gateway/guestfwd.h"
#include "gateway/publisher.h"

#include <glib.h>

/* Who a listener listens as; IPv4's any address is a star. */
static const char *info_addr(const struct addr *a, char *buf)
{
	return addr_is_v4(a) && addr_is_unspecified(a) ? "*" : addr_format(a, buf);
}

static void info_row(GString *text, const char *what, int fd, const char *from, unsigned from_port, const char *to, unsigned to_port,
		     unsigned send_queue)
{
	g_string_append_printf(text, "%-19s %3d %15s %5u %15s %5u %5d %5u\n", what, fd, from, from_port, to, to_port, 0, send_queue);
}

static const char *info_state(enum tcp_state s)
{
	switch (s) {
	case TCP_HELD:
		return "  TCP[SYN_SENT]"; /* toward the host: the guest waits */
	case TCP_SYN_SENT:
		return "  TCP[SYN_SENT]";
	case TCP_SYN_RECEIVED:
		return "  TCP[SYN_RCVD]";
	case TCP_ESTABLISHED:
		return "  TCP[ESTABLISHED]";
	case TCP_CLOSE_WAIT:
		return "  TCP[CLOSE_WAIT]";
	case TCP_FIN_WAIT_1:
		return "  TCP[FIN_WAIT_1]";
	case TCP_FIN_WAIT_2:
		return "  TCP[FIN_WAIT_2]";
	case TCP_CLOSING:
		return "  TCP[CLOSING]";
	case TCP_LAST_ACK:
		return "  TCP[LAST_ACK]";
	default:
		return "  TCP[CLOSED]";
	}
}

static void info_conn(void *arg, const struct tcp_conn *c)
{
	int fd = c->owner == GUESTFWD_OWNER ? -1 : flow_tcp_fd(c);
	char guest[ADDR_STRLEN], far[ADDR_STRLEN];
	const struct tuple *t = &c->tuple;

	info_row(arg, info_state(c->state), fd, addr_format(&t->guest.addr, guest), t->guest.port, addr_format(&t->far.addr, far), t->far.port,
		 c->snd_max - c->snd_una);
}

static void info_forwards(struct Slirp *s, enum portspec_proto proto, const char *what, GString *text)
{
	char buf[ADDR_STRLEN], to[ADDR_STRLEN];

	const struct publish *ports = publisher_registry(s->ports);

	for (struct publish_set *set = publish_next(ports, NULL); set; set = publish_next(ports, set)) {
		const struct publish_port *p = container_of(set->ports.next, struct publish_port, node);
		const struct listener *l = &p->listener;

		if (l->proto == proto)
			info_row(text, what, l->fd, *l->path ? l->path : info_addr(&l->bound.addr, buf), l->bound.port,
				 info_addr(&set->rule.to, to), p->to_port, 0);
	}
}

char *slirp_connection_info(Slirp *slirp)
{
	GString *text = g_string_new("  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\n");

	tcp_conn_each(gateway_stack(slirp->gw), info_conn, text);
	info_forwards(slirp, PORTSPEC_TCP, "  TCP[HOST_FORWARD]", text);
	info_forwards(slirp, PORTSPEC_UDP, "  UDP[HOST_FORWARD]", text);
	return g_string_free(text, FALSE);
}

char *slirp_neighbor_info(Slirp *slirp)
{
	GString *text = g_string_new("  Table  MacAddr            IP Address\n");
	char buf[ADDR_STRLEN];
	struct addr addr;
	struct mac mac;

	for (unsigned i = 0; stack_neighbour(gateway_stack(slirp->gw), i, &addr, &mac); i++) {
		g_autofree char *m = g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", mac.b[0], mac.b[1], mac.b[2], mac.b[3], mac.b[4], mac.b[5]);

		g_string_append_printf(text, "  %5s  %-17s  %s\n", addr_is_v4(&addr) ? "ARP" : "NDP", m, addr_format(&addr, buf));
	}
	return g_string_free(text, FALSE);
}
