/* libslirp.h - the interface of libslirp.so.0, version 4.9.  SPDX-License-Identifier: BSD-3-Clause
 *
 * A user-mode network for one link: the application hands in the guest's Ethernet frames (slirp_input), takes those for the guest
 * (SlirpCb.send_packet), and lends its event loop: slirp_pollfds_fill_socket() before it waits, slirp_pollfds_poll() after.
 * Everything happens in the calling thread, and callbacks come only from inside calls.  Addresses are in network order, ports in host order.
 * Functions that return int say 0, or -1 (with errno) when they fail, unless stated otherwise.
 */
#ifndef LIBSLIRP_H
#define LIBSLIRP_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "libslirp-version.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SLIRP_EXPORT
#if defined(__GNUC__) && !defined(SLIRP_NO_DEPRECATED)
#define SLIRP_DEPRECATED __attribute__((deprecated))
#else
#define SLIRP_DEPRECATED
#endif

typedef ssize_t slirp_ssize_t;
typedef int slirp_os_socket;
#define SLIRP_INVALID_SOCKET (-1)
#define SLIRP_PRIfd "d"

typedef struct Slirp Slirp;

/* What a descriptor is waited for, and what has happened to it. */
enum {
	SLIRP_POLL_IN = 1,
	SLIRP_POLL_OUT = 2,
	SLIRP_POLL_PRI = 4,
	SLIRP_POLL_ERR = 8,
	SLIRP_POLL_HUP = 16,
};

/* slirp_set_debug() */
enum {
	SLIRP_DBG_CALL = 1,
	SLIRP_DBG_MISC = 2,
	SLIRP_DBG_ERROR = 4,
	SLIRP_DBG_TFTP = 8,
	SLIRP_DBG_VERBOSE_CALL = 16,
};

/* slirp_add_hostxfwd() */
enum {
	SLIRP_HOSTFWD_UDP = 1,
	SLIRP_HOSTFWD_V6ONLY = 2,
};

typedef enum SlirpTimerId {
	SLIRP_TIMER_RA,
	SLIRP_TIMER_NUM,
} SlirpTimerId;

typedef slirp_ssize_t (*SlirpReadCb)(void *buf, size_t len, void *opaque);
typedef slirp_ssize_t (*SlirpWriteCb)(const void *buf, size_t len, void *opaque);
typedef void (*SlirpTimerCb)(void *opaque);
typedef int (*SlirpAddPollCb)(int fd, int events, void *opaque);
typedef int (*SlirpAddPollSocketCb)(slirp_os_socket fd, int events, void *opaque);
typedef int (*SlirpGetREventsCb)(int idx, void *opaque);

/* What the application does for us.  Only the members of the config's version are read; the struct must stay where it is.
 * Times: nanoseconds of clock_get_ns(), and milliseconds of the same clock for timer_mod(). */
typedef struct SlirpCb {
	SlirpWriteCb send_packet; /* one Ethernet frame to the guest */
	void (*guest_error)(const char *msg, void *opaque);
	int64_t (*clock_get_ns)(void *opaque);
	void *(*timer_new)(SlirpTimerCb cb, void *cb_opaque, void *opaque); /* may be NULL when timer_new_opaque is not */
	void (*timer_free)(void *timer, void *opaque);
	void (*timer_mod)(void *timer, int64_t expire_time, void *opaque);
	void (*register_poll_fd)(int fd, void *opaque);	  /* may be NULL */
	void (*unregister_poll_fd)(int fd, void *opaque); /* may be NULL */
	void (*notify)(void *opaque);			  /* there is work: end the wait, ask again what to wait for */
	/* version 4 */
	void (*init_completed)(Slirp *slirp, void *opaque);
	void *(*timer_new_opaque)(SlirpTimerId id, void *cb_opaque, void *opaque); /* when it expires: slirp_handle_timer() */
	/* version 6 */
	void (*register_poll_socket)(slirp_os_socket socket, void *opaque);   /* may be NULL */
	void (*unregister_poll_socket)(slirp_os_socket socket, void *opaque); /* may be NULL */
} SlirpCb;

#define SLIRP_CONFIG_VERSION_MIN 1
#define SLIRP_CONFIG_VERSION_MAX 6

/* Only the members up to `version` are read.  Strings are copied; what the outbound addresses point to must stay.  NULL and 0: not given. */
typedef struct SlirpConfig {
	uint32_t version;
	int restricted; /* the guest reaches nothing but forwarded ports, DHCP, TFTP and our own addresses' ping */
	bool in_enabled; /* IPv4 */
	struct in_addr vnetwork;
	struct in_addr vnetmask;
	struct in_addr vhost; /* our address, which leads to the host */
	bool in6_enabled;
	struct in6_addr vprefix_addr6;
	uint8_t vprefix_len;
	struct in6_addr vhost6;
	const char *vhostname;	      /* told by DHCP; at most 32 characters of it */
	const char *tftp_server_name; /* told by DHCP */
	const char *tftp_path;	      /* directory that TFTP serves */
	const char *bootfile;	      /* less than 128 characters */
	struct in_addr vdhcp_start;
	struct in_addr vnameserver;
	struct in6_addr vnameserver6;
	const char **vdnssearch; /* ends with NULL */
	const char *vdomainname;
	size_t if_mtu; /* 68 to 65521; 0: 1500 */
	size_t if_mru;
	bool disable_host_loopback;
	bool enable_emu; /* accepted, without effect */
	/* version 2 */
	struct sockaddr_in *outbound_addr; /* source of the connections we make */
	struct sockaddr_in6 *outbound_addr6;
	/* version 3 */
	bool disable_dns;
	/* version 4 */
	bool disable_dhcp;
	/* version 5: NC-SI */
	uint32_t mfr_id;
	uint8_t oob_eth_addr[6];
} SlirpConfig;

