/* netns.h - a command in a user, mount and network namespace of its own, whose only way out is our tap.
 *
 * What it is: the child of `slirpgate run`: namespaces without root, the tap made and configured inside, resolv.conf of ours, COMMAND.
 * What it is not: a container.  Processes, files and users stay the caller's.
 * Below: link_tap.h (create), netns_link.h, netns_resolv.h, journal.h.  Above: gateway/doors.  user_namespaces(7), unix(7) SCM_RIGHTS.
 *
 *   parent                                    child
 *   netns_spawn():  fork ------------------->  unshare
 *                   uid and gid maps  <------  UNSHARED, its /proc directory
 *                   MAPPED ----------------->  mounts, tap, addresses, routes, resolv.conf
 *                   (WARN: said, goes on) <--
 *                   the tap's descriptor  <--  TAP
 *   caller makes the gateway serve
 *   netns_go():     GO --------------------->  execvp(COMMAND)
 *                   end of file: it runs  <--  close-on-exec;  or EXEC_FAILED
 * A step that fails in the child comes back as FAILED with one sentence, and the child is gone.  A parent that dies takes the child
 * with it: before COMMAND runs by end of file, afterwards by SIGTERM.
 *
 * What the caller changes about its own process for the gateway's sake (signals, descriptor limit) it changes after netns_spawn(),
 * so that COMMAND inherits what the caller was given.
 * syscalls: fork socketpair unshare mount prctl openat write sendmsg recvmsg execve waitpid kill
 */
#ifndef GATEWAY_NETNS_H
#define GATEWAY_NETNS_H

#include "gateway/gateway.h"
#include "gateway/journal.h"

#include <sys/types.h>

/* Code of an error: the exit status the user gets. */
enum netns_error {
	NETNS_ERROR_SETUP = 125,
	NETNS_ERROR_NOT_EXECUTABLE = 126,
	NETNS_ERROR_NOT_FOUND = 127,
};
#define NETNS_ERROR (netns_error_quark())
GQuark netns_error_quark(void);

struct netns_config {
	const struct gateway_config *net; /* addresses, prefixes, MAC, MTU, families */
	const char *ifname;
	const char *const *search; /* search domains, NULL-terminated; NULL: none */
	bool offload;		   /* ask for a tap with offloads */
	bool map_root;		   /* COMMAND sees itself as uid 0 */
	char *const *argv;	   /* COMMAND, NULL-terminated */
	const struct journal *journal; /* gets the warnings */
};

struct netns_child {
	pid_t pid;
	int sock; /* to the child until COMMAND runs, then -1 */
	int tap;  /* the caller takes it (and puts -1 here) */
};

/* Makes the child and everything up to the moment before COMMAND.  On failure nothing is left behind. */
bool netns_spawn(const struct netns_config *cfg, struct netns_child *ret, GError **err);

/* Lets COMMAND start and returns when it has.  On failure (code: netns_error) the child is gone and waited for. */
bool netns_go(struct netns_child *c, GError **err);

/* For a caller that gives up before netns_go(): ends the child, waits for it, closes what c holds. */
void netns_abandon(struct netns_child *c);

#endif
