"""Opening a connection: truthful, exact, leaving nothing behind. Contract A1 A2 A3, B1 B9 B12 B19 B20, C1-C6, C19, L7 L13."""

import pytest

from wire import *

BOTH = pytest.mark.parametrize("web", [WEB4, WEB6], ids=["v4", "v6"])


@BOTH
def test_a1_b1_c19_closed_port_is_refused_to_the_syn(guest, web):
    """The guest's kernel never was in ESTABLISHED: a non-blocking connect() ends in an error, without writability before."""
    g = guest("""
sock = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
sock.setblocking(False)
assert sock.connect_ex((sys.argv[1], CLOSED)) in (errno.EINPROGRESS, errno.ECONNREFUSED)
poll = select.poll()
poll.register(sock, select.POLLOUT)
poll.poll(LIMIT * 1000)
say(errno.errorcode[sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)], *refusal(sys.argv[1], CLOSED))
""", web)
    first, second, seconds = g.text.split()
    assert (first, second) == ("ECONNREFUSED", "ECONNREFUSED")
    assert float(seconds) < LIMIT / 3  # not the kernel's SYN timeout
    assert g.stats["flows_opened"] == 0 and g.stats["flows_now"] == 0
    assert g.stats["closes"] == {"DIAL_REFUSED": 2} or sum(g.stats["drops"].values()) + sum(g.stats["closes"].values()) >= 2


@pytest.mark.parametrize("to", ["10.0.2.77", "fd00::77", "198.51.100.1", "2001:db8:ffff::1"],
                         ids=["neighbour4", "neighbour6", "unreachable-route4", "family-without-route6"])
def test_b1_l13_unreachable_at_once(guest, to):
    error, seconds = guest("say(*refusal(sys.argv[1], 80))", to).text.split()
    assert error in ("EHOSTUNREACH", "ENETUNREACH")
    assert float(seconds) < LIMIT / 3


def test_l7_happy_eyeballs_falls_back(guest):
    """A name with an IPv6 address that leads nowhere: the client goes on with IPv4 by itself."""
    g = guest("""
start = time.monotonic()
tried = [a[4][0] for a in socket.getaddrinfo("dead6.e2e.test", WHO, type=socket.SOCK_STREAM)]
conn = connect("dead6.e2e.test", WHO)
say(len(tried), conn.getpeername()[0], recv_line(conn).split()[1], time.monotonic() - start)
""")
    tried, peer, reached, seconds = g.text.split()
    assert tried == "2" and peer == WEB4 and reached.endswith(WEB4) and float(seconds) < LIMIT / 2


@pytest.mark.parametrize("to", ["127.0.0.2", "0.0.0.0", "240.0.0.1", "255.255.255.255", "::ffff:127.0.0.1"])
def test_b19_never_dialed_from_the_guest(guest, to):
    """Raw SYNs, because the guest's own kernel would keep most of these addresses to itself."""
    g = guest(RAW + """
raw = Raw(GUEST4, sys.argv[1].rsplit(":", 1)[-1])
raw.send(40000, WHO, SYN, 1)
dns_udp(DNS4, "www.e2e.test")
""", to, opts=["--root"])
    assert g.stats["flows_opened"] == 0 and g.stats["flows_now"] == 0


RAW = """
import fcntl
SYN, RST, ACK = 2, 4, 16

def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

class Raw:
    "IPv4 TCP segments put on the tap behind the kernel's back."
    def __init__(self, source, to):
        self.source, self.to = socket.inet_aton(source), socket.inet_aton(to)
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.sock.bind(("tap0", 0x0800))

    def send(self, sport, dport, flags, seq, ack=0):
        tcp = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 65535, 0, 0)
        pseudo = self.source + self.to + struct.pack("!BBH", 0, 6, len(tcp))
        tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0) + self.source + self.to
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        self.sock.send(bytes.fromhex("52550a000202" "525400123456" "0800") + head + tcp)
"""


def test_a2_b9_c4_c24_300_syn_rst_leave_nothing(guest):
    """Ten for every entry a small table would have; then the flows that the guest means, and no flow is left."""
    g = guest(RAW + """
raw = Raw(GUEST4, WEB4)
for i in range(300):
    raw.send(1024 + i, (ECHO, CLOSED)[i % 2], SYN, 1000 * i)
    raw.send(1024 + i, (ECHO, CLOSED)[i % 2], RST, 1000 * i + 1)
for i in range(300): # and the scanner who waits for the answer, which the guest's kernel then resets
    raw.send(2048 + i, ECHO, SYN, 1000 * i)
for i in range(3):
    conn = connect(WEB4, CLOSER)
    assert recv_all(conn) == b"bye\\n"
    conn.close()
    dns_udp(DNS4, "www.e2e.test") # behind everything the guest has sent
""", opts=["--root"])
    assert g.stats["flows_now"] == 0 and g.stats["half_open_now"] == 0


def test_a3_b20_c11_1000_short_flows_closed_by_the_server(guest):
    g = guest("""
start = time.monotonic()
for i in range(1000):
    conn = connect(WEB4, CLOSER)
    assert recv_all(conn) == b"bye\\n"
    conn.close()
say(time.monotonic() - start)
dns_udp(DNS4, "www.e2e.test")
""")
    print("1000 flows in", g.text, "s")
    assert float(g.text.split()[0]) < 10
    assert g.stats["flows_opened"] == 1000 and g.stats["flows_now"] == 0


def test_a3_the_same_with_reused_ports(guest):
    """One source port for all: a new SYN to a connection in time-wait opens a new one (RFC 6191)."""
    g = guest("""
for i in range(20):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.settimeout(LIMIT)
    sock.bind((GUEST4, 40000))
    while (e := sock.connect_ex((WEB4, CLOSER))) == errno.EADDRNOTAVAIL: # our last FIN is not acknowledged yet
        time.sleep(0.001)
    assert e == 0, errno.errorcode[e]
    assert recv_all(sock) == b"bye\\n"
    sock.close()
""")
    assert g.stats["flows_opened"] == 20


@pytest.mark.parametrize("addresses", [MORE4, MORE6], ids=["v4", "v6"])
def test_c3_c5_one_port_two_addresses_never_cross(guest, addresses):
    """The same source port, the same destination port: the addresses alone tell the flows apart."""
    g = guest("""
conns = []
for to in sys.argv[1:]:
    sock = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.settimeout(LIMIT)
    sock.bind(("", 41000))
    sock.connect((to, ECHO))
    conns.append(sock)
for i in range(200):
    for conn, to in zip(conns, sys.argv[1:]):
        conn.sendall(b"%s %d\\n" % (to.encode(), i))
for i in range(200):
    for conn, to in zip(conns, sys.argv[1:]):
        assert recv_line(conn) == f"{to} {i}"
for to in sys.argv[1:]:
    say(recv_line(connect(to, WHO)).split()[1])
""", *addresses)
    reached = g.text.split()
    assert [r.rsplit(":ffff:")[-1] for r in reached] == addresses
