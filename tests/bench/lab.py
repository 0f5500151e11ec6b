# SPDX-License-Identifier: BSD-3-Clause
"""The laboratory: namespaces, processes and their accounts.

Everything the bench starts lives in user, network, mount and process
namespaces of its own; the bench is their process 1, so that its end is the end
of all of them.  This file knows nothing of gateways (stacks.py) or of rows
(bench.py).
"""

import ctypes
import json
import os
import resource
import select
import signal
import statistics
import subprocess
import tempfile
import time

UNSHARE = ["unshare", "--user", "--map-user=1000", "--map-group=1000",
           "--keep-caps", "--net", "--mount", "--pid", "--fork",
           "--kill-child", "--mount-proc"]

HOST_SETUP = """
ip link set lo up
ip link add up0 type veth peer name up1
ip link set up0 up
ip link set up1 up
ip addr add 192.0.2.2/24 dev up0
ip route add default via 192.0.2.1
ip -6 addr add 2001:db8::2/64 dev up0 nodad
ip -6 route add default via 2001:db8::1
"""

# A namespace may not choose every congestion control as its default, but a
# route may: this reaches the sockets of the stacks too.
HOST_CC = """
ip route replace local 127.0.0.0/8 dev lo table local congctl {cc}
ip route del local 127.0.0.1 dev lo table local
ip route add local 127.0.0.1 dev lo table local src 127.0.0.1 congctl {cc}
ip -6 route del local ::1 dev lo table local
ip -6 route add local ::1 dev lo table local metric 1 congctl {cc}
"""

# Buffer limits are those of a plain kernel, whatever this machine is tuned to.
SYSCTLS = """
echo 4096 131072 6291456 > /proc/sys/net/ipv4/tcp_rmem
echo 4096 16384 4194304 > /proc/sys/net/ipv4/tcp_wmem
echo 10000 65000 > /proc/sys/net/ipv4/ip_local_port_range
echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse
"""

