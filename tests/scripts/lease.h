/* lease.h - DHCPv4, DHCPv6 and router advertisements in scripts: the guest's side (lease.c) and the answers as words (lease_text.c).
 *
 * Below: play.h.  Above: guest.c, expect.c, judge.c.
 */
#ifndef TESTS_SCRIPTS_LEASE_H
#define TESTS_SCRIPTS_LEASE_H

#include "tests/scripts/play.h"

bool lease_guest_dhcp(struct play *p, struct words *w);
bool lease_guest_dhcp6(struct play *p, struct words *w);
bool lease_guest_rs(struct play *p, struct words *w);

/* Append the message's words; NULL, or what is wrong with it. */
const char *lease_text4(GString *s, const uint8_t *p, uint32_t len);
const char *lease_text6(GString *s, const uint8_t *p, uint32_t len);
const char *lease_text_ra(GString *s, const uint8_t *p, uint32_t len);

/* NULL, or the first word of the line that is not as wanted. */
const char *lease_compare(const char *text, struct words *w);

#endif
