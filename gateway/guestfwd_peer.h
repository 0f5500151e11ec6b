/* guestfwd_peer.h - the other end of a place that leads to a command or a unix socket, as a connected descriptor.
 *
 * A command gets one end of a TCP connection over the loopback as its standard input, output and error, as it would from inetd: programs that
 * ask who is there (smbd) get an answer.  Whoever else connects to the port while it is being made is turned away.
 * System calls: socket bind listen connect accept4 getsockname close; fork and execve through GLib.
 * Below: hostsock.h, host_unix.h.  Above: guestfwd.c.
 */
#ifndef GATEWAY_GUESTFWD_PEER_H
#define GATEWAY_GUESTFWD_PEER_H

/* A non-blocking descriptor, or -errno. */
int guestfwd_peer_spawn(char **argv);

#endif
