/* sockname.h - endpoints to and from sockaddrs.
 *
 * What it is: the one conversion, pure; publish/ and gateway/ both need it and do not see each other.
 * Below: addr.h.  Above: publish/, gateway/, tests.
 */
#ifndef SLIRP_BASE_SOCKNAME_H
#define SLIRP_BASE_SOCKNAME_H

#include "slirp/base/addr.h"

#include <stdbool.h>
#include <sys/socket.h>

/* IPv4 endpoints become AF_INET, all others AF_INET6.  Returns the length for connect() and friends. */
socklen_t sockname_put(const struct endpoint *e, struct sockaddr_storage *ret);
/* A mapped address becomes the IPv4 address it stands for.  False: neither AF_INET nor AF_INET6. */
bool sockname_get(const struct sockaddr_storage *ss, struct endpoint *ret);

#endif
