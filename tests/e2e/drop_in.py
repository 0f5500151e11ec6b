"""What the tests of other people's programs on our libslirp.so.0 share: a network namespace as the guest, a server on the host, and whose library
a process has.

Imported by test_slirp4netns.py and test_vde.py.
"""

import os
import socket
import subprocess
import threading
import time

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
LIBRARY = os.path.join(os.path.dirname(os.environ.get("SLIRPGATE", os.path.join(ROOT, "build", "slirpgate"))), "gateway", "doors")
DEADLINE = 30
ENV = {**os.environ, "LD_LIBRARY_PATH": LIBRARY}
BRIDGE = os.path.join(os.path.dirname(__file__), "tap_bridge.py")


def until(true, what):
    """Waits for what must come; the answer."""
    deadline = time.monotonic() + DEADLINE
    while not (answer := true()):
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
    return answer


def child(pid):
    """The pid of a process's only child, once there is one."""
    def one():
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return f.read().split()
    return int(until(one, f"{pid} has no child")[0])


def has_ours(pid):
    """The process's libslirp is the one we have built, and no other."""
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as f:
        files = {line.split(maxsplit=5)[-1].strip() for line in f if "libslirp.so" in line}
    return bool(files) and {os.path.realpath(name) for name in files} == {os.path.realpath(os.path.join(LIBRARY, "libslirp.so.0"))}


class Namespace:
    """A shell in user and network namespaces of its own."""

    def __init__(self):
        self.shell = subprocess.Popen(["unshare", "-r", "-n", "--kill-child", "sh", "-c", "echo ready; exec sh"], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        assert self.shell.stdout.readline() == "ready\n"
        self.pid = child(self.shell.pid)

    def run(self, command):
        """(exit status, output) of a command in the namespace."""
        self.shell.stdin.write(f"({command}) 2>&1; echo \"=end $?\"\n")
        self.shell.stdin.flush()
        lines = []
        for line in self.shell.stdout:
            if line.startswith("=end "):
                return int(line.split()[1]), "".join(lines)
            lines.append(line)
        raise AssertionError("the shell has gone: " + "".join(lines))

    def ok(self, command):
        status, text = self.run(command)
        assert status == 0, text
        return text

    def enter(self, *command):
        """The words that run a command here, for a process of the test's own."""
        return ["nsenter", "--preserve-credentials", "--user", "--net", "--target", str(self.pid), "--", *command]

    def wait_link(self, name):
        self.ok(f"for i in $(seq 300); do ip link show {name} >/dev/null 2>&1 && exit 0; sleep 0.1; done; exit 1")

    def configure(self, name):
        """As a lease would; duplicate address detection is not what we test."""
        self.wait_link(name)
        self.ok(f"ip link set lo up; ip link set {name} up; ip addr add 10.0.2.15/24 dev {name}; ip route add default via 10.0.2.2; "
                f"ip -6 addr add fd00::15/64 nodad dev {name}")

    def fetch(self, host, port, size):
        """Sends and gets `size` bytes at once: the server does not read before it has said all."""
        code = (f"import socket, threading; s = socket.create_connection((\"{host}\", {port}), {DEADLINE}); "
                f"threading.Thread(target=lambda: (s.sendall(b\"y\" * {size}), s.shutdown(1))).start(); n = 0\nwhile d := s.recv(1 << 16): n += len(d)\nprint(n)")
        assert self.ok(f"/usr/bin/python3 -c '{code}'") == f"{size}\n"

    def close(self):
        self.shell.stdin.close()
        self.shell.wait(timeout=DEADLINE)


class Bridged(Namespace):
    """A guest whose tap0 is a socket of frames, one to a packet."""

    def __init__(self, sock):
        super().__init__()
        self.bridge = subprocess.Popen(self.enter("/usr/bin/python3", BRIDGE, str(sock.fileno()), "tap0"), pass_fds=[sock.fileno()])
        self.configure("tap0")

    def close(self):
        self.bridge.kill()
        self.bridge.wait(timeout=DEADLINE)
        super().close()


class Server(threading.Thread):
    """Serves `size` bytes to each TCP client, after what the client sends is whole; counts what came."""

    def __init__(self, address, size=0):
        super().__init__(daemon=True)
        self.size, self.got, self.peers = size, [], []
        self.sock = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.port = self.sock.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                conn, peer = self.sock.accept()
            except OSError:
                return
            self.peers.append(peer)
            with conn:
                conn.sendall(b"x" * self.size)
                conn.shutdown(socket.SHUT_WR)
                total = 0
                while data := conn.recv(1 << 16):
                    total += len(data)
                self.got.append(total)

    def close(self):
        self.sock.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]
