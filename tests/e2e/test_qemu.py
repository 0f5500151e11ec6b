"""The unmodified qemu-system-x86_64 of the distribution on our libslirp.so.0: one guest for the whole file."""

import functools
import hashlib
import http.server
import os
import re
import socket
import subprocess
import threading
import time

import pytest

import qemu
from wire import CLOSED, HOST4, HOST6, OUT6, WEB4, WEB6, WHO

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


def until(done):
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(name="echo", scope="module")
def _echo():
    """A chardev of each QEMU connects to it: bytes come back at once."""
    sock = socket.create_server(("127.0.0.1", 0))

    def one(conn):
        with conn:
            while data := conn.recv(1 << 16):
                conn.sendall(data)

    def serve():
        while True:
            try:
                conn, _ = sock.accept()
            except OSError:
                return
            threading.Thread(target=one, args=[conn], daemon=True).start()
    threading.Thread(target=serve, daemon=True).start()
    yield sock.getsockname()[1]
    sock.close()


@pytest.fixture(name="resolver", scope="module", autouse=True)
def _resolver(tmp_path_factory):
    """The host's resolv.conf, in this mount namespace alone, names a server that is there; it has an IPv4 address only."""
    real, ours = os.path.realpath("/etc/resolv.conf"), tmp_path_factory.mktemp("etc") / "resolv.conf"
    ours.write_text(f"nameserver {WEB4}\n")
    subprocess.run(["mount", "--bind", str(ours), real], check=True)
    yield
    subprocess.run(["umount", real], check=True)


DHCP = "ip link set eth0 up; udhcpc -i eth0 -f -q -n -t 10 -T 1 -O search -O tftp -O bootfile -s /dhcp"


@pytest.fixture(name="files", scope="module")
def _files(tmp_path_factory):
    """What TFTP serves, and something beside it."""
    top = tmp_path_factory.mktemp("tftp")
    (top / "served" / "sub").mkdir(parents=True)
    (top / "served" / "sub" / "big").write_bytes(os.urandom(1_000_003))
    (top / "secret").write_text("secret")
    (top / "served" / "out").symlink_to("../secret")
    return top / "served"


@pytest.fixture(name="vm", scope="module")
def _vm(tmp_path_factory, echo, files):
    machine = qemu.Vm(tmp_path_factory.mktemp("qemu"), LIBRARY, f",hostname=box,domainname=lab.test,dnssearch=s1.test,dnssearch=s2.test,tftp={files},"
                      f"tftp-server-name=tsrv,bootfile=boot.ipxe,guestfwd=tcp:10.0.2.100:7-tcp:127.0.0.1:{echo},"
                      "guestfwd=tcp::9-cmd:cat,hostfwd=tcp:127.0.0.1:0-:22")
    machine.ok(DHCP)
    yield machine
    assert "slirp" not in machine.close().lower()


def test_dhcp(vm):
    env = dict(line.split("=", 1) for line in vm.ok("cat /tmp/dhcp").splitlines() if "=" in line)
    assert (env["ip"], env["mask"], env["router"], env["dns"], env["serverid"]) == ("10.0.2.15", "24", "10.0.2.2", "10.0.2.3", "10.0.2.2")
    assert (env["hostname"], env["domain"], env["lease"]) == ("box", "lab.test", "86400")
    assert (env["tftp"], env["bootfile"], env["boot_file"]) == ("tsrv", "boot.ipxe", "boot.ipxe")
    assert (env["search"], env["siaddr"]) == ("s1.test s2.test", "10.0.2.2")


def test_ping(vm):
    vm.ok("ping -c 2 -W 5 10.0.2.2; ping -c 1 -W 5 10.0.2.3")
    assert "52:55:0a:00:02:02" in vm.ok("ip neigh show 10.0.2.2")
    assert "3008 bytes" in vm.ok("ping -c 1 -s 3000 -W 5 10.0.2.2")  # in fragments: the MTU is 1500


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


def test_told_at_once(vm):
    """Where the host has no way or nobody listens, the guest hears it, and long before its own patience ends."""
    for where, port, word in [("198.51.100.1", 80, "unreachable|no route"), ("2001:db8:ffff::1", 80, "unreachable|no route"),
                              (WEB4, CLOSED, "refused"), (WEB6, CLOSED, "refused"), ("fec0::2", CLOSED, "refused")]:
        rc, text = vm.sh(f"nc -w 50 {where} {port} < /dev/null", 40)
        assert rc == 1 and re.search(word, text, re.I), (where, port, text)


def test_outside(vm):
    """The internet sees the host."""
    assert vm.ok(f"nc {WEB4} {WHO} < /dev/null").split()[0].removeprefix("::ffff:") == HOST4
    assert vm.ok(f"nc {WEB6} {WHO} < /dev/null").split()[0] in (HOST6, OUT6)


