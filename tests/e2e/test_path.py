"""The way to the far side: two routers of the network between host and server, the second link narrower. traceroute by UDP and by ICMP shows each
hop under its own address; what does not fit the way is told with its MTU. B38.

    host h0 198.18.1.1 --1500-- r1 198.18.1.2, 198.18.2.1 --1400-- r2 198.18.2.2, 198.18.3.1 --1500-- far 198.18.3.2
    IPv6: 2001:db8:1N::, the same last numbers; the guest's link carries 65520
"""

import re
import subprocess

import pytest

from conftest import ip
from wire import *

RANGE = "/proc/sys/net/ipv4/ping_group_range"
FAR = {4: "198.18.3.2", 6: "2001:db8:13::2"}
HOPS = {4: [GATEWAY4, "198.18.1.2", "198.18.2.2", FAR[4]], 6: [GATEWAY6, "2001:db8:11::2", "2001:db8:12::2", FAR[6]]}
NARROW = 1400
BOTH = pytest.mark.parametrize("v", [4, 6], ids=["v4", "v6"])

SERVER = """
import select, socket, sys
socks = []
for family, to in ((socket.AF_INET, sys.argv[1]), (socket.AF_INET6, sys.argv[2])):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((to, 7))
    socks.append(sock)
print("there", flush=True)
while True:
    for sock in select.select([*socks, sys.stdin], [], [])[0]:
        if sock is sys.stdin:
            sys.exit()
        data, peer = sock.recvfrom(70000)
        sock.sendto(b"%d" % len(data), peer)
"""

GUEST = """
v6 = ":" in sys.argv[1]
level, discover, mtu, family = (41, 23, 24, socket.AF_INET6) if v6 else (0, 10, 14, socket.AF_INET)
DO, DONT = 2, 0
sock = socket.socket(family, socket.SOCK_DGRAM)
sock.settimeout(LIMIT)
sock.connect((sys.argv[1], 7))
def learn(size):
    "Sends until the kernel knows a smaller MTU; says it."
    sock.setsockopt(level, discover, DO)
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        try:
            sock.send(bytes(size))
        except OSError as e:
            assert e.errno == errno.EMSGSIZE, e
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # what the ICMP error left besides
            return sock.getsockopt(level, mtu)
        time.sleep(0.05)
def answered(size):
    "A smaller one that was sent before may be answered first."
    sock.send(bytes(size))
    while int(sock.recv(100)) != size:
        pass
"""


