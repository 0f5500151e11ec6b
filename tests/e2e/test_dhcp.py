"""A guest that configures itself: udhcpc and dhclient (4 and 6), and the kernel's own router discovery, each after the address that run gave it
is taken away; then a connection over what was learned."""

import shutil

import pytest

from wire import *

OPTS = ["--root", "--mtu", "1500", "--hostname", "box", "--domain", "guests.example", "--search", "guests.example", "--search", "a.test"]

# the client's script: tell everything, configure the address
SCRIPT = """#!/bin/sh
env >>"${0%/*}/${1:-$reason}"  # dhclient clears the environment
case ${1:-$reason} in
bound) ip address add $ip/$mask dev $interface && ip route add default via $router ;;
BOUND) ip address add $new_ip_address/24 dev $interface && ip route add default via $new_routers ;;
BOUND6) ip address add $new_ip6_address/128 dev $interface nodad ;;
esac
"""

PROGRAM = """
import subprocess
def sh(line, status=0):
    done = subprocess.run(line, shell=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT)
    assert done.returncode == status, done.stdout
    return done.stdout
def sysctl(name, value):
    with open(f"/proc/sys/net/ipv6/conf/tap0/{name}", "w") as f:
        f.write(value)
def told(event):
    with open(os.environ["HERE"] + "/" + event) as f:
        return dict(line.rstrip("\\n").split("=", 1) for line in f if "=" in line)
def until(line, wanted):
    end = time.monotonic() + LIMIT
    while wanted not in sh(line):
        assert time.monotonic() < end, sh(line)
        time.sleep(0.05)
def dhclient(*args):
    here = os.environ["HERE"]
    client = subprocess.Popen(["dhclient", "-1", "-d", "-sf", here + "/script", "-lf", here + "/leases", "-pf", here + "/pid", *args, "tap0"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    event = here + ("/BOUND6" if "-6" in args else "/BOUND")
    end = time.monotonic() + LIMIT
    while not os.path.exists(event):
        assert client.poll() is None and time.monotonic() < end, "dhclient has no lease"
        time.sleep(0.05)
    return client
def router_discovery(autoconf="0"):
    sh("ip -6 address flush dev tap0; ip link set tap0 down")
    for name, value in (("autoconf", autoconf), ("accept_ra", "2"), ("router_solicitations", "3"), ("router_solicitation_delay", "0"), ("accept_dad", "1")):
        sysctl(name, value)
    sh("ip link set tap0 up")
    until("ip -6 route", "default via fe80::5055:aff:fe00:202 dev tap0 proto ra")
def reaches(to):
    conn = connect(to, ECHO)
    return echo(conn, b"after all")
"""


@pytest.fixture
def client(guest, tmp_path):
    def run(program, **kw):
        for need in ("busybox", "dhclient"):
            if not shutil.which(need):
                pytest.skip(f"{need} is not installed")
        script = tmp_path / "script"
        script.write_text(SCRIPT)
        script.chmod(0o755)
        return guest(PROGRAM + program, opts=OPTS, env={"HERE": str(tmp_path)}, **kw)
    return run


def test_udhcpc(client):
    g = client("""
sh("ip -4 address flush dev tap0")
sh("busybox udhcpc -i tap0 -f -n -q -t 5 -T 1 -s $HERE/script -O search -O mtu -O staticroutes")
t = told("bound")
assert (t["ip"], t["mask"], t["router"], t["dns"], t["serverid"]) == (GUEST4, "24", GATEWAY4, DNS4, GATEWAY4), t
assert (t["hostname"], t["domain"], t["search"], t["mtu"]) == ("box", "guests.example", "guests.example a.test", "1500"), t
assert (t["lease"], t["staticroutes"]) == ("86400", "0.0.0.0/0 " + GATEWAY4), t
reaches(WEB4)
""")
    assert "SPOOFED_ADDR" not in g.stats["drops"]


def test_dhclient(client):
    client("""
sh("ip -4 address flush dev tap0")
dhclient("-4")
until("ip -4 route", "default via " + GATEWAY4)
t = told("BOUND")
assert (t["new_ip_address"], t["new_subnet_mask"], t["new_routers"]) == (GUEST4, "255.255.255.0", GATEWAY4), t
assert (t["new_domain_name_servers"], t["new_host_name"], t["new_domain_name"]) == (DNS4, "box", "guests.example"), t
assert (t["new_domain_search"], t["new_interface_mtu"]) == ("guests.example. a.test.", "1500"), t
reaches(WEB4)
""")


def test_router_discovery_and_dhclient6(client):
    g = client("""
router_discovery()
assert "scope global" not in sh("ip -6 address show dev tap0")
until("ip -6 address show dev tap0 scope link -tentative", "fe80::")
dhclient("-6")
until("ip -6 address show dev tap0", "fd00::15/128")
t = told("BOUND6")
assert (t["new_ip6_address"], t["new_dhcp6_name_servers"]) == ("fd00::15", DNS6), t
assert t["new_dhcp6_domain_search"] == "guests.example. a.test.", t
reaches(WEB6)
""")
    assert "SPOOFED_ADDR" not in g.stats["drops"]


def test_slaac_alone(client):
    """A guest that knows only router advertisements has an address that works, of its own choice (RFC 4862)."""
    g = client("""
router_discovery(autoconf="1")
until("ip -6 address show dev tap0 scope global -tentative", "fd00::5054:ff:fe12:3456/64")
reaches(WEB6)
""")
    assert "SPOOFED_ADDR" not in g.stats["drops"]


def test_no_slaac_where_the_prefix_is_no_64(guest):
    """An address of net6 that is not the guest's own is refused, and no prefix invites to choose one."""
    g = guest(PROGRAM + """
router_discovery(autoconf="1")
assert "scope global" not in sh("ip -6 address show dev tap0")
sh("ip address add fd00::77/96 dev tap0 nodad")
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for _ in range(3):
    sock.sendto(b"x", (WEB6, 9))
""", opts=["--root", "--net6", "fd00::/96"])
    assert g.stats["drops"]["SPOOFED_ADDR"] >= 3 and g.stats["udp_to_host"] == 0


def test_release_and_again(client):
    client("""
sh("ip -4 address flush dev tap0")
for _ in range(2):
    sh("busybox udhcpc -i tap0 -f -n -q -R -t 5 -T 1 -s $HERE/script")
    sh("ip -4 address flush dev tap0")
""")
