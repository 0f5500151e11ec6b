/* policy.c - destinations that are never dialed.  See policy.h.  RFC 6890, RFC 4291 2.5.5.1. */
#include "policy/policy.h"

#include <stddef.h>

#define POLICY_V4(a, len) { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a } }, 96 + (len) }
#define POLICY_V6(a, b, len) { { { a, b } }, len }

static const struct prefix policy_never[] = {
	POLICY_V4(0, 8),	     /* "this network"; 0.0.0.0 is this host */
	POLICY_V4(127, 8),	     /* loopback */
	POLICY_V4(224, 4),	     /* multicast */
	POLICY_V4(240, 4),	     /* class E and the limited broadcast */
	POLICY_V6(0xfe, 0x80, 10),   /* link-local: means another link on the host's side */
	POLICY_V6(0xff, 0x00, 8),    /* multicast */
	POLICY_V6(0, 0, 96),	     /* ::, ::1 and the IPv4-compatible addresses */
};

enum reason policy_never_dialed(const struct addr *dst)
{
	for (size_t i = 0; i < sizeof(policy_never) / sizeof(policy_never[0]); i++)
		if (prefix_contains(&policy_never[i], dst))
			return R_NEVER_DIALED;
	return R_ACCEPTED;
}
