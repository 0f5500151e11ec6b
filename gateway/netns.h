/* netns.h - a command in a user, mount and network namespace of its own, whose only way out is our tap.
 *
 * What it is: the child of `slirpgate run`: namespaces without root, the tap made and configured inside, resolv.conf of ours, COMMAND.
 * What it is not: a container.  Processes, files and users stay the caller's.
 * Below: netns_child.h, netns_resolv.h.  Above: gateway/doors.  user_namespaces(7).
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
 * A parent that dies takes the child with it: before COMMAND runs by end of file, afterwards by SIGTERM.
 *
 * What the caller changes about its own process for the gateway's sake (signals, descriptor limit) it changes after netns_spawn(),
 * so that COMMAND inherits what the caller was given.
 * syscalls: unshare mount prctl openat write execve, and those of netns_child.h
 */
#ifndef GATEWAY_NETNS_H
#define GATEWAY_NETNS_H

#include "gateway/netns_child.h"

struct netns_config {
	const struct gateway_config *net; /* addresses, prefixes, MAC, MTU, families */
	const char *ifname;
	const char *const *search; /* search domains, NULL-terminated; NULL: none */
	bool offload;		   /* ask for a tap with offloads */
	bool map_root;		   /* COMMAND sees itself as uid 0 */
	char *const *argv;	   /* COMMAND, NULL-terminated */
	const struct journal *journal; /* gets the warnings */
};

/* Makes the child and everything up to the moment before COMMAND.  On failure nothing is left behind. */
bool netns_spawn(const struct netns_config *cfg, struct netns_child *ret, GError **err);

/* Lets COMMAND start and returns when it has; c->sock is -1 then.  On failure (code: netns_error) the child is gone and waited for. */
bool netns_go(struct netns_child *c, GError **err);

/* What a failed execvp(name) means, as a POSIX shell sees it (2.8.2, 2.9.1): found but not executable (126), or not found (127).  *err is its
 * errno; EACCES of a directory in path that may not be searched says nothing about name and becomes ENOENT. */
enum netns_error netns_exec_error(const char *name, const char *path, int *err);

#endif
