# SPDX-License-Identifier: BSD-3-Clause
"""The stacks under test: how each is started and where its guest is.

A started stack is a Guest: namespaces to run clients in, the addresses that
lead to the host's loopback, and the processes whose CPU time counts.
"""

import json
import os
import shutil
import time

from lab import (SYSCTLS, Failed, Proc, cpu_seconds, family_of, find_holder,
                 sh)

STACK_CPU, LOAD_CPU = 0, 1

GUEST_SYSCTLS = "ip link set lo up\n" + SYSCTLS

SLIRP_GATEWAY = {"v4": "10.0.2.2", "v6": "fd00::2"}

TAP_SETUP = """
ip link set tap0 mtu {mtu} up
ip addr add 10.0.2.15/24 dev tap0
ip -6 addr add fd00::15/64 dev tap0 nodad
ip neigh replace 10.0.2.2 lladdr 02:00:00:00:00:01 nud permanent dev tap0
ip neigh replace fd00::2 lladdr 02:00:00:00:00:01 nud permanent dev tap0
"""

VETH_SETUP = """
ip link add {us} mtu {mtu} type veth peer name tap0 mtu {mtu} netns {pid}
ip link set {us} up
ip addr add 10.0.2.2/24 dev {us}
ip -6 addr add fd00::2/64 dev {us} nodad
"""

VETH_GUEST = """
ip link set tap0 up
ip addr add 10.0.2.15/24 dev tap0
ip -6 addr add fd00::15/64 dev tap0 nodad
"""


class Guest:
    def __init__(self, lab, name):
        self.lab = lab
        self.name = name
        self.stack_cpu = STACK_CPU      # None: wherever the kernel likes
        self.load_cpu = LOAD_CPU
        self.pid = None         # a process in the guest's namespaces
        self.gateway = dict(SLIRP_GATEWAY)
        self.nameserver = "10.0.2.3"
        self.interface = "tap0"
        self.stack = None       # Proc of the stack, None for veth
        self.others = []        # further processes to end
        self.patience = 0.02    # for one exchange, while the stack comes up
        self.wire = None        # Proc of the bad wire
        self.link = None        # our end of a veth, to remove at the end

    def stack_pids(self):
        return family_of(self.stack.pid) if self.stack else []

    def cpu(self):
        return cpu_seconds(self.stack_pids())

    def check(self):
        if self.stack and not self.stack.alive():
            raise Failed(self.stack.last_words() or "the stack ended")

    def wait_ready(self, family, timeout=8):
        """Until a byte has gone to a server and back."""
        server, port = self.lab.server(1)
        end = time.monotonic() + timeout
        try:
            while time.monotonic() < end:
                self.check()
                client = self.lab.client(self, 1, port, family, "rr", 1,
                                         self.patience)
                client.line(1)
                answer = client.line(1)
                client.stop()
                if answer and '"transactions":0,' not in answer:
                    return
                time.sleep(0.05)
        finally:
            server.stop()
        raise Failed(self.words() or f"no answer from the gateway ({family})")

    def wire_lost(self):
        """Frames the bad wire lost without being told to.  This ends it."""
        self.wire.p.terminate()
        try:
            r = self.wire.json(5, "wire")
        except Failed:
            return None
        return (r["overrun"] + r["from_gateway"]["unsent"]
                + r["from_guest"]["unsent"])

    def words(self):
        return self.stack.last_words() if self.stack else ""

    def stop(self):
        if self.link:
            sh(f"ip link del {self.link} || true")
        for p in [self.stack] + self.others[::-1]:
            if p:
                p.stop()


def run_in_guest(guest, argv):
    """Start a stack that makes the guest's namespaces itself."""
    lab = guest.lab
    token = lab.new_token()
    guest.stack = Proc(argv + [lab.traffic, "hold", token], cpu=guest.stack_cpu,
                       unprivileged=True)
    while guest.pid is None:
        guest.pid = find_holder(token, 0.2)
        guest.check()
        if guest.pid is None and time.monotonic() > guest.deadline:
            raise Failed(guest.words() or "the command was never started")
    lab.inside(guest.pid, GUEST_SYSCTLS)


def start_slirpgate(guest, mtu, options):
    argv = [options.slirpgate, "run", "--root", "--mtu", mtu, "--host-loopback",
            *options.slirpgate_args.split(), "--"]
    run_in_guest(guest, argv)


def start_pasta(guest, mtu, options):
    argv = ["pasta", "-f", "--config-net", "-t", "none", "-u", "none",
            "-T", "none", "-U", "none", "-m", mtu,
            "--dns-forward", "192.0.2.53", "--"]
    guest.nameserver = "192.0.2.53"
    guest.gateway = {"v4": "192.0.2.1", "v6": "2001:db8::1"}
    guest.interface = "up0"
    run_in_guest(guest, argv)


