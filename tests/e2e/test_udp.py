"""UDP through the gateway: there and back, errors, hop limits. Contract A8 A9, B35 B38, C41 C42."""

import pytest

from wire import *

BOTH = pytest.mark.parametrize("web", [WEB4, WEB6], ids=["v4", "v6"])
GATE = pytest.mark.parametrize("gate", [GATEWAY4, GATEWAY6], ids=["v4", "v6"])
LOOPBACK = {GATEWAY4: "127.0.0.1", GATEWAY6: "::1"}

UDP = """
def udp(to, port=0):
    sock = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(LIMIT)
    sock.connect((to, port))
    return sock
"""


def host_socket(gate, port=0):
    sock = socket.socket(socket.AF_INET6 if ":" in gate else socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(LIMIT)
    sock.bind((LOOPBACK[gate], port))
    return sock


@BOTH
def test_c42_answer_comes_from_where_the_guest_sent_to(guest, web):
    """A connected socket takes an answer from its peer only; queries go past the relay, to the server itself."""
    g = guest("say(len(dns_udp(sys.argv[1], 'www.e2e.test')))", web)
    assert int(g.text) > 40
    assert g.stats["udp_sessions_opened"] == 1 and g.stats["udp_to_host"] == 1 and g.stats["udp_to_guest"] == 1
    assert g.stats["dns_queries"] == 0


@pytest.mark.parametrize("server, sessions", [(DNS4, 0), (DNS6, 0), (WEB4, 1), (WEB6, 1)])
def test_c46_dns_of_the_relay_is_no_session(guest, server, sessions):
    g = guest("say(len(dns_udp(sys.argv[1], 'www.e2e.test')))", server)
    assert int(g.text) > 40
    assert g.stats["udp_sessions_opened"] == g.stats["udp_to_host"] == sessions and g.stats["dns_queries"] == 1 - sessions


@GATE
def test_echo_of_all_sizes_through_the_host_loopback(start, gate):
    """The gateway's address leads to the host's loopback; sizes up to the guest's MTU arrive whole, both ways."""
    server = host_socket(gate)
    g = start(UDP + """
sock = udp(sys.argv[1], int(sys.argv[2]))
for size in (0, 1, 1400, 1473, 9000, 65000):
    sock.send(bytes([size & 255]) * size)
    assert sock.recv(70000) == bytes([size & 255]) * size, size
say("whole")
""", gate, server.getsockname()[1], opts=["--host-loopback"])
    for _ in range(6):
        data, peer = server.recvfrom(70000)
        server.sendto(data, peer)
    assert g.end() == "whole"
    server.close()


@GATE
def test_runs_stay_runs_and_arrive_as_datagrams(start, gate):
    """A program that uses UDP_SEGMENT has its datagrams cross the gateway as few super-frames where the tap has USO (Linux 6.2), and
    the far side gets them one by one, with their sizes and in their order; both ways."""
    server = host_socket(gate)
    g = start(UDP + """
sock = udp(sys.argv[1], int(sys.argv[2]))
for i in range(20):
    send_run(sock, i, sock.getpeername())
    for want in run_of(i):
        assert sock.recv(2000) == want, i
say("whole")
""", gate, server.getsockname()[1], opts=["--host-loopback", "--mtu", "1500"])
    for i in range(20):
        for want in run_of(i):
            data, peer = server.recvfrom(2000)
            assert data == want, i
        send_run(server, i, peer)
    assert g.end() == "whole"
    assert g.stats["udp_to_host"] == g.stats["udp_to_guest"] == 20 * 41
    if tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 2):
        assert g.stats["link_rx_frames"] < 200 and g.stats["link_tx_frames"] < 200
    server.close()


