"""The unmodified qemu-system-x86_64 of the distribution on our libslirp.so.0: one guest for the whole file."""

import hashlib
import os
import re
import socket
import threading

import pytest

import qemu

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
LIBRARY = os.path.join(os.path.dirname(os.environ.get("SLIRPGATE", os.path.join(ROOT, "build", "slirpgate"))), "gateway", "doors")


class Server(threading.Thread):
    """Answers each client on the host's loopback with `answer(bytes that came until its FIN)`."""

    def __init__(self, answer, address="127.0.0.1"):
        super().__init__(daemon=True)
        self.answer = answer
        self.sock = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.port = self.sock.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            with conn:
                data = b""
                while more := conn.recv(1 << 16):
                    data += more
                conn.sendall(self.answer(data))

    def close(self):
        self.sock.close()


@pytest.fixture(name="echo", scope="module")
def _echo():
    """A chardev of QEMU connects to it: bytes come back at once."""
    sock = socket.create_server(("127.0.0.1", 0))

    def serve():
        try:
            conn, _ = sock.accept()
            while data := conn.recv(1 << 16):
                conn.sendall(data)
        except OSError:
            return
    threading.Thread(target=serve, daemon=True).start()
    yield sock.getsockname()[1]
    sock.close()


@pytest.fixture(name="vm", scope="module")
def _vm(tmp_path_factory, echo):
    machine = qemu.Vm(tmp_path_factory.mktemp("qemu"), LIBRARY, f",hostname=box,domainname=lab.test,guestfwd=tcp:10.0.2.100:7-tcp:127.0.0.1:{echo}")
    machine.ok("ip link set eth0 up; udhcpc -i eth0 -f -q -n -t 10 -T 1 -O search -O tftp -O bootfile -s /dhcp")
    yield machine
    assert "slirp" not in machine.close().lower()


def test_dhcp(vm):
    env = dict(line.split("=", 1) for line in vm.ok("cat /tmp/dhcp").splitlines() if "=" in line)
    assert (env["ip"], env["mask"], env["router"], env["dns"], env["serverid"]) == ("10.0.2.15", "24", "10.0.2.2", "10.0.2.3", "10.0.2.2")
    assert (env["hostname"], env["domain"], env["lease"]) == ("box", "lab.test", "86400")


def test_ping(vm):
    vm.ok("ping -c 2 -W 5 10.0.2.2; ping -c 1 -W 5 10.0.2.3")
    assert "52:55:0a:00:02:02" in vm.ok("ip neigh show 10.0.2.2")


def test_download(vm):
    blob = os.urandom(1 << 20)
    server = Server(lambda data: blob)
    got = vm.ok(f"echo x | nc 10.0.2.2 {server.port} | sha256sum")
    assert got.split()[0] == hashlib.sha256(blob).hexdigest()
    server.close()


def test_upload(vm):
    server = Server(lambda data: hashlib.sha256(data).hexdigest().encode())
    got = vm.ok(f"head -c 1000000 /dev/urandom > /tmp/up; sha256sum /tmp/up; nc 10.0.2.2 {server.port} < /tmp/up")
    assert got.split()[0] == got.splitlines()[1]
    server.close()


def test_refused(vm):
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    taken.close()
    rc, text = vm.sh(f"nc -w 20 10.0.2.2 {port} < /dev/null")
    assert rc == 1 and "refused" in text.lower()


def test_guestfwd_chardev(vm):
    assert vm.ok("(echo to and fro; sleep 1) | nc 10.0.2.100 7") == "to and fro\n"


def test_ipv6(vm):
    """The router's advertisement gives an address; the host's loopback is behind the gateway's."""
    vm.ok("for i in $(seq 100); do ip -6 addr show eth0 | grep inet6 | grep -qv fe80 && exit 0; sleep 0.1; done; ip -6 addr; exit 1")
    assert "default via fe80::2 dev eth0" in vm.ok("ip -6 route")
    vm.ok("ping -c 1 -W 5 fec0::2")
    server = Server(lambda data: b"six", "::1")
    assert vm.ok(f"echo x | nc fec0::2 {server.port}") == "six"
    server.close()


def test_info_usernet(vm):
    text = vm.hmp("info usernet")
    assert re.search(r"^  Protocol\[State\]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ$", text, re.M)
