"""Published ports: clients of the host's side reach services of the guest, and learn the truth. Contract C25, C29, C30, C32, C33, C35, F34, A12, A13."""

import re
import subprocess

import pytest

from wire import *

# A service of the guest's on port 80, v4 and v6: says who came and from where, then does as the line it gets says.
SERVICE = """
import threading
def serve(conn):
    with conn:
        word, *rest = recv_line(conn).split()
        if word == "who":
            conn.sendall((" ".join(map(str, conn.getpeername()[:2])) + "\\n").encode())
        elif word == "sink":
            count, total = recv_stream(conn)
            conn.sendall(f"{count} {total}\\n".encode())
        elif word == "source":
            send_stream(conn, rest[0], int(rest[1]))
        elif word == "reset":
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif word == "hold":
            conn.recv(1)
def listen(port=80):
    sock = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
    def loop():
        while True:
            conn, _ = sock.accept()
            threading.Thread(target=serve, args=(conn,), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()
    return sock
sock = listen()
say("ready")
sys.stdin.readline()
"""


def free_port(addr="127.0.0.1"):
    with socket.create_server((addr, 0), family=socket.AF_INET6 if ":" in addr else socket.AF_INET) as s:
        return s.getsockname()[1]


@pytest.fixture
def published(start):
    """published(SPEC...) -> a guest with SERVICE, its ports taken."""
    def make(*specs, opts=(), program=SERVICE):
        g = start(program, opts=[*(x for s in specs for x in ("-t", s)), *opts])
        assert g.hear() == "ready"
        return g
    return make


def ask(addr, port, line, source=None):
    conn = socket.create_connection((addr, port), timeout=LIMIT, source_address=source)
    conn.sendall(line.encode() + b"\n")
    return conn


def expect_reset(port):
    """The reset may come before connect() has returned."""
    with pytest.raises(ConnectionResetError):
        with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as conn:
            conn.recv(1)


def who(addr, port, source=None):
    with ask(addr, port, "who", source) as conn:
        return conn.getsockname()[:2], tuple(recv_line(conn).split())


def test_c29_c33_every_family_reaches_the_guest(published):
    port = free_port()
    g = published(f"{port}:80")
    for addr in ("127.0.0.1", "::1", HOST4, HOST6):
        mine, seen = who(addr, port)
        assert seen[0].replace("::ffff:", "")
    g.say()
    g.end()
    assert g.stats["flows_opened"] == 4 and g.stats["flows_now"] == 0


def test_c25_the_guest_sees_the_gateway_for_a_local_client(published):
    port = free_port()
    g = published(f"127.0.0.1/{port}:80")
    _, seen = who("127.0.0.1", port)
    assert seen[0] == "::ffff:10.0.2.2" and 49152 <= int(seen[1]) <= 65535
    g.say()
    g.end()


def test_the_guest_sees_the_client_itself(published):
    """Transparent is the default where the client's address can be answered."""
    port = free_port()
    g = published(f"{port}:80")
    for addr in (HOST4, HOST6):
        mine, seen = who(addr, port, source=(addr, 0))
        assert (seen[0].replace("::ffff:", ""), int(seen[1])) == mine
    g.say()
    g.end()


@pytest.mark.parametrize("only", ["-4", "-6"])
def test_c33_the_other_family_if_the_guest_has_one_only(published, only):
    port = free_port()
    g = published(f"{port}:80", opts=[only])
    assert who("127.0.0.1", port) and who("::1", port)
    g.say()
    g.end()


def test_c30_a_closed_port_of_the_guest_is_a_reset(published):
    port = free_port()
    g = published(f"127.0.0.1/{port}:81")
    expect_reset(port)
    g.say()
    g.end()
    assert g.stats["flows_now"] == 0


def test_c35_half_close_and_bytes_both_ways(published):
    port = free_port()
    g = published(f"127.0.0.1/{port}:80")
    with ask("127.0.0.1", port, "sink") as conn:
        send_stream(conn, "up", 3_000_000)
        conn.shutdown(socket.SHUT_WR)
        assert recv_line(conn).split() == [str(3_000_000), digest("up", 3_000_000)]
    with ask("127.0.0.1", port, "source down 3000000") as conn:
        assert recv_stream(conn) == (3_000_000, digest("down", 3_000_000))
    g.say()
    g.end()


def test_a_reset_of_the_guest_is_one_for_the_client(published):
    port = free_port()
    g = published(f"127.0.0.1/{port}:80")
    with ask("127.0.0.1", port, "reset") as conn:
        with pytest.raises(ConnectionResetError):
            conn.recv(1)
    g.say()
    g.end()


PROXY = SERVICE.replace("word, *rest = recv_line(conn).split()", "head = sys.argv[1] == '1' and recv_line(conn).encode() or conn.recv(28, socket.MSG_WAITALL); recv_line(conn); conn.sendall(head.hex().encode() + b'\\n'); return")


@pytest.mark.parametrize("version", [1, 2])
def test_proxy_header(start, version):
    port = free_port()
    g = start(PROXY, version, opts=["-t", f"{port}:80", "--publish-source", f"proxy{version}"])
    assert g.hear() == "ready"
    with ask(HOST4, port, "anything", source=(HOST4, 0)) as conn:
        head = bytes.fromhex(recv_line(conn))
        mine, there = conn.getsockname(), conn.getpeername()
    if version == 1:
        assert head.decode().split() == ["PROXY", "TCP4", mine[0], there[0], str(mine[1]), str(there[1])]
    else:
        assert head == b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + socket.inet_aton(mine[0]) + socket.inet_aton(there[0]) + struct.pack("!HH", mine[1], there[1])
    g.say()
    g.end()