@GATE
def test_a9_b35_closed_port_is_refused_and_works_when_it_opens(start, gate):
    """The guest's kernel says ECONNREFUSED, at once; the same socket goes on when the server is there."""
    server = host_socket(gate)
    port = server.getsockname()[1]
    server.close()
    g = start(UDP + """
sock = udp(sys.argv[1], int(sys.argv[2]))
for _ in range(2):
    sock.send(b"anybody?")
    try:
        sock.recv(100)
    except OSError as e:
        say(errno.errorcode[e.errno])
hear()
sock.send(b"and now?")
say(sock.recv(100).decode())
""", gate, port, opts=["--host-loopback"])
    assert g.hear() == "ECONNREFUSED" and g.hear() == "ECONNREFUSED"
    server = host_socket(gate, port)
    g.say()
    data, peer = server.recvfrom(100)
    assert data == b"and now?"
    server.sendto(b"yes", peer)
    assert g.end() == "yes"
    server.close()


@BOTH
def test_b38_hop_limit_used_up_on_the_way(guest, web):
    """As traceroute does it: with hop limit 1 the gateway answers, with more the far side (its port is closed)."""
    g = guest(UDP + """
v6 = ":" in sys.argv[1]
level, hops, recverr = (41, 16, 25) if v6 else (0, 2, 11)
for ttl in (1, 5):
    sock = udp(sys.argv[1], CLOSED)
    sock.setsockopt(level, recverr, 1)
    sock.setsockopt(level, hops, ttl)
    sock.send(b"probe")
    select.select([], [], [sock], 0)
    poll = select.poll()
    poll.register(sock, 0)
    poll.poll(LIMIT * 1000)
    _, control, _, _ = sock.recvmsg(100, 1000, socket.MSG_ERRQUEUE)
    error = [data for l, t, data in control if (l, t) == (level, recverr)][0]
    who = socket.inet_ntop(socket.AF_INET6, error[24:40]) if v6 else socket.inet_ntop(socket.AF_INET, error[20:24])
    say(error[5], error[6], who)
""", web)
    first, second = g.text.split("\n")
    v6 = ":" in web
    assert first == (f"3 0 {GATEWAY6}" if v6 else f"11 0 {GATEWAY4}")
    assert second == (f"1 4 {web}" if v6 else f"3 3 {web}")
    assert g.stats["drops"]["HOP_LIMIT"] == 1


@GATE
def test_c41_two_servers_one_port_no_third_party(start, gate):
    """As STUN asks: both servers see the same mapped port; who was not sent to is not heard."""
    one, two, third = host_socket(gate), host_socket(gate), host_socket(gate)
    g = start(UDP + """
sock = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(LIMIT)
for port in sys.argv[2:]:
    sock.sendto(b"who am I?", (sys.argv[1], int(port)))
say("sent")
say(sock.recv(100).decode())
""", gate, one.getsockname()[1], two.getsockname()[1], opts=["--host-loopback"])
    assert g.hear() == "sent"
    seen = [sock.recvfrom(100)[1] for sock in (one, two)]
    assert seen[0][1] == seen[1][1]
    third.sendto(b"an intruder", seen[0])
    two.sendto(b"the second", seen[0])
    assert g.end() == "the second"
    assert g.stats["drops"]["UDP_FILTERED"] == 1
    assert g.stats["udp_sockets_now"] == 1
    for sock in (one, two, third):
        sock.close()


@BOTH
def test_a8_two_thousand_destinations(guest, web):
    """One descriptor, whatever a port talks to; the newest destination works."""
    g = guest(UDP + """
sock = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(LIMIT)
for port in range(10000, 12000):
    sock.sendto(b"?", (sys.argv[1], port))
    if port % 50 == 0:
        time.sleep(0.002)
sock.sendto(dns_query("www.e2e.test", 1), (sys.argv[1], 53))
say(len(sock.recv(4096)))
""", web, limit=1024)
    assert int(g.text.split()[-1]) > 40
    assert g.stats["udp_sockets_now"] == 1 and g.stats["udp_sessions_now"] == 2001