def start_slirp4netns(guest, mtu, options):
    holder = guest.lab.hold("-U", "-u")
    guest.others.append(holder)
    guest.pid = holder.pid
    guest.lab.inside(guest.pid, GUEST_SYSCTLS)
    guest.stack = Proc(
        ["slirp4netns", "--configure", f"--mtu={mtu}", "--enable-ipv6",
         "--netns-type=path", f"--userns-path=/proc/{guest.pid}/ns/user",
         f"/proc/{guest.pid}/ns/net", "tap0"],
        cpu=guest.stack_cpu, unprivileged=True)


def start_limit(guest, mtu, options, extra=()):
    holder = guest.lab.hold("-u")
    guest.others.append(holder)
    guest.pid = holder.pid
    guest.lab.inside(guest.pid, GUEST_SYSCTLS)
    guest.stack = Proc([guest.lab.limit, "-N", guest.pid, "-m", mtu, *extra],
                       cpu=guest.stack_cpu)
    if guest.stack.line(5) is None:
        raise Failed(guest.words() or "it did not start")
    guest.lab.inside(guest.pid, TAP_SETUP.format(mtu=mtu))


def start_limit_n(guest, mtu, options):
    start_limit(guest, mtu, options, ("-n",))


def start_limit_u(guest, mtu, options):
    start_limit(guest, mtu, options, ("-u",))


def start_veth(guest, mtu, options):
    holder = guest.lab.hold("-u")
    guest.others.append(holder)
    guest.pid = holder.pid
    guest.lab.inside(guest.pid, GUEST_SYSCTLS)
    guest.link = f"bv{guest.pid}"
    sh(VETH_SETUP.format(us=guest.link, mtu=mtu, pid=guest.pid))
    guest.lab.inside(guest.pid, VETH_GUEST)


# The tap stays in its namespace without addresses, a veth stands beside it.
WIRE_MIDDLE = """
ip addr flush dev {tap}
for i in {tap} vd0; do
    echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6
done
ip link set vd0 up
"""

WIRE_GUEST = """
ip link set eth0 address {mac}
ip link set eth0 up
echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6
ip addr add {addr} dev eth0
ip route replace default via {gateway} dev eth0
"""


def insert_wire(guest, mtu, down, up):
    """Move the guest one namespace away, behind a bad wire: what impair -d and
    -u say.  MAC and IPv4 address move with it."""
    lab, middle, tap = guest.lab, guest.pid, guest.interface
    link = wait_address(lab, middle, tap)
    addr = next(a for a in link["addr_info"] if a["family"] == "inet")
    far = Proc([lab.traffic, "-N", middle, "-u", "hold", lab.new_token()])
    guest.others.append(far)
    far.json(5, "hold")
    lab.inside(middle, f"ip link add vd0 mtu {mtu} type veth "
                       f"peer name eth0 mtu {mtu} netns {far.pid}")
    lab.inside(middle, WIRE_MIDDLE.format(tap=tap))
    lab.inside(far.pid, GUEST_SYSCTLS + WIRE_GUEST.format(
        mac=link["address"], gateway=guest.gateway["v4"],
        addr=f"{addr['local']}/{addr['prefixlen']}"))
    if guest.name.startswith("limit"):
        lab.inside(far.pid, "ip neigh replace 10.0.2.2 "
                   "lladdr 02:00:00:00:00:01 nud permanent dev eth0")
    wire = Proc([lab.impair, "-N", middle, "-d", down, "-u", up, tap, "vd0"],
                cpu=guest.load_cpu)
    guest.others.append(wire)
    guest.wire = wire
    wire.json(5, "wire")
    guest.pid, guest.interface, guest.patience = far.pid, "eth0", 0.3


def wait_address(lab, pid, interface, timeout=5):
    """Stacks set their interface up while their command runs already."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            link = json.loads(lab.inside(pid, f"ip -j addr show {interface}"))[0]
            if any(a["family"] == "inet" for a in link["addr_info"]):
                return link
        except Failed:
            pass
        time.sleep(0.05)
    raise Failed(f"{interface} got no IPv4 address")


STARTERS = {
    "slirpgate": start_slirpgate,
    "pasta": start_pasta,
    "slirp4netns": start_slirp4netns,
    "limit": start_limit,
    "limit-n": start_limit_n,
    "limit-u": start_limit_u,
    "veth": start_veth,
}
OURS = "slirpgate"
PEERS = ("pasta", "slirp4netns")
DEFAULT = ("slirpgate", "pasta", "slirp4netns", "limit", "veth")


def missing(name, options):
    """Why a stack cannot be measured here, or None."""
    if name == OURS and not os.access(options.slirpgate, os.X_OK):
        return f"{options.slirpgate} is not there"
    if name in PEERS and not shutil.which(name):
        return "not installed"
    return None


def start(lab, name, mtu, family, options, wire=None, pin=True):
    guest = Guest(lab, name)
    if not pin:
        guest.stack_cpu = guest.load_cpu = None
    guest.deadline = time.monotonic() + 8
    try:
        STARTERS[name](guest, mtu, options)
        if wire:
            insert_wire(guest, mtu, *wire)
        guest.wait_ready(family)
    except BaseException:
        guest.stop()
        raise
    return guest
