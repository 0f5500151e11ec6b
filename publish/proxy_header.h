/* proxy_header.h - the PROXY protocol's header: who a stream comes from, in front of its first byte.
 *
 * What it is: an encoder.  Source: "The PROXY protocol, versions 1 & 2" (HAProxy), sections 2.1 and 2.2.
 * What it is not: a decoder; we believe nobody's header.
 * Below: slirp/base/addr.h.  Above: gateway/.
 */
#ifndef PUBLISH_PROXY_HEADER_H
#define PUBLISH_PROXY_HEADER_H

#include "slirp/base/addr.h"

#include <stddef.h>
#include <stdint.h>

enum { PROXY_HEADER_MAX = 107 }; /* of either version */

/* Writes the header for a TCP connection from client to local; returns its length.  A client without a port (a Unix socket), or of another
 * family than local, is one of unknown origin. */
size_t proxy_header_v1(uint8_t buf[PROXY_HEADER_MAX], const struct endpoint *client, const struct endpoint *local);
size_t proxy_header_v2(uint8_t buf[PROXY_HEADER_MAX], const struct endpoint *client, const struct endpoint *local);

#endif