def test_http(vm, tmp_path):
    (tmp_path / "page").write_bytes(os.urandom(300_000))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        got = vm.ok(f"wget -q -O - http://10.0.2.2:{server.server_port}/page | sha256sum")
        assert got.split()[0] == hashlib.sha256((tmp_path / "page").read_bytes()).hexdigest()
        server.shutdown()


@pytest.mark.parametrize("server", ["10.0.2.2", "fec0::2"])
@pytest.mark.parametrize("blksize", [512, 1428, 16384])
def test_tftp(vm, files, server, blksize):
    """busybox reads a file, whatever it asks for; nothing outside of the directory."""
    got = vm.ok(f"cd /tmp; tftp -g -b {blksize} -r sub/big -l got {server} && sha256sum < got")
    assert got.split()[0] == hashlib.sha256((files / "sub" / "big").read_bytes()).hexdigest()
    for name, word in [("../secret", "violation"), ("out", "violation"), ("nothing", "not found"), ("sub", "violation")]:
        rc, text = vm.sh(f"cd /tmp; tftp -g -r {name} -l never {server}")
        assert rc == 1 and word in text, (name, text)


@pytest.mark.parametrize("server", ["10.0.2.3", "fec0::3"])
def test_dns(vm, server):
    """The guest may ask over either family, whatever that of the host's resolver."""
    text = vm.ok(f"nslookup www.e2e.test {server}")
    assert f"Address: {WEB4}\n" in text and f"Address: {WEB6}\n" in text
    assert "NXDOMAIN" in vm.sh(f"nslookup nowhere.e2e.test {server}")[1]


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


def test_guestfwd_command(vm):
    """Nobody said which address: the subnet's .4."""
    assert vm.ok("(echo through a command; sleep 1) | nc 10.0.2.4 9") == "through a command\n"


def test_hostfwd(vm):
    """The row of `info usernet` names the port, and the port leads to the guest."""
    port = int(re.search(r"TCP.HOST_FORWARD.*127\.0\.0\.1\s+(\d+)\s+10\.", vm.hmp("info usernet")).group(1))
    vm.ok("(nc -l -p 22 -e cat > /dev/null 2>&1 &); sleep 0.2")
    with socket.create_connection(("127.0.0.1", port), 60) as s:
        s.sendall(b"from outside")
        s.shutdown(socket.SHUT_WR)
        assert s.recv(100) == b"from outside"
    with pytest.raises(ConnectionResetError):  # nobody listens there any more
        with socket.create_connection(("127.0.0.1", port), 60) as s:
            s.recv(1)
            raise AssertionError("an end in order")


def test_hostfwd_monitor(vm):
    assert vm.hmp("hostfwd_add tcp:127.0.0.1:0-:80").strip() == ""
    ports = re.findall(r"TCP.HOST_FORWARD.*127\.0\.0\.1\s+(\d+)\s+10\.0\.2\.15\s+80", vm.hmp("info usernet"))
    assert len(ports) == 1
    assert "removed" in vm.hmp(f"hostfwd_remove tcp:127.0.0.1:{ports[0]}")
    assert "not found" in vm.hmp(f"hostfwd_remove tcp:127.0.0.1:{ports[0]}")


def test_info_usernet(vm):
    text = vm.hmp("info usernet")
    assert re.search(r"^  Protocol\[State\]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ$", text, re.M)


@pytest.mark.parametrize("card", ["virtio-net-pci", "e1000"])
def test_network_boot(tmp_path, card):
    """iPXE of the card's ROM: DHCP, its script by TFTP, 16 MB by TFTP, and a word over HTTP when it has them."""
    said = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            said.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
    (tmp_path / "big").write_bytes(os.urandom(16_000_000))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / "x.ipxe").write_text(f"#!ipxe\nimgfetch big\nimgfetch http://10.0.2.2:{server.server_port}/has-it\n")
        machine = subprocess.Popen(["qemu-system-x86_64", "-accel", "tcg", "-m", "256", "-display", "none", "-nodefaults", "-boot", "n",
                                    "-netdev", f"user,id=n0,tftp={tmp_path},bootfile=x.ipxe", "-device", f"{card},netdev=n0,bootindex=1"],
                                   env={**os.environ, "LD_LIBRARY_PATH": LIBRARY}, stdin=subprocess.DEVNULL)
        try:
            until(lambda: said or machine.poll() is not None)
        finally:
            machine.kill()
            machine.wait()
            server.shutdown()
    assert said == ["/has-it"]


DISTRIBUTION = "/usr/lib/x86_64-linux-gnu"


