/* probe.h - what this machine can do, found by trying, and what to do where it cannot.
 *
 * What it is: one function per ability the gateway uses; each tries the thing itself, in a forked child where trying leaves traces.
 * The remedies stand here once: `slirpgate doctor` prints them, and so does a `slirpgate run` that fails.
 * Below: link_tap.h (create).  Above: gateway/netns.c, gateway/doors/cli_doctor.c.
 * syscalls: openat close socket setsockopt ioctl fork unshare mount waitpid uname prlimit64
 */
#ifndef GATEWAY_PROBE_H
#define GATEWAY_PROBE_H

#include <glib.h>
#include <stdbool.h>

/* What a probe found. */
struct probe_result {
	bool ok;
	char *found;	    /* one clause: what is there or what is wrong; owned */
	const char *remedy; /* when not ok */
};

/* One ability.  needed: slirpgate run does not work without it; else without says what is lost. */
struct probe {
	const char *name;
	bool needed;
	const char *without;
	void (*run)(struct probe_result *ret); /* ret is zeroed by the caller, who frees ret->found */
};

/* All of them in the order a person wants to read; the last row has no name. */
extern const struct probe probe_list[];

/* Why /dev/net/tun cannot be used, as a remedy; NULL when it can be opened. */
const char *probe_tun_remedy(void);

/* What to do when a tap could not be made: open or TUNSETIFF failed with this errno. */
const char *probe_tap_remedy(int error);

/* What to do when unshare(CLONE_NEWUSER) or the use of what it gave failed with this errno. */
const char *probe_userns_remedy(int error);

#endif
