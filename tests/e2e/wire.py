"""What both ends of the end-to-end tests share: addresses, ports, and streams whose every byte is known on both sides.

Imported by server.py (the internet), by the snippets that run in the guest (through PYTHONPATH), and by the tests.
"""

import errno
import hashlib
import os
import random
import select
import signal
import socket
import struct
import sys
import threading
import time

WEB4, WEB6 = "203.0.113.1", "2001:db8:1::1"
MORE4, MORE6 = ["203.0.113.10", "203.0.113.11"], ["2001:db8:1::10", "2001:db8:1::11"]
HOST4, HOST6 = "203.0.113.2", "2001:db8:1::2"
OUT4, OUT6 = "203.0.113.50", "2001:db8:1::50"  # further addresses of the host
SECOND4 = "192.0.2.2"  # the host's address on its second interface
GATEWAY4, DNS4, GUEST4 = "10.0.2.2", "10.0.2.3", "10.0.2.15"
GATEWAY6, DNS6 = "fd00::2", "fd00::3"
CLOSED = 81  # nobody listens there

# services of server.py
ECHO, SINK, SOURCE, STALL, DUPLEX, EARLY, RESET, WITNESS, CLOSER, WHO, HOLD, RESULT = range(5001, 5013)

LIMIT = 30  # seconds: no test waits longer for one thing
CHUNK = 1 << 18
MIB = 1 << 20


def blocks(seed, size):
    """The stream called `seed`: every block differs from every other, so that nothing can be lost, doubled or swapped."""
    base = random.Random(seed).randbytes(CHUNK - 8)
    number = 0
    while size > 0:
        block = (struct.pack("!Q", number) + base)[:size]
        yield block
        size -= len(block)
        number += 1


def digest(seed, size):
    """What the receiver of a whole stream computes."""
    total = hashlib.sha256()
    for block in blocks(seed, size):
        total.update(block)
    return total.hexdigest()


def send_stream(conn, seed, size):
    for block in blocks(seed, size):
        conn.sendall(block)


def recv_stream(conn, size=None, between=None):
    """(bytes, digest) up to `size` or to end of file."""
    total, count, buf = hashlib.sha256(), 0, bytearray(CHUNK)
    while size is None or count < size:
        room = CHUNK if size is None else min(CHUNK, size - count)
        n = conn.recv_into(buf, room)
        if not n:
            break
        total.update(memoryview(buf)[:n])
        count += n
        if between:
            between(count)
    return count, total.hexdigest()


def recv_line(conn):
    """Without reading a byte too many."""
    line = b""
    while not line.endswith(b"\n"):
        byte = conn.recv(1)
        if not byte:
            break
        line += byte
    return line.decode().strip()


def recv_all(conn):
    return conn.makefile("rb").read()


def connect(host, port, source=None):
    conn = socket.create_connection((host, port), LIMIT, source)
    conn.settimeout(LIMIT)
    return conn


def refusal(host, port):
    """(name of the error or "connected", seconds)."""
    start = time.monotonic()
    try:
        connect(host, port).close()
        return "connected", time.monotonic() - start
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e)), time.monotonic() - start


def echo(conn, text):
    conn.sendall(text)
    got = b""
    while len(got) < len(text):
        piece = conn.recv(len(text) - len(got))
        assert piece, f"end of file after {len(got)} of {len(text)} bytes"
        got += piece
    assert got == text


def result(key):
    """What server.py has noted under key, once it has."""
    limit = time.monotonic() + LIMIT
    while time.monotonic() < limit:
        conn = connect(WEB4, RESULT)
        conn.sendall(key.encode() + b"\n")
        answer = recv_all(conn).decode()
        conn.close()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"the server never noted {key}")


def dns_query(name, kind, number=0x1234):
    labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split("."))
    return struct.pack("!HHHHHH", number, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def dns_udp(server, name, kind=1):
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(LIMIT)
        sock.connect((server, 53))
        sock.send(dns_query(name, kind))
        return sock.recv(4096)


def dns_tcp(server, name, kind=1):
    conn = connect(server, 53)
    query = dns_query(name, kind)
    conn.sendall(struct.pack("!H", len(query)) + query)
    size = struct.unpack("!H", conn.recv(2, socket.MSG_WAITALL))[0]
    answer = conn.recv(size, socket.MSG_WAITALL)
    conn.close()
    return answer


def say(*words):
    """One line to the test, at once."""
    print(*words, flush=True)


def hear():
    """One line from the test."""
    return sys.stdin.readline().strip()


def run_of(i):
    """The datagrams of a run: forty equal ones and a shorter last."""
    return [bytes([i, k]) * 500 for k in range(40)] + [b"end"]


def send_run(sock, i, to):
    """In one call, which the kernel cuts (UDP_SEGMENT)."""
    sock.setsockopt(socket.SOL_UDP, 103, 1000)
    sock.sendto(b"".join(run_of(i)), to)
