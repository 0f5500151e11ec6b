/* cli_value.h - values of options: text to value, or one clause that names the wrong character.
 *
 * What it is: the parsers every command shares.  An error reads "VALUE: what is wrong, column N"; columns count from 1.
 * Below: slirp/base/addr.h, slirp/wire/eth_wire.h.  Above: the handlers of option tables.
 */
#ifndef GATEWAY_DOORS_CLI_VALUE_H
#define GATEWAY_DOORS_CLI_VALUE_H

#include "slirp/base/addr.h"
#include "slirp/wire/eth_wire.h"

#include <glib.h>
#include <stdbool.h>

/* Sets the error for value, at pointing to the wrong character inside it.  Returns false. */
bool cli_value_fail(GError **err, const char *value, const char *at, const char *format, ...) G_GNUC_PRINTF(4, 5);

bool cli_value_number(const char *value, unsigned min, unsigned max, unsigned *ret, GError **err);
bool cli_value_addr(const char *value, struct addr *ret, GError **err);
/* A prefix of the family asked for whose length, as people write it, is min..max; bits behind it must be zero. */
bool cli_value_prefix(const char *value, bool v4, unsigned min, unsigned max, struct prefix *ret, GError **err);
/* Of one station: neither a group's nor zero. */
bool cli_value_mac(const char *value, struct mac *ret, GError **err);
/* A name Linux takes for an interface. */
bool cli_value_ifname(const char *value, GError **err);
/* A domain name as resolv.conf's search list takes it. */
bool cli_value_domain(const char *value, GError **err);

#endif
