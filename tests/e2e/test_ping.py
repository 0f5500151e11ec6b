"""Pings of a guest: to the gateway, to the internet, to nobody, at hop limit 1; and without ping sockets. B38."""

import pytest

from wire import *

RANGE = "/proc/sys/net/ipv4/ping_group_range"


def ping_groups(text):
    with open(RANGE, "w", encoding="ascii") as f:
        f.write(text)


@pytest.fixture
def ping(guest):
    """ping(ARGS..., status=0) -> Guest, whose text is ping's. The host gives ping sockets to everybody there is here."""
    def run(*args, status=0, opts=()):
        return guest("", command=["ping", "-n", "-W", "10", *map(str, args)], status=status,
                     opts=["--root", *opts])
    ping_groups("0 0")
    yield run
    ping_groups("1 0")


@pytest.mark.parametrize("to", [GATEWAY4, DNS4, GATEWAY6, DNS6])
def test_gateway_answers(ping, to):
    ping_groups("1 0")  # it needs no socket for that
    g = ping("-c", 2, "-i", 0.2, "-s", 1000, to)
    assert "2 received" in g.text and g.stats["echo_to_host"] == 0


@pytest.mark.parametrize("to", [WEB4, WEB6, MORE4[0]])
def test_b38_internet(ping, to):
    g = ping("-c", 3, "-i", 0.2, "-s", 1200, "-p", "5a", to)
    assert "3 received" in g.text and "wrong" not in g.text
    assert g.stats["echo_to_host"] == g.stats["echo_to_guest"] == 3


@pytest.mark.parametrize("to", [WEB4, WEB6, GATEWAY4, GATEWAY6])
@pytest.mark.parametrize("size", [1473, 20000, 60000])
def test_b37_larger_than_the_mtu(ping, to, size):
    """Fragments both ways: the guest's are put together, the reply comes in fragments of the guest's MTU; ping compares every byte."""
    g = ping("-c", 2, "-i", 0.2, "-s", size, to, opts=["--mtu", "1500"])
    assert "2 received" in g.text and "wrong" not in g.text and f"{size + 8} bytes from" in g.text
    assert "FRAG_TIMEOUT" not in g.stats["drops"]


@pytest.mark.parametrize("to", [WEB4, WEB6])
def test_hop_limit_and_dscp_of_the_reply(ping, to):
    """64 at the far side, the host is the last hop, the gateway a router: 63."""
    assert "ttl=63" in ping("-c", 1, "-Q", "0xb8", to).text


@pytest.mark.parametrize("to", ["10.0.2.255", "255.255.255.255", "224.0.0.1", "ff02::1%tap0"])
def test_groups_stay_silent(ping, to):
    """Nobody answers for others, and there is no error about what went to everybody."""
    g = ping("-c", 2, "-i", 0.2, "-W", 1, *([] if ":" in to else ["-b"]), to, status=None)  # of ff02::1 the guest is one itself
    assert "From" not in g.text and (":" in to or "bytes from" not in g.text)
    assert g.stats["drops"]["GROUP_TRAFFIC"] >= 2 and g.stats["echo_to_host"] == 0


@pytest.mark.parametrize("net, to, group", [("192.168.77.0/27", "192.168.77.31", True), ("192.168.77.0/27", "192.168.77.30", False),
                                            ("172.16.0.0/12", "172.31.255.255", True)])
def test_broadcast_address_of_the_net(ping, net, to, group):
    g = ping("-c", 1, "-W", 1 if group else 10, "-b", to, status=1, opts=["--net", net])
    assert ("GROUP_TRAFFIC" in g.stats["drops"]) == group and ("Unreachable" in g.text) != group


@pytest.mark.parametrize("to", [WEB4, WEB6])
def test_flood_of_ids(guest, to):
    """1000 ids: no more sockets than an eighth of the descriptors, the least recently used give way; a lookup and a connection go on."""
    ping_groups("0 0")
    try:
        g = guest("""
v6 = ":" in sys.argv[1]
sock = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW, 58 if v6 else 1)
sock.settimeout(LIMIT)
def ping(number):
    message = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, number, 1)
    total = sum(struct.unpack("!4H", message))
    total = (total & 0xffff) + (total >> 16)
    sock.sendto(message[:2] + struct.pack("!H", 0xffff - total) + message[4:], (sys.argv[1], 0))
for number in range(1000):
    ping(number)
    if number % 50 == 0:
        time.sleep(0.005)
ping(0)
while True:
    data = sock.recv(1000)
    if not v6:
        data = data[20:]
    if data[0] == (129 if v6 else 0) and data[4:8] == struct.pack("!HH", 0, 1):
        break
assert len(dns_udp(DNS4, "www.e2e.test")) > 40
connect(sys.argv[1], ECHO).close()
""", to, opts=["--root"], limit=1024)
    finally:
        ping_groups("1 0")
    s = g.stats
    assert 0 < s["echo_sockets_now"] <= 128 and s["echo_evicted"] >= 1000 - 128, s
    assert s["echo_to_host"] == 1001 and "NO_DESCRIPTOR" not in s["drops"]


def test_two_at_once(guest):
    """Ids of two programs stay apart."""
    ping_groups("0 0")
    try:
        g = guest("", command=["sh", "-c", f"ping -nc 5 -i 0.2 {WEB4} & ping -nc 5 -i 0.2 {MORE4[0]}; wait"], opts=["--root"])
    finally:
        ping_groups("1 0")
    assert g.text.count("5 received") == 2


@pytest.mark.parametrize("to", [WEB4, WEB6])
def test_hop_limit_one(ping, to):
    g = ping("-c", 1, "-t", 1, to, status=1)
    assert f"From {GATEWAY6 if ':' in to else GATEWAY4} icmp_seq=1 Time" in g.text
    assert g.stats["echo_to_host"] == 0 and g.stats["drops"]["HOP_LIMIT"] >= 1


@pytest.mark.parametrize("to, says", [
    ("198.51.100.1", "Destination Host Unreachable"),  # a route of the host says so
    ("203.0.113.77", "Destination Host Unreachable"),  # nobody answers the host's ARP
    ("10.0.2.99", "Destination Host Unreachable"),     # nobody else on the guest's link
    ("2001:db8:2::1", "No route"),
    (HOST4, "Packet filtered"),                        # the host's own addresses are closed
    (HOST6, "Administratively prohibited"),
])
def test_b38_nobody(ping, to, says):
    assert says in ping("-c", 1, to, status=1).text


def test_host_loopback_opens_the_host(ping):
    assert "1 received" in ping("-c", 1, HOST4, opts=["--host-loopback"]).text


@pytest.mark.parametrize("to, says", [(WEB4, "Packet filtered"), (WEB6, "Administratively prohibited")])
def test_no_ping_sockets(ping, to, says):
    """The guest hears it at once, the person once, with the remedy."""
    ping_groups("1 0")
    g = ping("-c", 3, "-i", 0.2, to, status=1, opts=["--log-level", "warn"])
    assert says in g.text and g.stats["drops"]["PING_FORBIDDEN"] == 3
    assert g.err.count("net.ipv4.ping_group_range") == 1