NAME_SERVER = "192.0.2.2"
PORTS = 8               # of each traffic server
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A stack, or a trial on it, did not do what it should."""


class Proc:
    """A process of ours, talked to by lines of JSON."""

    def __init__(self, argv, cpu=None, unprivileged=False, pipes=True):
        self.err = tempfile.TemporaryFile()
        self.unread = b""
        self.name = os.path.basename(argv[0])

        def prepare():
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})
            if unprivileged:
                libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)

        self.p = subprocess.Popen(
            [str(a) for a in argv], preexec_fn=prepare, stderr=self.err,
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else subprocess.DEVNULL)
        self.pid = self.p.pid

    def last_words(self):
        self.err.seek(0)
        lines = self.err.read().decode(errors="replace").splitlines()
        lines = [l for l in lines if l.strip() and "to syslog" not in l]
        return lines[-1].strip() if lines else ""

    def alive(self):
        return self.p.poll() is None

    def line(self, timeout):
        """The next line of its output, None if it does not come in time."""
        end = time.monotonic() + timeout
        fd = self.p.stdout.fileno()
        while b"\n" not in self.unread:
            left = end - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                return None
            data = os.read(fd, 65536)
            if not data:
                return None
            self.unread += data
        text, self.unread = self.unread.split(b"\n", 1)
        return text.decode()

    def json(self, timeout, what):
        text = self.line(timeout)
        if text is None:
            why = self.last_words() or \
                ("no answer" if self.alive() else "it ended")
            raise Failed(f"{what}: {why}")
        return json.loads(text)

    def mark(self):
        """The counters of a traffic process, now."""
        try:
            self.p.stdin.write(b"mark\n")
            self.p.stdin.flush()
        except OSError:
            pass
        return self.json(5, "mark")

    def finish(self, timeout):
        """Close its stdin and give it time to end by itself."""
        try:
            self.p.stdin.close()
        except OSError:
            pass
        try:
            self.p.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        self.stop()

    def stop(self):
        if self.alive():
            self.p.send_signal(signal.SIGTERM)
            try:
                self.p.wait(1)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
        for f in (self.p.stdin, self.p.stdout, self.err):
            try:
                if f:
                    f.close()
            except OSError:
                pass


class Lab:
    """The host side, and the tools to reach into guests."""

    def __init__(self, build, cc):
        self.traffic = find_program(build, "bench-traffic")
        self.limit = find_program(build, "bench-limit")
        self.library = find_program(build, "bench-library")
        self.build = build
        self.impair = find_program(build, "impair")
        self.port = 5300
        self.token = 0
        sh(HOST_SETUP)
        sh(SYSCTLS)
        self.resolv = self.set_resolv()
        self.cc = cc
        try:
            sh(HOST_CC.format(cc=cc))
        except Failed as e:
            with open("/proc/sys/net/ipv4/tcp_congestion_control") as f:
                self.cc = f.read().strip()
            print(f"note: {cc} is not to be had ({e}), using {self.cc}")

    @staticmethod
    def set_resolv():
        """The stacks are to ask the lab's name server; this mount is seen in
        our namespaces only."""
        f = tempfile.NamedTemporaryFile("w", suffix=".conf")
        f.write(f"nameserver {NAME_SERVER}\n")
        f.flush()
        os.chmod(f.name, 0o644)
        sh(f"mount --bind {f.name} $(readlink -f /etc/resolv.conf)")
        return f

    def new_token(self):
        self.token += 1
        return f"guest-{self.token}"

    def new_port(self):
        self.port = 5300 + (self.port - 5300 + PORTS) % 4000
        return self.port

    def server(self, cpu):
        """A traffic server on the host side, and its port."""
        port = self.new_port()
        p = Proc([self.traffic, "-C", self.cc, "-p", port, "-k", PORTS,
                  "server"], cpu=cpu)
        p.json(5, "server")
        return p, port

    def host_side(self, *arguments, cpu):
        """Another mode of bench-traffic on the host side."""
        p = Proc([self.traffic, *arguments], cpu=cpu)
        p.json(5, arguments[-1])
        return p

    def guest_side(self, guest, *arguments, cpu):
        return Proc([self.traffic, "-N", guest.pid, *arguments], cpu=cpu)

    def client(self, guest, cpu, port, family, mode, count, seconds=0,
               warmup=0):
        return Proc([self.traffic, "-N", guest.pid, "-C", self.cc,
                     "-h", guest.gateway[family], "-p", port, "-k", PORTS,
                     "-n", count,
                     "-t", int(seconds * 1000), "-w", int(warmup * 1000), mode],
                    cpu=cpu)

    def inside(self, pid, script):
        """Run a shell script in the namespaces of pid."""
        return sh(script, [self.traffic, "-N", pid, "exec"])

    def hold(self, *options):
        """A process that keeps new namespaces; with -U, root is mapped."""
        p = Proc([self.traffic, *options, "hold", self.new_token()])
        p.json(5, "hold")
        if "-U" in options:
            put(f"/proc/{p.pid}/uid_map", "0 1000 1")
            put(f"/proc/{p.pid}/setgroups", "deny")
            put(f"/proc/{p.pid}/gid_map", "0 1000 1")
        return p


def find_program(build, name):
    for path in (f"{build}/tests/bench/{name}", f"{build}/tests/{name}/{name}",
                 f"{build}/{name}"):
        if os.path.exists(path):
            return path
    raise SystemExit(f"bench: {name} is not in {build}: build first")


def put(path, text):
    with open(path, "w") as f:
        f.write(text)


def sh(script, prefix=()):
    r = subprocess.run([*map(str, prefix), "/bin/sh", "-e", "-c", script],
                       capture_output=True, text=True, timeout=20)
    if r.returncode:
        words = (r.stderr or r.stdout).strip().splitlines()
        raise Failed(words[-1] if words else f"status {r.returncode}")
    return r.stdout


def machine_speed():
    """Loops per microsecond of the slower of the two CPUs used, right now.
    On a shared machine this may halve from one minute to the next.  The median
    of short samples: being preempted once is not being slow."""
    home = os.sched_getaffinity(0)
    speeds = []
    for cpu in sorted(home)[:2]:
        os.sched_setaffinity(0, {cpu})
        samples = []
        for _ in range(9):
            start = time.perf_counter()
            for _ in range(20000):
                pass
            samples.append(0.02 / (time.perf_counter() - start))
        speeds.append(statistics.median(samples))
    os.sched_setaffinity(0, home)
    return min(speeds)


# ---- what /proc says ----

def read(path):
    try:
        with open(path, "rb") as f:
            return f.read().decode(errors="replace")
    except OSError:
        return ""


def find_holder(token, timeout=5):
    """The pid of the process a stack runs for us as its guest."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            argv = read(f"/proc/{pid}/cmdline").split("\0")
            if argv[0].endswith("/bench-traffic") and token in argv:
                return int(pid)
        time.sleep(0.02)
    return None


def family_of(pid):
    """A process and its descendants, without the bench's own programs."""
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        if read(f"/proc/{p}/cmdline").split("\0")[0].endswith("/bench-traffic"):
            continue
        found.append(p)
        for task in listdir(f"/proc/{p}/task"):
            kids = read(f"/proc/{p}/task/{task}/children").split()
            todo += [int(k) for k in kids]
    return found


def listdir(path):
    try:
        return os.listdir(path)
    except OSError:
        return []


TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids):
    """User and system time.  schedstat is the same sum in nanoseconds; where
    the kernel lacks it, the ticks of stat have to do."""
    total = 0.0
    for pid in pids:
        fine = 0
        for task in listdir(f"/proc/{pid}/task"):
            text = read(f"/proc/{pid}/task/{task}/schedstat").split()
            fine += int(text[0]) if text else 0
        if fine:
            total += fine / 1e9
            continue
        stat = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        if stat:
            total += (int(stat[11]) + int(stat[12])) / TICK
    return total


def status_sum(pids, field):
    """The sum of a field of /proc/PID/status, or of all its threads."""
    total = 0
    for pid in pids:
        paths = [f"/proc/{pid}/status"]
        if "ctxt" in field:
            paths = [f"/proc/{pid}/task/{t}/status"
                     for t in listdir(f"/proc/{pid}/task")]
        for path in paths:
            for line in read(path).splitlines():
                if line.startswith(field + ":"):
                    total += int(line.split()[1])
    return total


def descriptors(pids):
    return sum(len(listdir(f"/proc/{pid}/fd")) for pid in pids)
