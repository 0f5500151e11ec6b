# SPDX-License-Identifier: BSD-3-Clause
"""The stacks under test: how each is started and where its guest is.

A started stack is a Guest: namespaces to run clients in, the addresses that
lead to the host's loopback, and the processes whose CPU time counts.
"""

import os
import shutil
import time

from lab import Failed, Proc, cpu_seconds, family_of, find_holder, sh

STACK_CPU = 0

GUEST_SYSCTLS = """
ip link set lo up
echo 10000 65000 > /proc/sys/net/ipv4/ip_local_port_range
echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse
"""

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
        self.pid = None         # a process in the guest's namespaces
        self.gateway = dict(SLIRP_GATEWAY)
        self.interface = "tap0"
        self.stack = None       # Proc of the stack, None for veth
        self.others = []        # further processes to end
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
                client = self.lab.client(self, 1, port, family, "rr", 1, 0.02)
                client.line(1)
                answer = client.line(1)
                client.stop()
                if answer and '"transactions":0,' not in answer:
                    return
                time.sleep(0.05)
        finally:
            server.stop()
        raise Failed(self.words() or f"no answer from the gateway ({family})")

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
    guest.stack = Proc(argv + [lab.traffic, "hold", token], cpu=STACK_CPU,
                       unprivileged=True)
    while guest.pid is None:
        guest.pid = find_holder(token, 0.2)
        guest.check()
        if guest.pid is None and time.monotonic() > guest.deadline:
            raise Failed(guest.words() or "the command was never started")
    lab.inside(guest.pid, GUEST_SYSCTLS)


def start_slirpgate(guest, mtu, options):
    argv = [options.slirpgate, "run", "--mtu", mtu, "--host-loopback",
            *options.slirpgate_args.split(), "--"]
    run_in_guest(guest, argv)


def start_pasta(guest, mtu, options):
    argv = ["pasta", "-f", "--config-net", "-t", "none", "-u", "none",
            "-T", "none", "-U", "none", "-m", mtu, "--"]
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
        cpu=STACK_CPU, unprivileged=True)


def start_limit(guest, mtu, options, extra=()):
    holder = guest.lab.hold("-u")
    guest.others.append(holder)
    guest.pid = holder.pid
    guest.lab.inside(guest.pid, GUEST_SYSCTLS)
    guest.stack = Proc([guest.lab.limit, "-N", guest.pid, "-m", mtu, *extra],
                       cpu=STACK_CPU)
    if guest.stack.line(5) is None:
        raise Failed(guest.words() or "it did not start")
    guest.lab.inside(guest.pid, TAP_SETUP.format(mtu=mtu))


def start_limit_n(guest, mtu, options):
    start_limit(guest, mtu, options, ("-n",))


def start_veth(guest, mtu, options):
    holder = guest.lab.hold("-u")
    guest.others.append(holder)
    guest.pid = holder.pid
    guest.lab.inside(guest.pid, GUEST_SYSCTLS)
    guest.link = f"bv{guest.pid}"
    sh(VETH_SETUP.format(us=guest.link, mtu=mtu, pid=guest.pid))
    guest.lab.inside(guest.pid, VETH_GUEST)


STARTERS = {
    "slirpgate": start_slirpgate,
    "pasta": start_pasta,
    "slirp4netns": start_slirp4netns,
    "limit": start_limit,
    "limit-n": start_limit_n,
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


def start(lab, name, mtu, family, options, delay_us=None):
    guest = Guest(lab, name)
    guest.deadline = time.monotonic() + 8
    try:
        STARTERS[name](guest, mtu, options)
        guest.wait_ready(family)
    except BaseException:
        guest.stop()
        raise
    return guest
