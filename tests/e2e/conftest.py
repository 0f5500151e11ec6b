"""The world of the end-to-end tests: this process in a network of its own ("the host"), the internet in another, slirpgate as SLIRPGATE says.

pytest itself moves into new namespaces, so that a plain subprocess runs on the host; the machine's own network is never seen. Root or an
ordinary user that may make user namespaces: both do.

    internet: server.py 203.0.113.1, .10, .11; 2001:db8:1::1, ::10, ::11 --veth-- host: 203.0.113.2, .50; 2001:db8:1::2, ::50
                        192.0.2.1                                        --veth--       192.0.2.2
    routes of the host: IPv4 everywhere; IPv6 only as far as 2001:db8:1::/64
"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from wire import *  # noqa: E402

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def leave_the_machine():
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    user = 0 if uid == 0 else CLONE_NEWUSER
    if libc.unshare(user | CLONE_NEWNS | CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "the end-to-end tests need namespaces: " + os.strerror(ctypes.get_errno()))
    if user:
        write("/proc/self/setgroups", "deny")
        write("/proc/self/uid_map", f"0 {uid} 1")
        write("/proc/self/gid_map", f"0 {gid} 1")
    if libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        raise OSError(ctypes.get_errno(), "mounts of our own")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes most of a minute or more; runs in `./dev check --full` and with -m slow")
    config.option.markexpr = config.option.markexpr or "not slow"
    if not os.access(os.environ.get("SLIRPGATE", ""), os.X_OK):
        raise pytest.UsageError("SLIRPGATE must name the program: SLIRPGATE=$PWD/build/slirpgate")
    if not config.option.collectonly:
        leave_the_machine()


def ip(script, *, net=None):
    """A batch of ip(8) commands, here or in the namespace of a process."""
    enter = ["nsenter", f"--net=/proc/{net}/ns/net", "--"] if net else []
    done = subprocess.run([*enter, "ip", "-batch", "-"], input=script, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session", autouse=True)
def internet():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    holder = subprocess.Popen(["unshare", "--net", "--", "sh", "-c", "echo there; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdout.readline()
    net = holder.pid
    ip(f"link set lo up\nlink add gw0 type veth peer name ext0 netns {net}\nlink add gw1 type veth peer name ext1 netns {net}\n")
    ip(f"link set lo up\naddress add {WEB4}/24 dev ext0\naddress add {WEB6}/64 dev ext0 nodad\naddress add 192.0.2.1/24 dev ext1\n"
       + "".join(f"address add {a}/24 dev ext0\n" for a in MORE4) + "".join(f"address add {a}/64 dev ext0 nodad\n" for a in MORE6)
       + "link set ext0 up\nlink set ext1 up\n", net=net)
    ip(f"address add {HOST4}/24 dev gw0\naddress add {OUT4}/24 dev gw0\naddress add {HOST6}/64 dev gw0 nodad\n"
       f"address add {OUT6}/64 dev gw0 nodad\naddress add {SECOND4}/24 dev gw1\nlink set gw0 up\nlink set gw1 up\n"
       f"route add default via {WEB4}\nroute add default via 192.0.2.1 dev gw1 metric 100\n"
       "route add unreachable 198.51.100.0/24\n")
    server = subprocess.Popen(["nsenter", f"--net=/proc/{net}/ns/net", "--", "/usr/bin/python3", os.path.join(HERE, "server.py")],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout.readline() == b"ready\n"
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    yield
    for process in (server, holder):
        process.stdin.close()
        process.wait(LIMIT)


class Guest:
    """A running `slirpgate run -- python3 -c PROGRAM ARGS`; everything of wire.py is in the program's reach."""

    def __init__(self, program, *args, opts=(), defaults=True, env=None, limit=None, command=None):
        self.argv = [os.environ["SLIRPGATE"], "run", *(["--dns", WEB4, "--stats=json", "--log-level", "error"] if defaults else []), *opts, "--",
                     *(command or ["/usr/bin/python3", "-c", "from wire import *\n" + program, *map(str, args)])]
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        start_new_session=True, env={**os.environ, "PYTHONPATH": HERE, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
                                        preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))) if limit else None)
        self.pid = self.process.pid  # of slirpgate
        self.out = self.err = ""
        self.stats = None

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            self.end()
            raise AssertionError("the guest's program ended early")
        return line.strip()

    def say(self, text=""):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def end(self, status=0, timeout=60):
        """Waits; the program must have ended with this status."""
        try:
            self.out, self.err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {timeout} s: {self.out}{self.err}") from None
        if status is not None:
            assert self.process.returncode == status, f"status {self.process.returncode}\n{self.out}{self.err}"
        last = self.err.strip().split("\n")[-1]
        if last.startswith("{"):
            self.stats = json.loads(last)
        return self.out.strip()

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
            self.out, self.err = self.process.communicate()


@pytest.fixture
def start():
    """start(PROGRAM, ARGS..., opts=[...]) -> Guest, ended with the test."""
    guests = []

    def make(program="", *args, **kw):
        guests.append(Guest(program, *args, **kw))
        return guests[-1]
    yield make
    for guest in guests:
        guest.kill()


@pytest.fixture
def guest(start):
    """guest(PROGRAM, ARGS..., opts=[...]) -> the Guest when its program has ended with 0."""
    def run(program, *args, timeout=60, status=0, **kw):
        g = start(program, *args, **kw)
        g.text = g.end(status, timeout)
        return g
    return run


@pytest.fixture
def shell():
    """shell(ARGV...) -> CompletedProcess, on the host."""
    def run(*argv, **kw):
        return subprocess.run(argv, text=True, capture_output=True, timeout=LIMIT, check=False, **kw)
    return run
