/* group.h - what kind of address this is, and which other addresses hide in it.
 *
 * What it is: seven groups, disjoint and complete: every address is in exactly one.  An IPv6 address that leads to an IPv4 one (NAT64, 6to4,
 * Teredo) has further forms: whoever judges it judges those as well, and the strictest wins.
 * What it is not: a verdict.
 * Sources: RFC 6890, RFC 6598 (100.64/10), RFC 4193, RFC 4291, RFC 6052, RFC 8215, RFC 3056, RFC 4380 4; cloud vendors' documents for metadata.
 * Below: slirp/base/addr.h.  Above: the other files of policy/, gateway/.
 * prefixes: policy_
 */
#ifndef POLICY_GROUP_H
#define POLICY_GROUP_H

#include "slirp/base/addr.h"

#include <stdbool.h>

/* In the order of precedence: an address of two kinds is in the first. */
enum policy_group {
	POLICY_GROUP_HOST,	/* of the host itself: the caller says so */
	POLICY_GROUP_METADATA,	/* services of clouds that hand out credentials, names and time */
	POLICY_GROUP_LOOPBACK,
	POLICY_GROUP_PRIVATE,	/* RFC 1918, RFC 6598, ULA */
	POLICY_GROUP_LINKLOCAL,
	POLICY_GROUP_MULTICAST, /* and broadcast */
	POLICY_GROUP_PUBLIC,	/* everything else */
	POLICY_GROUPS,
};

enum { POLICY_FORMS_MAX = 3 };

const char *policy_group_name(enum policy_group g); /* "metadata" */
/* False: no group is called so. */
bool policy_group_parse(const char *name, enum policy_group *ret);

/* The group of this form alone; host: the host has this address. */
enum policy_group policy_group_of(const struct addr *a, bool host);

/* The address itself, then the IPv4 addresses that it carries.  Returns how many. */
unsigned policy_forms(const struct addr *a, struct addr ret[POLICY_FORMS_MAX]);

#endif
