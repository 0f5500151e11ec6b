"""Bytes: all of them, once, in order, whoever is slow. Contract A4 A5, B2 B3 B4 B18, C12-C17, T20."""

import pytest

from wire import *

SIZE = 64 * MIB


@pytest.mark.parametrize("offload", [True, False], ids=["offload", "plain"])
@pytest.mark.parametrize("mtu", [1500, 65520])
@pytest.mark.parametrize("web", [WEB4, WEB6], ids=["v4", "v6"])
def test_64_mib_both_ways_at_once(guest, web, mtu, offload):
    g = guest("""
web, size = sys.argv[1], int(sys.argv[2])
conn = connect(web, DUPLEX)
conn.sendall(b"down %d\\n" % size)
def upload():
    send_stream(conn, "up", size)
    conn.shutdown(socket.SHUT_WR)
sender = threading.Thread(target=upload)
sender.start()
say(*recv_stream(conn, size))
sender.join()
say(recv_line(conn))
""", web, SIZE, opts=["--mtu", str(mtu), *([] if offload else ["--no-offload"])], timeout=120)
    down, up = g.text.split("\n")
    assert down == f"{SIZE} {digest('down', SIZE)}"
    assert up == f"{SIZE} {digest('up', SIZE)}"
    assert g.stats["to_guest_bytes"] >= SIZE and g.stats["to_host_bytes"] >= SIZE


@pytest.mark.parametrize("mtu", [1500, 65520])
def test_64_mib_one_way_then_the_other(guest, mtu):
    g = guest("""
size = int(sys.argv[1])
conn = connect(WEB4, SOURCE)
conn.sendall(b"down %d\\n" % size)
say(*recv_stream(conn))
conn = connect(WEB6, SINK)
send_stream(conn, "up", size)
conn.shutdown(socket.SHUT_WR)
say(recv_line(conn))
""", SIZE, opts=["--mtu", str(mtu)], timeout=120)
    assert g.text.split("\n") == [f"{SIZE} {digest('down', SIZE)}", f"{SIZE} {digest('up', SIZE)}"]


@pytest.mark.parametrize("opts", [["--mtu", "1500", "--no-offload"], []], ids=["mtu1500-plain", "default"])
def test_a4_b2_b3_t20_upload_to_a_server_that_stalls(guest, opts):
    """10 MiB; the server reads nothing for 2 s, so every queue on the way fills up."""
    size = 10 * MIB
    g = guest("""
conn = connect(WEB4, STALL)
conn.sendall(b"2\\n")
send_stream(conn, "stalled", int(sys.argv[1]))
conn.shutdown(socket.SHUT_WR)
say(recv_line(conn))
""", size, opts=opts)
    assert g.text == f"{size} {digest('stalled', size)}"


def test_a5_b4_one_byte_ping_pong(guest):
    g = guest("""
conn = connect(WEB4, ECHO)
conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
start = time.monotonic()
for i in range(1000):
    conn.sendall(bytes([i & 255]))
    assert conn.recv(1) == bytes([i & 255])
say(time.monotonic() - start)
""")
    print("1000 round trips in", g.text, "s")
    assert g.stats["to_guest_bytes"] == 1000 == g.stats["to_host_bytes"]


def test_one_byte_writes_arrive(guest):
    """A write per byte from both sides at once: bookkeeping per piece must not eat what was promised."""
    g = guest("""
conn = connect(WEB4, ECHO)
conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
text = random.Random(7).randbytes(20000)
def dribble():
    for i in range(len(text)):
        conn.sendall(text[i:i + 1])
    conn.shutdown(socket.SHUT_WR)
threading.Thread(target=dribble).start()
say(recv_all(conn) == text)
""")
    assert g.text == "True"


@pytest.mark.parametrize("opts", [["--mtu", "1500", "--no-offload"], []], ids=["mtu1500-plain", "default"])
def test_b18_slow_reader_in_the_guest(guest, opts):
    """A small receive buffer and pauses: the guest's window shuts and opens over and over, and what follows does not wait for a timer."""
    size = 2 * MIB
    g = guest("""
sock = socket.socket()
sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
sock.settimeout(LIMIT)
sock.connect((WEB4, SOURCE))
sock.sendall(b"slow %d\\n" % int(sys.argv[1]))
pauses = iter(range(100))
def between(count):
    if next(pauses, None) is not None:
        time.sleep(0.01)
say(*recv_stream(sock, None, between))
""", size, opts=opts)
    assert g.text == f"{size} {digest('slow', size)}"


def test_b18_frozen_guest_goes_on(start):
    """The guest's process is stopped for 3 s in the middle of a download, its window shut."""
    size = 32 * MIB
    g = start("""
conn = connect(WEB4, SOURCE)
conn.sendall(b"frozen %d\\n" % int(sys.argv[1]))
def between(count):
    if not told and count > 4 << 20:
        told.append(say("half", os.getpid()))
        hear()
told = []
say(*recv_stream(conn, None, between))
""", size)
    pid = int(g.hear().split()[1])
    os.kill(pid, signal.SIGSTOP)
    g.say()
    time.sleep(3)
    os.kill(pid, signal.SIGCONT)
    assert g.end() == f"{size} {digest('frozen', size)}"


def test_c13_frozen_server_goes_on_and_others_are_not_held_up(guest):
    """A flow whose server reads nothing shuts its own window, and no other one's (B17)."""
    g = guest("""
stuck = connect(WEB4, STALL)
stuck.sendall(b"3\\n")
def upload():
    send_stream(stuck, "stuck", 8 * MIB)
    stuck.shutdown(socket.SHUT_WR)
sender = threading.Thread(target=upload)
sender.start()
conn = connect(WEB4, ECHO)
for i in range(200):
    echo(conn, b"%d\\n" % i)
alive = sender.is_alive()
sender.join()
say(recv_line(stuck))
""")
    assert g.text == f"{8 * MIB} {digest('stuck', 8 * MIB)}"


def test_200_concurrent_mixed(guest):
    """Uploads, downloads, echoes, both families, all at once; each checked by its own digest."""
    g = guest("""
def one(i):
    web, size, seed = (WEB4, WEB6)[i & 1], (1, 1000, 70000, 300000)[i // 2 % 4], f"seed{i}"
    kind = i // 8 % 3
    if kind == 0:
        conn = connect(web, SINK)
        send_stream(conn, seed, size)
        conn.shutdown(socket.SHUT_WR)
        assert recv_line(conn) == f"{size} {digest(seed, size)}"
    elif kind == 1:
        conn = connect(web, SOURCE)
        conn.sendall(f"{seed} {size}\\n".encode())
        assert recv_stream(conn) == (size, digest(seed, size))
    else:
        conn = connect(web, ECHO)
        for k in range(20):
            echo(conn, f"{seed} {k}\\n".encode())
    conn.close()
    done.append(i)
done = []
workers = [threading.Thread(target=one, args=(i,)) for i in range(200)]
for w in workers: w.start()
for w in workers: w.join()
say(len(done))
dns_udp(DNS4, "www.e2e.test")
""")
    assert g.text == "200"
    assert g.stats["flows_opened"] == 200


def test_trap6_urgent_data_comes_in_line(guest):
    g = guest("""
conn = connect(WEB4, SINK)
conn.sendall(b"before")
conn.send(b"!", socket.MSG_OOB)
conn.sendall(b"behind")
conn.shutdown(socket.SHUT_WR)
say(recv_line(conn))
""")
    import hashlib
    assert g.text == f"13 {hashlib.sha256(b'before!behind').hexdigest()}"
