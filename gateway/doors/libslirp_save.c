/* libslirp_save.c - what outlives a migration: the state stream of version 4.
 *
 * prefixes: slirp_
 * Below: libslirp_state.h.  Above: the application.
 */
#include "gateway/doors/libslirp_state.h"

#include <errno.h>

int slirp_state_version(void)
{
	return 4;
}

int slirp_state_save(Slirp *slirp, SlirpWriteCb write_cb, void *opaque)
{
	return -ENOTSUP;
}

int slirp_state_load(Slirp *slirp, int version_id, SlirpReadCb read_cb, void *opaque)
{
	return -EINVAL;
}
