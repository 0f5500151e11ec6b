#!/usr/bin/python3
"""The internet of the end-to-end tests: a name server and one small TCP service per port (names in wire.py), one process.

Says "ready" when everything listens.
"""

import select

from wire import *

NAMES = {"www.e2e.test": (WEB4, WEB6), "dead6.e2e.test": (WEB4, "2001:db8:ffff::1"), "four.e2e.test": (WEB4, None)}
notes, notes_lock = {}, threading.Lock()


def note(key, text):
    with notes_lock:
        notes[key] = text


def dns_answer(query):
    end = query.index(b"\0", 12) + 5
    kind = struct.unpack("!H", query[end - 4:end - 2])[0]
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
        at += 1 + query[at]
    known = NAMES.get(".".join(labels))
    text = {1: known[0], 28: known[1]}.get(kind) if known else None
    data = socket.inet_pton(socket.AF_INET if kind == 1 else socket.AF_INET6, text) if text else b""
    head = query[:2] + struct.pack("!HHHHH", 0x8180 | (0 if known else 3), 1, 1 if data else 0, 0, 0)
    return head + query[12:end] + (b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data if data else b"")


def dns(addr):
    sock = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((addr, 53))

    def loop():
        while True:
            query, client = sock.recvfrom(4096)
            sock.sendto(dns_answer(query), client)
    return loop


def dns_over_tcp(conn):
    size = struct.unpack("!H", conn.recv(2, socket.MSG_WAITALL))[0]
    answer = dns_answer(conn.recv(size, socket.MSG_WAITALL))
    conn.sendall(struct.pack("!H", len(answer)) + answer)


def echo_service(conn):
    while data := conn.recv(CHUNK):
        conn.sendall(data)


def sink(conn):
    """Reads to end of file, then answers on the half that is still open."""
    count, total = recv_stream(conn)
    conn.sendall(f"{count} {total}\n".encode())


def source(conn):
    seed, size = recv_line(conn).split()
    send_stream(conn, seed, int(size))


def stall(conn):
    """Reads nothing for the seconds it is told, then as sink()."""
    time.sleep(float(recv_line(conn)))
    sink(conn)


def duplex(conn):
    """Sends the stream it is told while it reads to end of file; then says what it has read."""
    seed, size = recv_line(conn).split()
    sender = threading.Thread(target=send_stream, args=(conn, seed, int(size)))
    sender.start()
    count, total = recv_stream(conn)
    sender.join()
    conn.sendall(f"{count} {total}\n".encode())


def early(conn):
    """Greets, says that this is all, goes on reading; what came is noted."""
    key = recv_line(conn)
    conn.sendall(b"all I have to say\n")
    conn.shutdown(socket.SHUT_WR)
    note(key, "%d %s" % recv_stream(conn))


def reset(conn):
    """Sends that many bytes of a stream, then RST.  The guest confirms first that it has them all if the line ends in "after"."""
    seed, size, *after = recv_line(conn).split()
    send_stream(conn, seed, int(size))
    if after:
        recv_line(conn)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def witness(conn):
    """Notes how the connection ended."""
    key = recv_line(conn)
    conn.sendall(b"seen\n")
    try:
        while conn.recv(CHUNK):
            pass
        note(key, "EOF")
    except OSError as e:
        note(key, errno.errorcode[e.errno])


def closer(conn):
    conn.sendall(b"bye\n")


def who(conn):
    """The client's address, and the one it dialed."""
    conn.sendall(f"{conn.getpeername()[0]} {conn.getsockname()[0]}\n".encode())


def results(conn):
    with notes_lock:
        conn.sendall(notes.get(recv_line(conn), "").encode())


def listen(port, backlog=1024):
    return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=backlog)


def threads(port, handler):
    listener = listen(port)

    def serve(conn):
        with conn:
            conn.settimeout(120)
            try:
                handler(conn)
            except OSError:
                pass

    def loop():
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
    return loop


def hold(port):
    """Thousands of connections that say nothing; one byte is answered by one, end of file by end of file."""
    listener = listen(port, 4096)
    poll, conns = select.epoll(), {}
    poll.register(listener, select.EPOLLIN)

    def event(fd):
        if fd == listener.fileno():
            conn = listener.accept()[0]
            conns[conn.fileno()] = conn
            poll.register(conn, select.EPOLLIN)
            return
        try:
            data = conns[fd].recv(1)
        except OSError:
            data = b""
        if data:
            conns[fd].send(data)
        else:
            conns.pop(fd).close()

    def loop():
        while True:
            for fd, _events in poll.poll():
                event(fd)
    return loop


def main():
    services = {53: dns_over_tcp, ECHO: echo_service, SINK: sink, SOURCE: source, STALL: stall, DUPLEX: duplex, EARLY: early,
                RESET: reset, WITNESS: witness, CLOSER: closer, WHO: who, RESULT: results}
    loops = [threads(port, handler) for port, handler in services.items()] + [hold(HOLD), dns(WEB4), dns(WEB6)]
    for loop in loops:
        threading.Thread(target=loop, daemon=True).start()
    say("ready")
    sys.stdin.read()  # the test run is over


if __name__ == "__main__":
    main()
