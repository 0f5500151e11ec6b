/* policy.h - what a guest may reach.
 *
 * What it is: today the one rule that no configuration can lift: destinations that are never dialed, in every door.  The order of
 * judging (never, map, judge both addresses) is gateway/map.c's.
 * What it is not: a rule language; a user of sockets, clocks or logs.
 * Below: slirp/base.  Above: gateway/map.c.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "slirp/base/addr.h"
#include "slirp/base/reason.h"

/* R_NEVER_DIALED for addresses that mean "this host" or nobody: 0/8 (connect() to 0.0.0.0 reaches a listener on 127.0.0.1), 127/8, ::, ::1,
 * IPv4-compatible forms, class E, multicast, fe80::/10 on the host's side; else R_ACCEPTED. */
enum reason policy_never_dialed(const struct addr *dst);

#endif
