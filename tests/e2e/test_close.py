"""The end of a connection reaches the other side as what it is. Contract A6 A7, B6 B7 B8 B13 B14 B15, C18-C24, T15-T19."""

import pytest

from wire import *

BOTH = pytest.mark.parametrize("web", [WEB4, WEB6], ids=["v4", "v6"])
COUNT = 0


@pytest.fixture
def key():
    """A name under which the server notes something."""
    global COUNT
    COUNT += 1
    return f"key{COUNT}"


@BOTH
def test_a6_b6_c18_t15_guest_closes_first_and_the_answer_comes(guest, web):
    size = 3 * MIB
    g = guest("""
conn = connect(sys.argv[1], DUPLEX)
conn.sendall(b"after %d\\n" % int(sys.argv[2]))
conn.shutdown(socket.SHUT_WR)
say(*recv_stream(conn, int(sys.argv[2])))
say(recv_line(conn))
assert conn.recv(1) == b""
dns_udp(DNS4, "www.e2e.test")
""", web, size)
    assert g.text.split("\n")[0] == f"{size} {digest('after', size)}"
    assert g.text.split("\n")[1].startswith("0 ")
    assert g.stats["flows_now"] == 0


@BOTH
def test_a6_b7_server_closes_first_and_the_guest_goes_on(guest, web, key):
    size = 3 * MIB
    g = guest("""
conn = connect(sys.argv[1], EARLY)
conn.sendall(sys.argv[3].encode() + b"\\n")
assert recv_all(conn) == b"all I have to say\\n" # and end of file
send_stream(conn, "on", int(sys.argv[2]))
conn.close()
say(result(sys.argv[3]))
""", web, size, key)
    assert g.text == f"{size} {digest('on', size)}"


def test_t19_b8_fin_right_behind_the_first_data(guest):
    """Request and FIN leave together with the handshake's ACK, before the gateway has seen the connection open."""
    g = guest("""
for i in range(50):
    conn = connect((WEB4, WEB6)[i & 1], SINK)
    conn.sendall(b"request")
    conn.shutdown(socket.SHUT_WR)
    assert recv_line(conn).startswith("7 ")
    conn.close()
""")
    assert g.stats["flows_opened"] == 50


def test_t16_half_closed_flows_leave_nothing(guest):
    """More of them than a small table has entries (B7): closed by the guest first, then by the server."""
    g = guest("""
conns = [connect(WEB4, SINK) for i in range(300)]
for conn in conns:
    conn.shutdown(socket.SHUT_WR)
for conn in conns:
    assert recv_line(conn).startswith("0 ")
    assert conn.recv(1) == b""
dns_udp(DNS4, "www.e2e.test")
""")
    assert g.stats["flows_opened"] == 300 and g.stats["flows_now"] == 0


@BOTH
@pytest.mark.parametrize("after", ["", "after"], ids=["midstream", "when-read"])
def test_a7_b13_b15_server_reset_is_a_reset(guest, web, after):
    """Never a clean end of file: what is cut off must not look whole."""
    g = guest("""
conn = connect(sys.argv[1], RESET)
conn.sendall(b"cut %d %s\\n" % (MIB, sys.argv[2].encode()))
try:
    count, total = recv_stream(conn, MIB if sys.argv[2] else None)
    if sys.argv[2]:
        assert (count, total) == (MIB, digest("cut", MIB))
        conn.sendall(b"I have it\\n")
        assert conn.recv(1) == b"", "bytes out of nowhere"
    say("EOF")
except OSError as e:
    say(errno.errorcode[e.errno])
dns_udp(DNS4, "www.e2e.test")
""", web, after)
    assert g.text == "ECONNRESET"
    assert g.stats["flows_now"] == 0 and g.stats["closes"].get("HOST_RESET", 0) == 1


@BOTH
def test_c24_t17_guest_reset_is_a_reset(guest, web, key):
    g = guest("""
conn = connect(sys.argv[1], WITNESS)
conn.sendall(sys.argv[2].encode() + b"\\n")
assert recv_line(conn) == "seen"
conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
conn.close()
say(result(sys.argv[2]))
""", web, key)
    assert g.text == "ECONNRESET"
    assert g.stats["closes"].get("GUEST_RESET") == 1


def test_b14_guest_closes_with_unread_data(guest, key):
    """The guest's kernel resets when data is left unread; the server must see that, not a FIN."""
    g = guest("""
conn = connect(WEB4, WITNESS)
conn.sendall(sys.argv[1].encode() + b"\\n")
poll = select.poll()
poll.register(conn, select.POLLIN)
assert poll.poll(LIMIT * 1000)
conn.close() # "seen" was never read
say(result(sys.argv[1]))
""", key)
    assert g.text == "ECONNRESET"


def test_orderly_close_is_a_fin(guest, key):
    g = guest("""
conn = connect(WEB4, WITNESS)
conn.sendall(sys.argv[1].encode() + b"\\n")
assert recv_line(conn) == "seen"
conn.close()
say(result(sys.argv[1]))
""", key)
    assert g.text == "EOF"


def test_shutdown_resets_what_is_left(start, guest, key):
    """COMMAND ends, a process of it lives on: its connection is reset on both sides (SHUTDOWN)."""
    g = start("""
conn = connect(WEB4, WITNESS)
conn.sendall(sys.argv[1].encode() + b"\\n")
assert recv_line(conn) == "seen"
pid = os.fork()
if not pid:
    os.close(0); os.close(1); os.close(2)
    time.sleep(5)
    os._exit(0)
""", key)
    g.end()
    assert guest("say(result(sys.argv[1]))", key).text == "ECONNRESET"