def test_any_port_is_told(published):
    g = published("127.0.0.1/0:80", opts=["--log-level", "info"])
    g.say()
    g.end()
    assert re.search(r"published: TCP \[127\.0\.0\.1\]:[1-9][0-9]* => 80", g.err)


def test_many_clients_at_once(published):
    port = free_port()
    g = published(f"127.0.0.1/{port}:80")
    conns = [ask("127.0.0.1", port, "who") for _ in range(1000)]
    seen = {tuple(recv_line(c).split()) for c in conns}
    assert len(seen) == 1000
    for c in conns:
        c.close()
    g.say()
    g.end()
    assert g.stats["flows_opened"] == 1000 and set(g.stats["closes"]) <= {"CLOSED", "SHUTDOWN"}


def test_unix_socket(published, tmp_path):
    path = tmp_path / "s"
    g = published(f"unix:{path}:80")
    with socket.socket(socket.AF_UNIX) as conn:
        conn.connect(str(path))
        conn.sendall(b"who\n")
        assert recv_line(conn).split()[0] == "::ffff:10.0.2.2"
    g.say()
    g.end()
    assert not path.exists()


def test_a12_a_taken_port_is_named_with_its_holder(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        g = start("", opts=["-t", f"127.0.0.1/{port}:80"])
        g.end(status=125)
    assert f"TCP port 127.0.0.1:{port}" in g.err and "Address already in use" in g.err and f"(process {os.getpid()})" in g.err


@pytest.mark.parametrize("spec, column", [("80a", 3), ("5-3", 1), ("80:", 4), ("80:192.0.2.1", 4)])
def test_a_bad_spec_names_the_column(start, spec, column):
    g = start("", opts=["-t", spec])
    g.end(status=2)
    assert g.err.count("\n") == 1 and f"-t: Invalid port specifier '{spec}'" in g.err and g.err.strip().endswith(f"column {column}")


UDP_SERVICE = """
import threading
for family, addr in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((addr, 53))
    def loop(sock=sock):
        while True:
            data, peer = sock.recvfrom(65535)
            if data == b"run":  # one call, several datagrams
                sock.setsockopt(17, 103, 1000)
                sock.sendto(b"a" * 1000 + b"b" * 1000 + b"c" * 10, peer)
                sock.setsockopt(17, 103, 0)
            else:
                sock.sendto((" ".join(map(str, peer[:2])) + " ").encode() + data, peer)
    threading.Thread(target=loop, daemon=True).start()
say("ready")
sys.stdin.readline()
"""


def udp(addr, port, source=""):
    sock = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(LIMIT)
    if source:
        sock.bind((source, 0))
    sock.connect((addr, port))  # so that an answer from another address of the host does not arrive
    return sock


@pytest.mark.parametrize("addr", ["127.0.0.1", "::1", HOST4, OUT4, HOST6, OUT6])
def test_c36_udp_both_ways(start, addr):
    port = free_port()
    g = start(UDP_SERVICE, opts=["-u", f"{port}:53"])
    assert g.hear() == "ready"
    with udp(addr, port, addr) as sock:
        for size in (1, 1400, 60000):
            sock.send(b"x" * size)
            ip, peer, data = sock.recv(65535).split(b" ", 2)
            assert data == b"x" * size
        if not addr.startswith(("127", "::1")):
            assert (ip.decode(), int(peer)) == (addr, sock.getsockname()[1])
        sock.send(b"run")
        assert [len(sock.recv(65535)) for _ in range(3)] == [1000, 1000, 10]
    g.say()
    g.end()


def test_c36_clients_are_told_apart(start):
    port = free_port()
    g = start(UDP_SERVICE, opts=["-u", f"{port}:53"])
    assert g.hear() == "ready"
    socks = [udp("127.0.0.1", port) for _ in range(50)]
    for i, sock in enumerate(socks):
        sock.send(b"%d" % i)
    for i, sock in enumerate(socks):
        assert sock.recv(100).split()[-1] == b"%d" % i
        sock.close()
    g.say()
    g.end()


def test_udp_ports_are_paused_and_hide_their_clients(start, tmp_path):
    """PORT_PAUSED is counted, who is in stays, and --publish-source holds for UDP too."""
    port, path = free_port(), str(tmp_path / "control")
    g = start(UDP_SERVICE, opts=["-u", f"{port}:53", "--control", path, "--publish-source", "gateway"])
    assert g.hear() == "ready"
    ctl = [os.environ["SLIRPGATE"], "ctl", "-s", path, "publish"]
    with udp(HOST4, port, HOST4) as one, udp(HOST4, port, HOST4) as two:
        one.send(b"a")
        assert one.recv(100).split()[0] == GATEWAY4.encode()
        subprocess.run([*ctl, "pause", "1"], check=True, timeout=LIMIT)
        two.send(b"lost")
        one.send(b"b")
        assert one.recv(100).split()[2] == b"b"
        subprocess.run([*ctl, "resume", "1"], check=True, timeout=LIMIT)
        two.send(b"c")
        assert two.recv(100).split()[2] == b"c"
        subprocess.run([*ctl, "remove", "1"], check=True, timeout=LIMIT)
    g.say()
    g.end()
    assert g.stats["closes"]["PORT_PAUSED"] == 1
