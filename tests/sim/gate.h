/* gate.h - gatesim: the whole gateway over a kernel of its own, in virtual time.
 *
 * What it is: gateway_new() as the doors call it, linked so (--wrap) that its system calls land here: descriptors that are not the
 * kernel's, an epoll set that is level- or edge-triggered as Linux's is, sockets with far.c behind them, a link that is wire.c.
 * gate.c plays and judges, gate_sys.c takes the calls, gate_epoll.c is the set, gate_tcp.c and gate_udp.c the sockets and what the
 * network does with datagrams, gate_talk.c and gate_pack.c the guest's datagrams, gate_conf.c its DHCP clients,
 * gate_in.c clients of the host's side.
 * What it is not: a model of everything Linux does; what it does it does as Linux does, faults included, and no worse.
 * Below: sim.h, gateway/.  Above: nothing.
 *
 * prefixes: gate_ talk_ pack_ conf_ in_
 */
#ifndef TESTS_SIM_GATE_H
#define TESTS_SIM_GATE_H

#include "gateway/gateway.h"
#include "gateway/loop.h"
#include "slirp/base/list.h"
#include "tests/sim/sim.h"

#include <sys/epoll.h>
#include <sys/socket.h>

enum {
	GATE_FD = 100000, /* descriptors from here on are ours */
	GATE_FDS = 1024,
	GATE_TALKS = 24,
	GATE_TALK_PORT = 30000, /* of the guest's datagrams */
	GATE_PEER_PORT = 20000, /* of whom they talk to */
	GATE_DNS_SERVERS = 2,
};

enum gate_kind { GATE_FREE, GATE_EPOLL, GATE_EVENT, GATE_LINK, GATE_TCP, GATE_UDP, GATE_PING };
enum gate_state { GATE_FRESH, GATE_DIALING, GATE_OPEN, GATE_DEAD };

/* A datagram on its way from the network, or waiting in a socket. */
struct gate_dgram {
	int64_t at;
	struct gate_fd *to;
	struct endpoint from;
	bool error; /* an ICMP error about a datagram to `from` */
	uint32_t len;
	uint8_t data[];
};

struct gate_fd {
	struct gate *gate;
	enum gate_kind kind;
	int fd;
	bool v6;

	/* its place in an epoll set */
	struct gate_fd *set; /* NULL: in none */
	uint32_t mask;
	void *data;
	bool queued;	     /* in set->ready */
	GQueue ready;	     /* of a set: descriptors that may have something */

	/* a stream socket */
	enum gate_state state;
	struct sim_conn *conn;
	int err;	     /* positive errno, told once */
	bool nospace, linger, has_begun;
	int peek_off;	     /* -1: off */
	uint32_t lowat, rcvbuf;

	/* a datagram socket */
	GQueue rx, errors;   /* struct gate_dgram */
	struct endpoint to;  /* connected; port 0: not */
	int owner;	     /* the guest's port that it serves; 0: not known yet */
};

enum talk_kind { TALK_UDP, TALK_PING, TALK_PING_GATEWAY, TALK_DNS };
enum talk_peer { PEER_ANSWERS, PEER_SILENT, PEER_REFUSES };

/* Datagrams of one guest port to one peer. */
struct talk {
	struct gate *gate;
	int nr;
	enum talk_kind kind;
	enum talk_peer peer;
	uint16_t port;	     /* the guest's, or its ping id; shared by some talks */
	struct endpoint far;
	int64_t at;	     /* the next datagram */
	int64_t gap;
	uint32_t left, sent, size_max;
	uint32_t arrived, answered, returned; /* at the peer, by it, at the guest */
	bool fragments;
};

enum conf_kind { CONF_DHCP4, CONF_DHCP6, CONF_ROUTER, CONF_KINDS };
enum conf_step { CONF_ASK, CONF_TAKE, CONF_RENEW, CONF_RELEASE, CONF_DONE };

/* A client of the guest's, for addresses or routers. */
struct conf {
	int step, last;
	int64_t at; /* asks, or asks again */
	uint32_t xid, tries;
	bool selecting;		   /* an offer was taken up */
	bool strange, was_strange; /* asks for an address that is not the guest's */
	uint16_t server_len;
	uint8_t server[130];
};

