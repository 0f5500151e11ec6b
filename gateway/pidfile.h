/* pidfile.h - a file that tells a running process's number, and is gone when the process is.
 *
 * What it is: made whole under its name (a reader never sees it half written), and locked as long as its process lives: a file that
 * nobody has locked is a dead process's and is replaced, whatever process has the number now.
 * Below: nothing.  Above: gateway/doors.  flock(2), link(2).
 * syscalls: openat fstat stat flock read write fchmod link unlink close
 */
#ifndef GATEWAY_PIDFILE_H
#define GATEWAY_PIDFILE_H

#include <glib.h>
#include <stdbool.h>

/* Whether pidfile_write() could succeed now: no living process has the file, and it is not a file of another kind.  Changes nothing. */
bool pidfile_check(const char *path, GError **err);

/* Writes the number of this process.  Returns a descriptor that holds the lock, for pidfile_remove(), or -1. */
int pidfile_write(const char *path, GError **err);

/* Takes the file away if it is still ours, and closes fd; -1 is a no-op. */
void pidfile_remove(const char *path, int fd);

#endif
