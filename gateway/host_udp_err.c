/* host_udp_err.c - what the network says about our datagrams.  See host_udp_err.h.
 *
 * Without IP_RECVERR an unconnected socket hears nothing.  With it every ICMP error is queued with the address that the datagram went to,
 * and besides fails the next call on the socket, whomever that is about; see udp_send_all() in host_udp.c.
 * System calls: setsockopt recvmsg getsockopt.
 * ip(7) IP_RECVERR, RFC 1122 3.2.2, RFC 4443 2.4.
 */
#include "gateway/host_udp_err.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum {
	ERR_BATCH = 64, /* entries per call: the queue is level-triggered */
	ERR_ICMP4_UNREACH = 3,
	ERR_ICMP4_TIME = 11,
	ERR_ICMP6_UNREACH = 1,
	ERR_ICMP6_TOO_BIG = 2,
	ERR_ICMP6_TIME = 3,
};

void host_udp_err_prepare(struct host_udp *s)
{
	int on = 1;

	if (s->v6)
		setsockopt(s->watch.fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
	else
		setsockopt(s->watch.fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
}

/* RFC 792, RFC 1812 5.2.7.1. */
static bool err_icmp4(uint8_t type, uint8_t code, enum icmp_unreach *ret)
{
	if (type == ERR_ICMP4_TIME) {
		*ret = code ? ICMP_UNREACH_LATE : ICMP_UNREACH_HOPS;
		return true;
	}
	if (type != ERR_ICMP4_UNREACH)
		return false;
	switch (code) {
	case 0: /* network */
	case 6: /* network unknown */
	case 11: /* network, for this type of service */
		*ret = ICMP_UNREACH_NET;
		return true;
	case 2: /* protocol */
	case 3: /* port */
		*ret = ICMP_UNREACH_PORT;
		return true;
	case 4: /* fragmentation needed */
		*ret = ICMP_UNREACH_SIZE;
		return true;
	case 9: /* prohibited: network, host, all */
	case 10:
	case 13:
		*ret = ICMP_UNREACH_ADMIN;
		return true;
	default:
		*ret = ICMP_UNREACH_HOST;
		return true;
	}
}

/* RFC 4443 3.1 to 3.3. */
static bool err_icmp6(uint8_t type, uint8_t code, enum icmp_unreach *ret)
{
	static const enum icmp_unreach unreach[] = { ICMP_UNREACH_NET,	ICMP_UNREACH_ADMIN, ICMP_UNREACH_HOST, ICMP_UNREACH_HOST,
						     ICMP_UNREACH_PORT, ICMP_UNREACH_ADMIN, ICMP_UNREACH_ADMIN };

	switch (type) {
	case ERR_ICMP6_UNREACH:
		*ret = code < sizeof(unreach) / sizeof(unreach[0]) ? unreach[code] : ICMP_UNREACH_HOST;
		return true;
	case ERR_ICMP6_TOO_BIG:
		*ret = ICMP_UNREACH_SIZE;
		return true;
	case ERR_ICMP6_TIME:
		*ret = code ? ICMP_UNREACH_LATE : ICMP_UNREACH_HOPS;
		return true;
	default:
		return false;
	}
}

bool host_udp_err_icmp(const struct sock_extended_err *ee, enum icmp_unreach *ret)
{
	if (ee->ee_origin == SO_EE_ORIGIN_ICMP)
		return err_icmp4(ee->ee_type, ee->ee_code, ret);
	return ee->ee_origin == SO_EE_ORIGIN_ICMP6 && err_icmp6(ee->ee_type, ee->ee_code, ret);
}

static void err_entry(struct host_udp *s, const struct sock_extended_err *ee, const struct sockaddr_storage *to, int64_t now)
{
	struct host_udp_error e = { .mtu = ee->ee_errno == EMSGSIZE ? ee->ee_info : 0 };
	struct endpoint peer, from;

	if (ee->ee_origin == SO_EE_ORIGIN_LOCAL) {
		if (ee->ee_errno == EMSGSIZE)
			s->local_mtu = ee->ee_info;
		return; /* the call that failed is told the rest */
	}
	if (!host_udp_err_icmp(ee, &e.why))
		return;
	e.has_from = hostsock_endpoint((const struct sockaddr_storage *)SO_EE_OFFENDER(ee), &from);
	if (e.has_from)
		e.from = from.addr;
	if (hostsock_endpoint(to, &peer))
		s->pool->ops->error(s, &peer, &e, now);
}

/* One entry of the queue.  False: it is empty. */
static bool err_one(struct host_udp *s, int64_t now)
{
	union {
		struct cmsghdr align;
		uint8_t b[256]; /* the error, its offender, and what else the socket is told of each datagram */
	} ctl;
	struct sockaddr_storage to = { 0 };
	uint8_t payload[1];
	struct iovec iov = { payload, sizeof(payload) };
	struct msghdr h = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl,
			    .msg_controllen = sizeof(ctl) };

	if (recvmsg(s->watch.fd, &h, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
		    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
			err_entry(s, (const struct sock_extended_err *)CMSG_DATA(c), &to, now);
	}
	return true;
}

void host_udp_err_drain(struct host_udp *s, int64_t now)
{
	int err;
	socklen_t len = sizeof(err);

	for (int i = 0; i < ERR_BATCH; i++) {
		if (!err_one(s, now))
			break;
	}
	getsockopt(s->watch.fd, SOL_SOCKET, SO_ERROR, &err, &len); /* clears it */
}

bool host_udp_err_local(struct host_udp *s, int err, struct host_udp_error *ret)
{
	*ret = (struct host_udp_error){ 0 };
	switch (err) {
	case EMSGSIZE:
		ret->why = ICMP_UNREACH_SIZE;
		ret->mtu = s->local_mtu;
		return true;
	case ENETUNREACH:
	case ENETDOWN:
	case ENODEV: /* the outbound interface is away */
	case EADDRNOTAVAIL: /* no source address of that family */
		ret->why = ICMP_UNREACH_NET;
		return true;
	case EHOSTUNREACH:
	case EHOSTDOWN:
		ret->why = ICMP_UNREACH_HOST;
		return true;
	case EACCES:
	case EPERM: /* a packet filter of the host */
		ret->why = ICMP_UNREACH_ADMIN;
		return true;
	default:
		return false;
	}
}