struct gate {
	struct sim *s;
	struct gateway *gw;
	struct loop *loop;   /* driven by the world; NULL: by GLib */
	GMainContext *ctx;
	struct link link;
	struct gate_fd *set; /* the gateway's own */
	struct gate_fd *link_fd;
	int64_t link_dies_at, ends_at; /* SIM_NEVER: it lives until all is done */
	bool link_gone, over, started;
	struct gate_fd fds[GATE_FDS];
	uint32_t open;	     /* sockets */
	uint32_t emfile, enobufs, eagain, enomem; /* chances per thousand */
	bool no_peek_off;
	uint64_t begun; /* flows: sockets that were watched */
	GQueue net;	     /* struct gate_dgram, by time */
	bool dns_dead[GATE_DNS_SERVERS], dns_refuses;
	struct talk talk[GATE_TALKS];
	int n_talk;
	struct conf conf[CONF_KINDS];
	uint32_t solicits, adverts;
	GQueue parts;	     /* packets that the guest puts together again */
	uint64_t waits;
	int64_t wait_at;
	uint32_t idle_waits;
};

extern struct gate *gate_now; /* whose system calls these are */

/* gate.c: the world goes on until a descriptor of the set is ready or the time is over (milliseconds as epoll_wait()) */
void gate_wait(struct gate *g, struct gate_fd *set, int timeout);

/* gate_sys.c */
struct gate_fd *gate_fd(int fd); /* NULL: the kernel's */
struct gate_fd *gate_fd_new(struct gate *g, enum gate_kind kind);
void gate_fd_free(struct gate_fd *f);
bool gate_fault(struct gate *g, uint32_t chance, const char *what);

/* gate_epoll.c */
void gate_wake(struct gate_fd *f, uint32_t events);
uint32_t gate_poll(struct gate_fd *f);
bool gate_set_ready(struct gate_fd *set);
int gate_epoll_ctl(struct gate_fd *set, int op, struct gate_fd *f, const struct epoll_event *e);
int gate_epoll_take(struct gate_fd *set, struct epoll_event *out, int max);

/* gate_tcp.c */
extern const struct far_told gate_tcp_told;
uint32_t gate_tcp_poll(struct gate_fd *f);
int gate_tcp_connect(struct gate_fd *f, const struct endpoint *to);
ssize_t gate_tcp_recv(struct gate_fd *f, const struct iovec *iov, int n, size_t len, int flags);
ssize_t gate_tcp_send(struct gate_fd *f, const struct iovec *iov, int n);
int gate_tcp_set(struct gate_fd *f, int level, int name, const void *value);
int gate_tcp_get(struct gate_fd *f, int name, void *value, socklen_t *len);
int gate_tcp_shutdown(struct gate_fd *f);
void gate_tcp_close(struct gate_fd *f);

/* gate_udp.c; -errno for errors */
uint32_t gate_udp_poll(const struct gate_fd *f);
ssize_t gate_udp_send(struct gate_fd *f, const struct msghdr *m);
ssize_t gate_udp_recv(struct gate_fd *f, struct msghdr *m, int flags);
void gate_udp_close(struct gate_fd *f);
void gate_udp_part(struct gate_fd *f); /* connect() to AF_UNSPEC: another port from now on */
int64_t gate_net_next(const struct gate *g);
void gate_net_tick(struct gate *g);
void gate_net_clear(struct gate *g);

/* gate_talk.c */
void talk_make(struct gate *g);
int64_t talk_next(const struct gate *g);
void talk_tick(struct gate *g);
bool talk_done(const struct gate *g);
uint32_t talk_fill(const struct talk *t, bool back, uint32_t seq, uint32_t len, uint8_t *p);
struct talk *talk_check(struct gate *g, const uint8_t *p, uint32_t len, bool back); /* NULL: it is not whole */
bool talk_to_guest(struct sim *s, const struct ip *ip, const uint8_t *l4);

/* gate_conf.c */
void conf_make(struct gate *g);
int64_t conf_next(const struct gate *g);
void conf_tick(struct gate *g);
bool conf_done(const struct gate *g);
void conf_next_step(struct gate *g, struct conf *c, int step);
bool conf_to_guest(struct sim *s, struct wire_frame *f); /* false: it is something else, or broken */

/* gate_in.c */
struct endpoint in_client_end(const struct sim_conn *c);
int64_t in_next(const struct gate *g);
void in_tick(struct gate *g);
void in_judge(struct gate *g);

/* gate_pack.c: packets of the guest, whole or in fragments */
void pack_send(struct gate *g, struct ip *ip, const uint8_t *l4, uint32_t mtu, bool overlap);
/* A fragment to the guest: the whole packet's payload once it is there, else NULL.  Valid until the next call. */
const uint8_t *pack_gather(struct gate *g, const struct ip *ip, const uint8_t *l4, uint32_t *ret_len);
void pack_clear(struct gate *g);

#endif