def far_net(*argv, net, **kw):
    return subprocess.Popen(["nsenter", f"--net=/proc/{net}/ns/net", "--", *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **kw)


def sysctl(net, value, *names):
    setting = f"for f in {' '.join(names)}; do echo {value} >/proc/sys/net/$f; done"
    assert far_net("sh", "-c", setting, net=net).wait(LIMIT) == 0


@pytest.fixture(scope="module")
def way():
    holders = [subprocess.Popen(["unshare", "--net", "--", "sh", "-c", "echo there; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
               for _ in range(3)]
    for holder in holders:
        holder.stdout.readline()
    r1, r2, far = (holder.pid for holder in holders)
    ip(f"link add h0 type veth peer name a0 netns {r1}\naddress add 198.18.1.1/24 dev h0\naddress add 2001:db8:11::1/64 dev h0 nodad\n"
       "link set h0 up\nroute add 198.18.0.0/16 via 198.18.1.2\n")
    for net, left, right, peer, n in ((r1, "a0", "b0", r2, 1), (r2, "b1", "c0", far, 2)):
        ip(f"link set lo up\nlink add {right} type veth peer name {'b1' if n == 1 else 'c1'} netns {peer}\n"
           f"address add 198.18.{n}.2/24 dev {left}\naddress add 2001:db8:1{n}::2/64 dev {left} nodad\nlink set {left} up\n"
           f"address add 198.18.{n + 1}.1/24 dev {right}\naddress add 2001:db8:1{n + 1}::1/64 dev {right} nodad\nlink set {right} up\n", net=net)
        sysctl(net, 1, "ipv4/ip_forward", "ipv6/conf/all/forwarding")
    for net in r1, r2, far:  # each is asked more often than it would like to answer
        sysctl(net, 0, "ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit")
    ip("link set lo up\naddress add 198.18.3.2/24 dev c1\naddress add 2001:db8:13::2/64 dev c1 nodad\nlink set c1 up\n"
       "route add default via 198.18.3.1\nroute add default via 2001:db8:13::1\n", net=far)
    ip(f"link set b0 mtu {NARROW}\nroute add 198.18.3.0/24 via 198.18.2.2\nroute add 2001:db8:13::/64 via 2001:db8:12::2\n", net=r1)
    ip("".join(f"route add {what} {to[4].rsplit('.', 1)[0]}.0/24\nroute add {what} {to[6].rsplit('::', 1)[0]}::/64\n" for what, to in PLACES.items()),
       net=r1)
    ip(f"link set b1 mtu {NARROW}\nroute add 198.18.1.0/24 via 198.18.2.1\nroute add 2001:db8:11::/64 via 2001:db8:12::1\n", net=r2)
    ip("route add 2001:db8:10::/44 via 2001:db8:11::2\n")
    server = far_net("/usr/bin/python3", "-c", SERVER, FAR[4], FAR[6], net=far)
    assert server.stdout.readline() == b"there\n"
    with open(RANGE, "w", encoding="ascii") as f:
        f.write("0 0")
    yield
    with open(RANGE, "w", encoding="ascii") as f:
        f.write("1 0")
    for process in (server, *holders):
        process.stdin.close()
        process.wait(LIMIT)


@pytest.fixture
def forgetful(way):
    """The host knows nothing of the way's MTU yet."""
    for family in ("-4", "-6"):
        subprocess.run(["ip", family, "route", "flush", "cache"], check=True, timeout=LIMIT)


@BOTH
@pytest.mark.parametrize("how", [[], ["-I"]], ids=["udp", "icmp"])
def test_b38_traceroute(way, guest, v, how):
    g = guest("", command=["traceroute", f"-{v}", "-n", "-w", "10", "-q", "2", "-m", "8", *how, FAR[v]], opts=["--root"])
    hops = [line.split()[1] for line in g.text.split("\n")[1:]]
    assert hops == HOPS[v], g.text
    assert "*" not in g.text and "!" not in g.text


@BOTH
@pytest.mark.parametrize("mtu", ["1500", "65520"])
def test_b38_tracepath(forgetful, guest, v, mtu):
    """A client that looks for both at once."""
    g = guest("", command=["tracepath", f"-{v}", "-n", "-m", "8", FAR[v]], opts=["--root", "--mtu", mtu])
    assert f"Resume: pmtu {NARROW} hops 4" in g.text, g.text
    places = [g.text.index(f" {hop} ") for hop in HOPS[v]]
    assert places == sorted(places), g.text


@BOTH
def test_b38_path_mtu_of_datagrams(forgetful, guest, v):
    """A router further on does not take it: the guest's kernel learns the MTU, and what fits is answered."""
    g = guest(GUEST + """
known = learn(1450)
answered(known - (48 if v6 else 28))
say(known)
""", FAR[v])
    assert g.text == str(NARROW)


@BOTH
def test_b38_mtu_of_the_host_itself(forgetful, guest, v):
    """The host's own link does not take it."""
    g = guest(GUEST + "say(learn(9000))\n", FAR[v])
    assert g.text in ("1500", str(NARROW))


@BOTH
def test_larger_than_the_path_without_df(forgetful, guest, v):
    """Who does not ask for DF is fragmented where it must be, each way; of IPv6 the guest does it, once it knows."""
    g = guest(GUEST + """
sock.setsockopt(level, discover, DONT)
sock.settimeout(1)
for _ in range(LIMIT):
    try:
        answered(5000)
        break
    except TimeoutError:
        pass
else:
    sys.exit("never answered")
say("whole")
""", FAR[v], opts=["--mtu", "1500"])
    assert g.text == "whole"


PLACES = {"prohibit": {4: "198.18.4.1", 6: "2001:db8:14::1"}, "unreachable": {4: "198.18.5.1", 6: "2001:db8:15::1"}}
REASONS = {("prohibit", 4): "HOST_PROHIBITED", ("prohibit", 6): "HOST_PROHIBITED", ("unreachable", 4): "HOST_UNREACHABLE",
           ("unreachable", 6): "NET_UNREACHABLE"}  # RFC 4443 3.1: no route


@BOTH
@pytest.mark.parametrize("what", PLACES)
def test_b38_dial_that_a_router_refuses(way, guest, v, what):
    """A router's administratively prohibited is told apart from its unreachable: ICMP 3/13 and 3/1, 1/1 and 1/0."""
    g = guest("say(refusal(sys.argv[1], 80)[0])", PLACES[what][v])
    assert g.text in ("EHOSTUNREACH", "EACCES", "ENETUNREACH")
    assert sum(g.stats[kind].get(REASONS[what, v], 0) for kind in ("drops", "closes")) == 1, g.stats


@BOTH
def test_b38_path_mtu_of_pings(forgetful, guest, v):
    """The router says so, under its own address."""
    g = guest("", command=["ping", "-n", "-c", "2", "-i", "0.3", "-W", "10", "-M", "do", "-s", "1440", FAR[v]], opts=["--root"], status=1)
    says = f"From {HOPS[4][1]} icmp_seq=1 Frag needed and DF set (mtu = {NARROW})" if v == 4 else f"From {HOPS[6][1]} icmp_seq=1 Packet too big: mtu={NARROW}"
    assert says in g.text


@BOTH
def test_large_pings_over_the_narrow_link(forgetful, guest, v):
    g = guest("", command=["ping", "-n", "-c", "4", "-i", "0.3", "-W", "10", "-s", "9000", FAR[v]], opts=["--root", "--mtu", "1500"], status=None)
    lost = 4 - int(re.search(r"(\d+) received", g.text).group(1))
    assert lost <= (2 if v == 6 else 0), g.text  # of IPv6, where no router cuts, one request and one reply find the MTU out