@pytest.mark.parametrize("here,there", [(LIBRARY, DISTRIBUTION), (DISTRIBUTION, LIBRARY)])
def test_state_changes_hands(tmp_path, here, there):
    """The state that one library saves, the other one loads."""
    state = tmp_path / "state"
    for name in ("out", "in"):
        (tmp_path / name).mkdir()
    one = qemu.Vm(tmp_path / "out", here, "", "-S", incoming=True)
    one.hmp(f'migrate "exec:cat > {state}"')
    until(lambda: "completed" in one.hmp("info migrate"))
    one.close()
    other = qemu.Vm(tmp_path / "in", there, "", "-S", "-incoming", f"exec:cat {state}", incoming=True)
    until(lambda: "inmigrate" not in other.hmp("info status"))
    assert "paused" in other.hmp("info status")
    assert "error" not in other.close().lower()


def test_running_guest_changes_hands(tmp_path):
    """A guest that was leased its address by the distribution's library goes on with ours: the same lease, the same gateway."""
    state = tmp_path / "state"
    for name in ("out", "in"):
        (tmp_path / name).mkdir()
    one = qemu.Vm(tmp_path / "out", DISTRIBUTION)
    one.ok(DHCP + "; ping -c 1 -W 5 10.0.2.2")
    one.hmp("stop")
    one.hmp(f'migrate "exec:cat > {state}"')
    until(lambda: "completed" in one.hmp("info migrate"))
    one.close()
    other = qemu.Vm(tmp_path / "in", LIBRARY, "", "-S", "-incoming", f"exec:cat {state}", incoming=True)
    until(lambda: "inmigrate" not in other.hmp("info status"))
    other.hmp("cont")
    other.ok("ping -c 1 -W 5 10.0.2.2")
    server = Server(lambda data: b"went on")
    assert other.ok(f"echo x | nc 10.0.2.2 {server.port}") == "went on"
    server.close()
    assert "lease of 10.0.2.15 obtained" in other.ok("udhcpc -i eth0 -f -q -n -t 10 -T 1 -s /bin/true 2>&1")
    other.close()


def test_restrict(tmp_path, echo):
    """No way out, to the host or to the name server; DHCP names no router; the gateway answers and what was forwarded is there."""
    server = Server(lambda data: b"no")
    machine = qemu.Vm(tmp_path, LIBRARY, f",restrict=on,guestfwd=tcp:10.0.2.100:7-tcp:127.0.0.1:{echo}")
    machine.sh(DHCP)
    env = dict(line.split("=", 1) for line in machine.ok("cat /tmp/dhcp").splitlines() if "=" in line)
    assert env["ip"] == "10.0.2.15" and "router" not in env and "dns" not in env
    machine.ok("ip route add default via 10.0.2.2; ping -c 1 -W 5 10.0.2.2")
    for where, port in [("10.0.2.2", server.port), (WEB4, WHO), ("10.0.2.3", 53), (WEB6, WHO)]:
        rc, text = machine.sh(f"nc -w 50 {where} {port} < /dev/null", 40)
        assert rc == 1 and re.search("refused|unreachable", text, re.I), (where, text)
    assert WEB4 not in machine.sh("nslookup www.e2e.test 10.0.2.3")[1].split("Name:")[-1]
    assert machine.ok("(echo still there; sleep 1) | nc 10.0.2.100 7") == "still there\n"
    server.close()
    machine.close()


def test_snapshot(tmp_path, echo):
    """savevm and loadvm in the middle of a connection to a chardev: the guest, back where it was, goes on talking over it."""
    disk = tmp_path / "disk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1G"], check=True)
    machine = qemu.Vm(tmp_path, LIBRARY, f",guestfwd=tcp:10.0.2.100:7-tcp:127.0.0.1:{echo}", "-drive", f"file={disk},if=none,id=d0,format=qcow2")
    machine.ok(DHCP)
    machine.ok("mkfifo /tmp/in; (nc 10.0.2.100 7 < /tmp/in > /tmp/back 2> /dev/null &); (sleep 1000 > /tmp/in &)")
    machine.ok("echo before > /tmp/in; until grep -q before /tmp/back; do sleep 0.1; done")
    assert machine.hmp("savevm here").strip() == ""
    machine.ok("echo after > /tmp/in; until grep -q after /tmp/back; do sleep 0.1; done")
    assert "ESTABLISHED" in machine.hmp("info usernet")
    assert machine.hmp("loadvm here").strip() == ""
    assert "ESTABLISHED" in machine.hmp("info usernet")
    machine.ok("! grep -q after /tmp/back; echo again > /tmp/in; until grep -q again /tmp/back; do sleep 0.1; done")
    assert machine.ok("cat /tmp/back") == "before\nagain\n"
    machine.ok("ping -c 1 -W 5 10.0.2.2; (echo another; sleep 1) | nc 10.0.2.100 7 | grep another")
    machine.close()