@GATE
def test_b37_a_reply_of_9000_bytes_at_an_mtu_of_1500(start, gate):
    """In fragments, whole; and as large a question the other way."""
    server = host_socket(gate)
    g = start(UDP + """
sock = udp(sys.argv[1], int(sys.argv[2]))
sock.setsockopt(*((41, 23, 0) if ":" in sys.argv[1] else (0, 10, 0)))  # no path MTU discovery: the guest's kernel may cut
sock.send(b"9000")
assert sock.recv(70000) == bytes(range(250)) * 36
sock.send(bytes(range(250)) * 36)
say(sock.recv(100).decode())
""", gate, server.getsockname()[1], opts=["--host-loopback", "--mtu", "1500"])
    data, peer = server.recvfrom(70000)
    server.sendto(bytes(range(250)) * 36, peer)
    data, peer = server.recvfrom(70000)
    server.sendto(b"whole" if data == bytes(range(250)) * 36 else b"cut", peer)
    assert g.end() == "whole"
    assert g.stats["link_tx_frames"] >= 7
    server.close()


@BOTH
@pytest.mark.parametrize("count", [900, 20000], ids=["honest", "flood"])
def test_b38_errors_are_rationed(guest, web, count):
    """A scan's or traceroute's errors all arrive, at once; of a flood's, a thousand a second (RFC 1812 4.3.2.8, RFC 4443 2.4)."""
    begun = time.monotonic()
    g = guest(UDP + """
sock = udp(sys.argv[1], 9)
sock.setsockopt(*((41, 16, 1) if ":" in sys.argv[1] else (0, 2, 1)))  # hop limit 1
for _ in range(int(sys.argv[2])):
    while True:
        try:
            sock.send(b"x")
            break
        except OSError as e:
            assert e.errno in (errno.EHOSTUNREACH, errno.ECONNREFUSED), e
assert len(dns_udp(DNS4, "www.e2e.test")) > 40
""", web, count)
    refused, kept_back = g.stats["drops"]["HOP_LIMIT"], g.stats["drops"].get("ICMP_RATE", 0)
    if count == 900:
        assert refused >= count and not kept_back
    else:
        assert refused - kept_back <= 1001 + 1000 * (time.monotonic() - begun)


@BOTH
def test_b34_flood_of_endpoints(guest, web):
    """2000 ports of the guest: no more sockets than a quarter of the descriptors, the oldest give way, and everything else goes on."""
    g = guest(UDP + """
family, addr = (socket.AF_INET6, "::") if ":" in sys.argv[1] else (socket.AF_INET, "0.0.0.0")
for port in range(20000, 22000):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((addr, port))
        sock.sendto(b"?", (sys.argv[1], 9))
        sock.sendto(b"?", (sys.argv[1], 10))
    if port % 50 == 0:
        time.sleep(0.002)
assert len(dns_udp(sys.argv[1], "www.e2e.test")) > 40
assert len(dns_udp(DNS4, "www.e2e.test")) > 40
conn = connect(sys.argv[1], ECHO)
echo(conn, b"and TCP")
""", web, limit=1024)
    s = g.stats
    assert s["udp_sockets_now"] <= 256 and s["udp_sessions_now"] <= 3 * 256
    assert s["udp_evicted"] == s["udp_sessions_opened"] - s["udp_sessions_now"] >= 3000, s
    assert "NO_DESCRIPTOR" not in s["drops"]


@pytest.mark.parametrize("to,error", [("10.0.2.77", "EHOSTUNREACH"), ("fd00::77", "EHOSTUNREACH"), ("198.51.100.1", "EHOSTUNREACH"),
                                      ("2001:db8:ffff::1", "ENETUNREACH"), (GATEWAY4, "EHOSTUNREACH EACCES"), (GATEWAY6, "EACCES")],
                         ids=["neighbour4", "neighbour6", "unreachable-route4", "no-route6", "loopback-closed4", "loopback-closed6"])
def test_b38_unreachable_is_told(guest, to, error):
    g = guest(UDP + """
sock = udp(sys.argv[1], 9)
sock.setsockopt(*((41, 25, 1) if ":" in sys.argv[1] else (0, 11, 1)))  # IP_RECVERR: softer errors are told too
sock.settimeout(5)
sock.send(b"x")
try:
    sock.recv(1)
except OSError as e:
    say(errno.errorcode.get(e.errno, e.errno))
""", to)
    assert g.text in error.split()
