/* tftp_file.h - one directory whose regular files may be read, and nothing outside of it.
 *
 * What it is: the opening of a file by a name that a guest has chosen: no "..", no escape by symbolic links (absolute ones lead out, relative ones are
 * followed as long as they stay inside), no device, socket, pipe or directory.
 * How: openat2() with RESOLVE_BENEATH; where that is missing or a filter of system calls forbids it, openat() one component at a time.
 * The directory is held open from the start, so that a chroot or a change of the working directory by the application does not lose it;
 * it is looked up by its path again when it was not there yet or has been removed.
 * Below: the kernel.  Above: tftp.c, tests.  syscalls: openat2 openat readlinkat fstat close
 */
#ifndef GATEWAY_TFTP_FILE_H
#define GATEWAY_TFTP_FILE_H

#include <stdint.h>

struct tftp_dir {
	char *path;
	int fd; /* -1: could not be opened so far */
};

void tftp_dir_init(struct tftp_dir *d, const char *path); /* path is copied */
void tftp_dir_clear(struct tftp_dir *d);

/* A descriptor of the file, and its size, or -errno: -EACCES what may not be had (".." in the name, out of the directory, not a regular file). */
int tftp_file_open(struct tftp_dir *d, const char *name, uint64_t *ret_size);
/* The way without openat2(), for itself: the same but for the check of what kind of file it is.  name is relative. */
int tftp_file_walk(int dir, const char *name);

#endif
