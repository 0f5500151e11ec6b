/* holder.h - who listens on a port that we cannot have.
 *
 * What it is: a name for an error message, from /proc, as far as it lets us look.  Called when binding has failed, never otherwise.
 * Below: slirp/base/addr.h.  Above: listener.c.
 */
#ifndef PUBLISH_HOLDER_H
#define PUBLISH_HOLDER_H

#include "slirp/base/addr.h"

#include <stdbool.h>

/* "nginx (process 812)", or NULL when the kernel does not tell.  dual: any address of either family would be in the way.  g_free(). */
char *holder_find(bool tcp, const struct endpoint *e, bool dual);

#endif
