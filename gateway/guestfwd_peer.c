/* guestfwd_peer.c - commands behind places of the guest's subnet.  See guestfwd_peer.h. */
#include "gateway/guestfwd_peer.h"

#include "gateway/hostsock.h"

#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <signal.h>
#include <unistd.h>

enum { PEER_STRANGERS = 16 }; /* connections to the port that are not ours, before we give up */

/* The connection of `fd` among those that wait at `listener`.  Its descriptor, or -errno. */
static int peer_accept(int listener, int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct endpoint own, from;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) || !hostsock_endpoint(&ss, &own))
		return -errno;
	for (int i = 0; i < PEER_STRANGERS; i++) {
		int peer;

		len = sizeof(ss);
		peer = accept4(listener, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC); /* blocking: for the command */
		if (peer < 0)
			return -errno;
		if (hostsock_endpoint(&ss, &from) && endpoint_eq(&from, &own))
			return peer;
		close(peer);
	}
	return -ECONNABORTED;
}

/* Two ends of a connection over the loopback: ours does not block, the other one does.  0 or -errno. */
static int peer_pair(int fd[2])
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0;
	socklen_t len = sizeof(at);

	fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fd[1] = -1;
	if (listener < 0 || fd[0] < 0 || bind(listener, (struct sockaddr *)&at, len) || listen(listener, PEER_STRANGERS) ||
	    getsockname(listener, (struct sockaddr *)&at, &len) || connect(fd[0], (struct sockaddr *)&at, len))
		err = -errno;
	if (!err)
		fd[1] = peer_accept(listener, fd[0]);
	if (!err && fd[1] < 0)
		err = fd[1];
	if (!err && !g_unix_set_fd_nonblocking(fd[0], TRUE, NULL))
		err = -EIO;
	if (listener >= 0)
		close(listener);
	for (int i = 0; i < 2 && err; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	return err;
}

/* In the child, before the command: a session of its own, and signals as a program expects them. */
static void peer_setup(gpointer arg)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
}

int guestfwd_peer_spawn(char **argv)
{
	int fd[2], err = peer_pair(fd);
	bool good;

	if (err)
		return err;
	good = g_spawn_async_with_fds(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, peer_setup, NULL, NULL, fd[1], fd[1], fd[1], NULL);
	close(fd[1]);
	if (good)
		return fd[0];
	close(fd[0]);
	return -ECONNREFUSED; /* there is no such command */
}
