#!/usr/bin/python3
"""The host side of tests/demo.sh: a name server and two bulk services, all in one process.

demo_server.py ADDR4 ADDR6   DNS on ADDR4:53 (www.demo.test -> both addresses, everything else does not exist),
                             TCP 5001: reads to end of file, then answers "N bytes" (an upload, and a half-closed exchange),
                             TCP 5002: reads a line with a number, sends that many bytes, closes (a download)
demo_server.py up|down HOST BYTES   the client: moves the bytes, checks their number, prints Gbit/s
"""

import socket
import struct
import sys
import threading
import time

CHUNK = 1 << 20
NAME = b"\3www\4demo\4test\0"


def dns(addr4, addr6):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((addr4, 53))
    answers = {1: socket.inet_pton(socket.AF_INET, addr4), 28: socket.inet_pton(socket.AF_INET6, addr6)}
    while True:
        query, client = sock.recvfrom(4096)
        end = query.find(b"\0", 12) + 5
        if len(query) < 17 or end < 17 or end > len(query):
            continue
        kind = struct.unpack("!H", query[end - 4:end - 2])[0]
        known = query[12:end - 4].lower() == NAME
        data = answers.get(kind) if known else None
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | (0 if known else 3), 1, 1 if data else 0, 0, 0)
        body = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data if data else b""
        sock.sendto(head + query[12:end] + body, client)


def sink(conn):
    """Counts bytes up to end of file; the answer travels on the half of the connection that is still open."""
    buf, total = bytearray(CHUNK), 0
    while n := conn.recv_into(buf):
        total += n
    conn.sendall(b"%d bytes\n" % total)
    conn.close()


def source(conn):
    left, block = int(conn.makefile("rb").readline()), bytes(CHUNK)
    while left > 0:
        left -= conn.send(block[:left] if left < CHUNK else block)
    conn.close()


def serve(port, handler):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
    while True:
        conn, _peer = listener.accept()
        threading.Thread(target=handler, args=(conn,), daemon=True).start()


def up(host, size):
    block, left = bytes(CHUNK), size
    conn = socket.create_connection((host, 5001), 10)
    start = time.monotonic()
    while left > 0:
        left -= conn.send(block[:left] if left < CHUNK else block)
    conn.shutdown(socket.SHUT_WR)
    answer = conn.makefile("rb").readline()
    elapsed = time.monotonic() - start
    if answer != b"%d bytes\n" % size:
        sys.exit(f"sent {size} bytes, the server answers {answer!r}")
    return elapsed


def down(host, size):
    buf, total = bytearray(CHUNK), 0
    conn = socket.create_connection((host, 5002), 10)
    start = time.monotonic()
    conn.sendall(b"%d\n" % size)
    while n := conn.recv_into(buf):
        total += n
    elapsed = time.monotonic() - start
    if total != size:
        sys.exit(f"asked for {size} bytes, got {total}")
    return elapsed


def main(argv):
    if argv[0] in ("up", "down"):
        size = int(argv[2])
        elapsed = (up if argv[0] == "up" else down)(argv[1], size)
        print(f"{size * 8 / elapsed / 1e9:.2f} Gbit/s")
        return
    threading.Thread(target=serve, args=(5001, sink), daemon=True).start()
    threading.Thread(target=serve, args=(5002, source), daemon=True).start()
    dns(*argv)


if __name__ == "__main__":
    main(sys.argv[1:])
