"""tap_bridge.py FD NAME: frames between a socket that keeps packets apart (datagrams, SOCK_SEQPACKET) and a new tap of this network namespace.

Ends when the socket's other end does.
"""

import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF, IFF_TAP, IFF_NO_PI, FRAME = 0x400454CA, 0x2, 0x1000, 1 << 16


def main():
    sock = socket.socket(fileno=int(sys.argv[1]))
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", sys.argv[2].encode(), IFF_TAP | IFF_NO_PI))
    while True:
        for fd in select.select([sock, tap], [], [])[0]:
            if fd is tap:
                try:
                    sock.send(os.read(tap, FRAME), socket.MSG_DONTWAIT)
                except BlockingIOError:
                    pass  # full: lost, as on a wire; both ends waiting for each other would be worse
                continue
            frame = sock.recv(FRAME)
            if not frame:
                return
            try:
                os.write(tap, frame)
            except OSError:
                pass  # the link is down: lost, as on a wire


if __name__ == "__main__":
    main()