/* NULL: no config, a version out of range, an MTU or MRU out of range, a bootfile too long.  init_completed() comes before it returns. */
SLIRP_EXPORT Slirp *slirp_new(const SlirpConfig *cfg, const SlirpCb *callbacks, void *opaque);
/* The same with a version 1 config. */
SLIRP_DEPRECATED SLIRP_EXPORT Slirp *slirp_init(int restricted, bool in_enabled, struct in_addr vnetwork, struct in_addr vnetmask,
						struct in_addr vhost, bool in6_enabled, struct in6_addr vprefix_addr6, uint8_t vprefix_len,
						struct in6_addr vhost6, const char *vhostname, const char *tftp_server_name,
						const char *tftp_path, const char *bootfile, struct in_addr vdhcp_start,
						struct in_addr vnameserver, struct in6_addr vnameserver6, const char **vdnssearch,
						const char *vdomainname, const SlirpCb *callbacks, void *opaque);
SLIRP_EXPORT void slirp_cleanup(Slirp *slirp);

/* Calls add_poll for what is to be waited for, and lowers *timeout (milliseconds; UINT32_MAX: for ever) to our next deadline. */
SLIRP_DEPRECATED SLIRP_EXPORT void slirp_pollfds_fill(Slirp *slirp, uint32_t *timeout, SlirpAddPollCb add_poll, void *opaque);
SLIRP_EXPORT void slirp_pollfds_fill_socket(Slirp *slirp, uint32_t *timeout, SlirpAddPollSocketCb add_poll, void *opaque);
/* After the wait: works.  select_error: the wait failed, get_revents is not called; everything is served all the same. */
SLIRP_EXPORT void slirp_pollfds_poll(Slirp *slirp, int select_error, SlirpGetREventsCb get_revents, void *opaque);
/* One Ethernet frame from the guest; the memory is only borrowed. */
SLIRP_EXPORT void slirp_input(Slirp *slirp, const uint8_t *pkt, int pkt_len);
/* The timer made by timer_new_opaque(id, cb_opaque) has expired. */
SLIRP_EXPORT void slirp_handle_timer(Slirp *slirp, SlirpTimerId id, void *cb_opaque);

/* A port of the host that leads to the guest.  guest_addr 0: the first DHCP address.  host_port 0: the kernel chooses. */
SLIRP_EXPORT int slirp_add_hostfwd(Slirp *slirp, int is_udp, struct in_addr host_addr, int host_port, struct in_addr guest_addr,
				   int guest_port);
SLIRP_EXPORT int slirp_remove_hostfwd(Slirp *slirp, int is_udp, struct in_addr host_addr, int host_port);
/* haddr: AF_INET, AF_INET6 or AF_UNIX (a stream); gaddr: AF_INET or AF_INET6, all zeroes: the guest. */
SLIRP_EXPORT int slirp_add_hostxfwd(Slirp *slirp, const struct sockaddr *haddr, socklen_t haddrlen, const struct sockaddr *gaddr,
				    socklen_t gaddrlen, int flags);
SLIRP_EXPORT int slirp_remove_hostxfwd(Slirp *slirp, const struct sockaddr *haddr, socklen_t haddrlen, int flags);

/* An address and port of the subnet that leads to a command, to a unix socket, to the application.  *guest_addr 0 becomes the subnet's .4. */
SLIRP_EXPORT int slirp_add_exec(Slirp *slirp, const char *cmdline, struct in_addr *guest_addr, int guest_port);
SLIRP_EXPORT int slirp_add_unix(Slirp *slirp, const char *unixsock, struct in_addr *guest_addr, int guest_port);
SLIRP_EXPORT int slirp_add_guestfwd(Slirp *slirp, SlirpWriteCb write_cb, void *opaque, struct in_addr *guest_addr, int guest_port);
SLIRP_EXPORT int slirp_remove_guestfwd(Slirp *slirp, struct in_addr guest_addr, int guest_port);
/* slirp_add_guestfwd(): bytes that slirp_socket_recv() would take now; bytes for the guest. */
SLIRP_EXPORT size_t slirp_socket_can_recv(Slirp *slirp, struct in_addr guest_addr, int guest_port);
SLIRP_EXPORT void slirp_socket_recv(Slirp *slirp, struct in_addr guest_addr, int guest_port, const uint8_t *buf, int size);

/* Text for a person; to be freed by the caller. */
SLIRP_EXPORT char *slirp_connection_info(Slirp *slirp);
SLIRP_EXPORT char *slirp_neighbor_info(Slirp *slirp);

/* What outlives a migration.  slirp_state_load(): 0 or -EINVAL. */
SLIRP_EXPORT int slirp_state_save(Slirp *slirp, SlirpWriteCb write_cb, void *opaque);
SLIRP_EXPORT int slirp_state_load(Slirp *slirp, int version_id, SlirpReadCb read_cb, void *opaque);
SLIRP_EXPORT int slirp_state_version(void);

SLIRP_EXPORT const char *slirp_version_string(void);
SLIRP_EXPORT void slirp_set_debug(unsigned int flags);
SLIRP_EXPORT void slirp_reset_debug(unsigned int flags);

#ifdef __cplusplus
}
#endif

#endif
