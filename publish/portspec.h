/* portspec.h - which ports of the host lead to which ports of the guest: one grammar for every door.
 *
 * What it is: text to rules.  A rule is one run of ports with one way of listening and one target.  The grammar:
 *
 *     SPEC  := "none" | [BIND "/"] CHUNK { "," CHUNK } | "unix:" PATH ":" TARGET
 *     BIND  := ADDR ["%" IF] | ["*"] "%" IF | "*" | empty          ADDR may stand in [brackets]
 *     CHUNK := "all" [":" TOADDR] | "auto" | "~" F ["-" L] | F ["-" L] [":" TARGET] | F ["-" L] ":" TOADDR
 *     TARGET := [TOADDR "/"] TF ["-" TL]
 *
 * Excludes ("~") win over includes.  With no explicit include (only excludes, "all" or "auto") every port outside the host's
 * ephemeral range is meant, each as far as it can be had (weak).  "auto" follows what the guest listens on.
 * What it is not: a user of sockets; whether a port can be bound shows when it is.
 * Ports are in host order.  Errors are texts of one sentence with the column, counted from 1.
 * Below: slirp/base/addr.h.  Above: gateway/doors.
 */
#ifndef PUBLISH_PORTSPEC_H
#define PUBLISH_PORTSPEC_H

#include "slirp/base/addr.h"

#include <glib.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

enum portspec_proto {
	PORTSPEC_TCP,
	PORTSPEC_UDP,
};

enum {
	PORTSPEC_RULES_MAX = 1024, /* of one table */
	PORTSPEC_TEXT_MAX = 256,   /* of portspec_format(), with the closing NUL */
	PORTSPEC_PATH_MAX = sizeof(((struct sockaddr_un *)0)->sun_path), /* with the closing NUL */
};

struct portspec_rule {
	enum portspec_proto proto;
	bool dual;		     /* listens on every address of both families; else on bind */
	struct addr bind;	     /* 0.0.0.0 and :: mean every address of that family */
	char ifname[IF_NAMESIZE];    /* listens on this interface only; "": on all */
	char path[PORTSPEC_PATH_MAX]; /* not "": an AF_UNIX stream socket; bind and ports of the host mean nothing then */
	uint16_t first, last;	     /* of the host; 0, 0: any one port, which the kernel chooses */
	uint16_t to_first;	     /* of the guest, for first; to the others the same distance applies */
	bool has_to;
	struct addr to;		     /* where the guest's service is; without has_to: the guest's own address */
	bool weak;		     /* a port that cannot be bound is left out; else it is an error */
	bool follow;		     /* only while the guest listens on the target port */
};

/* What a door allows, and what the host's kernel says. */
struct portspec_dialect {
	bool follow;			   /* "auto" */
	bool any_port;			   /* host port 0 */
	bool unix_path;			   /* "unix:" */
	uint16_t ephemeral_first, ephemeral_last; /* ip_local_port_range; 0, 0: none */
};

enum portspec_error {
	PORTSPEC_ERROR_SYNTAX,
	PORTSPEC_ERROR_CONFLICT, /* with an earlier rule */
	PORTSPEC_ERROR_LIMIT,
};

#define PORTSPEC_ERROR portspec_error_quark()
GQuark portspec_error_quark(void);

/* A table of rules: elements of struct portspec_rule, in the order in which they were given. */
GArray *portspec_table_new(void);

/* Appends what text says.  False: err is set and the table is what it was. */
bool portspec_add(GArray *table, enum portspec_proto proto, const char *text, const struct portspec_dialect *d, GError **err);

/* "TCP [127.0.0.1]%lo:5022-5024 => [192.0.2.9]:22-24"; buf has PORTSPEC_TEXT_MAX bytes; returns buf. */
const char *portspec_format(const struct portspec_rule *r, char *buf);

/* True when both would listen on the same port of the same address; interfaces are not considered. */
bool portspec_overlap(const struct portspec_rule *x, const struct portspec_rule *y);

/* The rule's run of ports as a count; the n-th port leads to to_first + n. */
static inline uint32_t portspec_count(const struct portspec_rule *r)
{
	return (uint32_t)(r->last - r->first) + 1;
}

#endif
