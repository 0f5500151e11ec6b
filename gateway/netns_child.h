/* netns_child.h - a child process that goes where this one must not go (another namespace), and the talk with it.
 *
 * What it is: fork with a socket pair, the messages of both sides, a tap's descriptor handed back.  prefixes: netns_child_ netns_error_
 * What it is not: knowledge of any namespace; what the child does is its caller's function.
 * Below: link_tap.h (create), netns_link.h, journal.h.  Above: netns.c (run), netns_attach.c (attach).  unix(7) SCM_RIGHTS.
 *
 *   parent                                    child
 *   netns_child_start():  fork ------------->  body(sock, arg)
 *   netns_child_tap():    (WARN: said) <-----
 *                         (others: handed to the caller)
 *                         the descriptor <---  TAP
 * A step that fails in the child comes back as FAILED with one sentence, and the child is gone.  A parent that dies is end of file.
 * syscalls: fork socketpair sendmsg recvmsg waitpid kill
 */
#ifndef GATEWAY_NETNS_CHILD_H
#define GATEWAY_NETNS_CHILD_H

#include "gateway/gateway.h"
#include "gateway/journal.h"

#include <sys/types.h>

/* Code of an error: the exit status a command that runs another gives the user. */
enum netns_error {
	NETNS_ERROR_SETUP = 125,
	NETNS_ERROR_NOT_EXECUTABLE = 126,
	NETNS_ERROR_NOT_FOUND = 127,
};
#define NETNS_ERROR (netns_error_quark())
GQuark netns_error_quark(void);

enum netns_child_kind {
	NETNS_CHILD_UNSHARED = 1, /* code: 1 with, 0 without a user namespace; with it comes the child's directory in /proc */
	NETNS_CHILD_MAPPED,
	NETNS_CHILD_WARN,
	NETNS_CHILD_TAP,
	NETNS_CHILD_GO,
	NETNS_CHILD_FAILED, /* code: enum netns_error */
};

struct netns_child_message {
	uint8_t kind;
	uint8_t code;
	char text[1022];
};

struct netns_child {
	pid_t pid;
	int sock; /* to the child; -1 when there is nothing more to say */
	int tap;  /* the caller takes it (and puts -1 here) */
};

/* ---- both sides ---- */

/* fd: travels along, or -1.  Nothing can be done about a side that has gone: the other one notices end of file. */
void netns_child_send(int sock, enum netns_child_kind kind, unsigned code, const char *text, int fd);
/* False: the other side has gone.  *ret_fd, if asked for, is what travelled along, or -1. */
bool netns_child_receive(int sock, struct netns_child_message *m, int *ret_fd);

/* ---- the child's ---- */

/* Sends FAILED and ends. */
void netns_child_fail(int sock, enum netns_error code, const char *format, ...) G_GNUC_NORETURN G_GNUC_PRINTF(3, 4);
/* Waits for the parent's word; a parent that has gone or answers something else ends the child in silence: it has said why itself. */
void netns_child_wait(int sock, enum netns_child_kind want);
/* Makes the tap where this process stands; fails with the remedy. */
int netns_child_make_tap(int sock, const char *ifname, bool offload);
/* Brings it into service where this process stands, and loopback with it. */
void netns_child_configure(int sock, const char *ifname, const struct gateway_config *net);

/* ---- the parent's ---- */

/* body is what the child does; its return is the child's end.  On failure nothing is left behind. */
bool netns_child_start(void (*body)(int sock, const void *arg), const void *arg, struct netns_child *ret, GError **err);
/* Takes messages until c->tap is there.  other: gets those that are neither WARN, TAP nor FAILED, owns fd, false ends the talk; may be NULL. */
bool netns_child_tap(struct netns_child *c, const struct journal *journal,
		     bool (*other)(const struct netns_child *c, const struct netns_child_message *m, int fd, void *arg, GError **err), void *arg,
		     GError **err);
/* Ends the child, waits for it, closes what c holds. */
void netns_child_end(struct netns_child *c);

#endif
