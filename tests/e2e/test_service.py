"""Services for the guest: a command for each connection, or a Unix socket of the host's."""

import pytest

from wire import *


@pytest.mark.parametrize("place", [GATEWAY4 + ":700", "10.0.2.4:80", "[fd00::4]:80"])
def test_a_command_for_each_connection(start, place):
    g = start("""
addr, port = sys.argv[1].rsplit(":", 1)
for seed in "ab":
    with connect(addr.strip("[]"), int(port)) as conn:
        sender = threading.Thread(target=lambda: (send_stream(conn, seed, 2 * MIB), conn.shutdown(socket.SHUT_WR)))
        sender.start()
        assert recv_stream(conn) == (2 * MIB, digest(seed, 2 * MIB))
        sender.join()
say("good")
""", place, opts=["--service", f"{place}=exec:cat"])
    assert g.hear() == "good"
    g.end()
    assert g.stats["flows_now"] == 0


def test_unix_socket_and_what_else_is_there(start, tmp_path):
    """Another port of the address is refused; the socket of nobody is too."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        g = start("""
with connect("10.0.2.4", 80) as conn:
    conn.sendall(b"hello\\n")
    say(recv_line(conn))
say(refusal("10.0.2.4", 81)[0], refusal("10.0.2.5", 80)[0])
""", opts=["--service", f"10.0.2.4:80=unix:{path}", "--service", f"10.0.2.5:80=unix:{path}.nobody"])
        conn, _ = server.accept()
        with conn:
            assert recv_line(conn) == "hello"
            conn.sendall(b"and you\n")
            assert g.hear() == "and you"
    first, second = g.hear().split()
    assert first in ("ECONNREFUSED", "EHOSTUNREACH") and second == "ECONNREFUSED"
    g.end()


@pytest.mark.parametrize("value, what", [
    ("10.0.2.4=exec:cat", "ADDRESS:PORT= is expected in front, IPv6 in [brackets], column 9"),
    ("10.0.2.4:0=exec:cat", "ADDRESS:PORT= is expected in front, IPv6 in [brackets], column 10"),
    ("10.0.2.4:80=cat", "neither exec: nor unix:, column 13"),
    ("10.0.2.4:80=exec:", "a command is missing, column 18"),
    ("192.0.2.1:80=exec:cat", "the address is not of the guest's subnet (--net, --net6)"),
    (f"{GUEST4}:80=exec:cat", "the address is the guest's own"),
    (f"{DNS4}:53=exec:cat", "the name server is there"),
])
def test_wrong(start, value, what):
    g = start("", opts=["--service", value])
    g.end(status=2)
    assert g.err.count("\n") == 1 and f"--service: {value}: {what}" in g.err
