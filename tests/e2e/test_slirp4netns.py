"""The unmodified slirp4netns of the distribution on our libslirp.so.0, in namespaces of its own."""

import json
import os
import signal
import socket
import subprocess

import pytest
from drop_in import DEADLINE, ENV, LIBRARY, Bridged, Namespace, Server, free_port, has_ours, until


class Guest(Namespace):
    """A shell in a network namespace, and slirp4netns that serves it: `where` it goes by, the pid unless told."""

    def __init__(self, *options, configure=True, where=None):
        super().__init__()
        ready_r, ready_w = os.pipe()
        exit_r, self.exit_w = os.pipe()
        command = ["slirp4netns", "-r", str(ready_w), "-e", str(exit_r), *(["-c"] if configure else []), *options]
        self.door = subprocess.Popen([*command, *(where(self.pid) if where else [str(self.pid)]), "tap0"], pass_fds=[ready_w, exit_r],
                                     env={**os.environ, "LD_LIBRARY_PATH": LIBRARY}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        os.close(ready_w)
        os.close(exit_r)
        told = os.read(ready_r, 1)
        os.close(ready_r)
        assert told == b"1", self.door.communicate()[0]
        assert has_ours(self.door.pid)
        if configure:  # duplicate address detection is not what we test
            self.run("sysctl -qw net.ipv6.conf.tap0.accept_dad=0 2>/dev/null; true")

    def close(self):
        """What slirp4netns has said; nothing the second time."""
        if self.shell.returncode is not None:
            return ""
        if self.door.poll() is None:
            self.door.send_signal(signal.SIGTERM)
            text = self.door.communicate(timeout=DEADLINE)[0]
        else:
            text = ""
        os.close(self.exit_w)
        super().close()
        assert self.door.returncode in (-signal.SIGTERM, 0), text
        return text


@pytest.fixture(name="guest")
def _guest():
    made = []

    def make(*options, **more):
        made.append(Guest(*options, **more))
        return made[-1]
    yield make
    for g in made:
        g.close()


def test_version():
    text = subprocess.run(["slirp4netns", "-v"], env={**os.environ, "LD_LIBRARY_PATH": LIBRARY}, capture_output=True, text=True,
                          check=True).stdout
    assert "libslirp: 4.9." in text


def test_configure(guest):
    g = guest()
    assert "10.0.2.100/24" in g.ok("ip -4 addr show tap0")
    assert "default via 10.0.2.2" in g.ok("ip route")
    g.ok("ping -c 2 -W 5 10.0.2.2")
    g.ok("ping -c 1 -W 5 10.0.2.3")
    assert "52:55:0a:00:02:02" in g.ok("ip neigh")


@pytest.mark.parametrize("mtu", [68, 576, 1500, 65520, 65521])
def test_both_ways(guest, mtu):
    size = 20_000 if mtu == 68 else 3_000_000
    server = Server("127.0.0.1", size)
    g = guest(f"--mtu={mtu}")
    code = (f"import socket; s = socket.create_connection((\"10.0.2.2\", {server.port})); s.sendall(b\"y\" * {size}); "
            "s.shutdown(1); n = 0\nwhile d := s.recv(1 << 16): n += len(d)\nprint(n)")
    assert g.ok(f"/usr/bin/python3 -c '{code}'") == f"{size}\n"
    assert until(lambda: server.got, "the host has not got it all") == [size]
    server.close()


def test_refused(guest):
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    taken.close()
    status, text = guest().run(f"curl -sS -m {DEADLINE} http://10.0.2.2:{port}/")
    assert status == 7 and "refused" in text.lower() or "Couldn't connect" in text


def test_disable_host_loopback(guest):
    server = Server("127.0.0.1")
    g = guest("--disable-host-loopback")
    status, text = g.run("/usr/bin/python3 -c 'import socket; socket.create_connection((\"10.0.2.2\", %d))'" % server.port)
    assert status == 1 and "Network is unreachable" in text
    g.ok("ping -c 1 -W 5 10.0.2.2")
    server.close()


def test_disable_dns(guest):
    g = guest("--disable-dns")
    status, text = g.run("/usr/bin/python3 -c 'import socket; socket.create_connection((\"10.0.2.3\", 53), 3)'")
    assert status == 1 and "timed out" in text


@pytest.mark.parametrize("options", [["--enable-sandbox"], ["--enable-seccomp"], ["--enable-sandbox", "--enable-seccomp"]])
def test_confined(guest, options):
    server = Server("127.0.0.1", 100_000)
    g = guest(*options)
    code = (f"import socket; s = socket.create_connection((\"10.0.2.2\", {server.port})); s.shutdown(1); n = 0\n"
            "while d := s.recv(1 << 16): n += len(d)\nprint(n)")
    assert g.ok(f"/usr/bin/python3 -c '{code}'") == "100000\n"
    g.ok("ping -c 1 -W 5 10.0.2.2")
    server.close()


def test_cidr(guest):
    g = guest("--cidr=10.21.0.0/24")
    assert "10.21.0.100/24" in g.ok("ip -4 addr show tap0")
    g.ok("ping -c 1 -W 5 10.21.0.2")


def refused(*arguments):
    """What slirp4netns says when it does not start."""
    done = subprocess.run(["slirp4netns", *arguments], env=ENV, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 1
    return done.stdout + done.stderr


def test_cidr_places(guest):
    """Every address goes with the network: gateway, name server, leases; one that is a host's address is no network."""
    server = Server("127.0.0.1", 100_000)
    g = guest("--cidr=192.168.77.0/25")
    g.ok("ping -c 1 -W 5 192.168.77.2; ping -c 1 -W 5 192.168.77.3")
    assert "default via 192.168.77.2" in g.ok("ip route")
    assert "52:55:c0:a8:4d:02" in g.ok("ip neigh show 192.168.77.2")
    g.fetch("192.168.77.2", server.port, 100_000)
    assert "lease of 192.168.77.15 obtained from 192.168.77.2" in g.ok("busybox udhcpc -n -q -t 5 -T 2 -s /bin/true -i tap0")
    assert "needs to be a network address" in refused("--cidr=192.168.77.1/24", str(g.pid), "tap1")
    server.close()


def test_macaddress(guest):
    g = guest("--macaddress=52:54:00:00:00:77")
    assert "link/ether 52:54:00:00:00:77" in g.ok("ip link show tap0")
    g.ok("ping -c 1 -W 5 10.0.2.2")
    assert "--configure" in refused("--macaddress=52:54:00:00:00:78", str(g.pid), "tap1")


@pytest.mark.parametrize("options", [[], ["--enable-sandbox", "--enable-seccomp"]])
def test_by_path(guest, options):
    """As podman names a namespace: by the files of the network and of its owner."""
    server = Server("127.0.0.1", 100_000)
    g = guest("--netns-type=path", *options, where=lambda pid: [f"--userns-path=/proc/{pid}/ns/user", f"/proc/{pid}/ns/net"])
    g.ok("ping -c 1 -W 5 10.0.2.2")
    g.fetch("10.0.2.2", server.port, 100_000)
    assert "existing path expected" in refused("--netns-type=path", "/nowhere", "tap1")
    server.close()


def test_userns_by_pid(guest):
    g = guest(where=lambda pid: [f"--userns-path=/proc/{pid}/ns/user", str(pid)])
    g.ok("ping -c 1 -W 5 10.0.2.2")


def test_exit_fd(guest):
    """The descriptor's other end is closed: slirp4netns ends in order, with a connection open."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE)
        g = guest()
        g.ok("(socat -u TCP:10.0.2.2:%d - >/dev/null 2>&1 &)" % server.getsockname()[1])
        conn, _ = server.accept()
        os.dup2(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), g.exit_w)  # closed, and still ours to close
        text = g.door.communicate(timeout=DEADLINE)[0]
        assert g.door.returncode == 0, text
        conn.settimeout(DEADLINE)
        assert ended(conn)
        conn.close()


def ended(conn):
    """A host connection is over: in order or reset."""
    try:
        return conn.recv(1) == b""
    except ConnectionResetError:
        return True


def test_bess(tmp_path):
    """The target type for User Mode Linux: frames as packets of a unix socket; ours is in front of a tap."""
    server, path = Server("127.0.0.1", 1_000_000), str(tmp_path / "bess")
    door = subprocess.Popen(["slirp4netns", "--target-type=bess", path], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        until(lambda: os.path.exists(path), "no socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            until(lambda: sock.connect_ex(path) == 0, "nobody listens")
            g = Bridged(sock)
            assert has_ours(door.pid)
            g.ok("ping -c 1 -W 5 10.0.2.2")
            g.fetch("10.0.2.2", server.port, 1_000_000)
            g.close()
    finally:
        door.terminate()
        door.communicate(timeout=DEADLINE)
    server.close()


def test_dhcp(guest):
    """udhcpc takes the first lease: .15."""
    g = guest(configure=False)
    text = g.ok("ip link set lo up; ip link set tap0 up; busybox udhcpc -n -q -t 5 -T 2 -s /bin/true -i tap0")
    assert "lease of 10.0.2.15 obtained from 10.0.2.2" in text
    assert "86400" in text


def test_ipv6(guest):
    server = Server("::1", 100_000)
    g = guest("--enable-ipv6")
    code = (f"import socket; s = socket.create_connection((\"fd00::2\", {server.port})); s.shutdown(1); n = 0\n"
            "while d := s.recv(1 << 16): n += len(d)\nprint(n)")
    g.ok("for i in $(seq 100); do ip -6 addr show tap0 scope global -tentative | grep -q fd00: && exit 0; sleep 0.1; done; exit 1")
    assert g.ok(f"/usr/bin/python3 -c '{code}'") == "100000\n"
    g.ok("ping -6 -c 1 -W 5 fd00::2")
    server.close()


def test_outbound_addr(guest):
    server = Server("127.0.0.1")
    g = guest("--outbound-addr=127.0.0.5")
    g.ok("/usr/bin/python3 -c 'import socket; s = socket.create_connection((\"10.0.2.2\", %d)); s.shutdown(1); s.recv(1)'" % server.port)
    assert server.peers[0][0] == "127.0.0.5"
    server.close()


def api(path, execute, **arguments):
    """One request of slirp4netns's API socket."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(path)
    s.sendall(json.dumps({"execute": execute, "arguments": arguments}).encode())
    s.shutdown(socket.SHUT_WR)
    data = b""
    while more := s.recv(4096):
        data += more
    s.close()
    return json.loads(data)


CONNECT = "import socket; s = socket.socket(socket.%s, socket.%s); s.settimeout(20); s.connect((\"%s\", %d)); s.send(b\"x\"); s.recv(1)"


@pytest.mark.parametrize("value", ["/nowhere/rules", "/etc/passwd", ""])
def test_policy_closes(guest, value, monkeypatch):
    """SLIRPGATE_POLICY at all, and the guest reaches nobody, which it is told at once; the gateway is there, and one message says why."""
    server, server6 = Server("127.0.0.1", 1), Server("::1", 1)
    monkeypatch.setenv("SLIRPGATE_POLICY", value)
    g = guest("--enable-ipv6")
    g.ok("for i in $(seq 100); do ip -6 addr show tap0 scope global -tentative | grep -q fd00: && exit 0; sleep 0.1; done; exit 1")
    for family, kind, host, port, said in [("AF_INET", "SOCK_STREAM", "10.0.2.2", server.port, "Connection refused"),
                                           ("AF_INET", "SOCK_STREAM", "10.0.2.3", 53, "Connection refused"),
                                           ("AF_INET", "SOCK_STREAM", "192.0.2.9", 80, "Connection refused"),
                                           ("AF_INET6", "SOCK_STREAM", "fd00::2", server6.port, "Connection refused"),
                                           ("AF_INET", "SOCK_DGRAM", "10.0.2.2", 9, "No route to host"),
                                           ("AF_INET", "SOCK_DGRAM", "192.0.2.9", 9, "No route to host"),
                                           ("AF_INET6", "SOCK_DGRAM", "fd00::2", 9, "Permission denied")]:
        status, text = g.run(f"/usr/bin/python3 -c '{CONNECT % (family, kind, host, port)}'")
        assert (status, said in text) == (1, True), (host, kind, text)
    assert not server.peers and not server6.peers
    status, text = g.run("ping -c 1 -W 20 192.0.2.9")
    assert status == 1 and "Packet filtered" in text
    status, text = g.run("dig +tries=1 +time=20 @10.0.2.3 localhost")
    assert status == 9 and "host unreachable" in text
    g.ok("ping -c 1 -W 5 10.0.2.2; ping -6 -c 1 -W 5 fd00::2")
    server.close()
    server6.close()
    lines = [line for line in g.close().splitlines() if "SLIRPGATE_POLICY" in line]
    assert len(lines) == 1 and f"'{value}'" in lines[0] and "neither the host nor anything beyond" in lines[0]


def test_policy_forwards(guest, tmp_path, monkeypatch):
    """What the program itself forwards still comes in."""
    monkeypatch.setenv("SLIRPGATE_POLICY", "/nowhere/rules")
    path, port = str(tmp_path / "api"), free_port()
    g = guest("--api-socket=" + path)
    g.ok("(/usr/bin/python3 -c 'import socket; s = socket.create_server((\"10.0.2.100\", 80)); c, p = s.accept(); c.sendall(c.recv(100)); "
         "c.close()' >/dev/null 2>&1 &); for i in $(seq 300); do ss -tln | grep -q 10.0.2.100:80 && exit 0; sleep 0.1; done; exit 1")
    api(path, "add_hostfwd", proto="tcp", host_addr="127.0.0.1", host_port=port, guest_addr="10.0.2.100", guest_port=80)
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as s:
        s.sendall(b"said")
        assert s.recv(100) == b"said"


def test_api_hostfwd(guest, tmp_path):
    """A forward is added, used, listed and removed; the guest sees clients of loopback as the gateway."""
    path, port = str(tmp_path / "api"), free_port()
    g = guest("--api-socket=" + path)
    g.ok("(/usr/bin/python3 -c 'import socket; s = socket.create_server((\"10.0.2.100\", 80)); print(\"up\", flush=True); c, p = s.accept(); "
         "c.sendall(p[0].encode() + c.recv(100)); c.close()' > /tmp/s4n.$$.out & echo $! > " + str(tmp_path / "pid") + "); "
         "for i in $(seq 300); do ss -tln | grep -q 10.0.2.100:80 && exit 0; sleep 0.1; done; exit 1")
    answer = api(path, "add_hostfwd", proto="tcp", host_addr="127.0.0.1", host_port=port, guest_addr="10.0.2.100", guest_port=80)
    assert answer == {"return": {"id": 1}}
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as s:
        s.sendall(b" said")
        assert s.recv(100) == b"10.0.2.2 said"
        assert s.recv(1) == b""
    assert api(path, "list_hostfwd")["entries"][0]["host_port"] == port
    with pytest.raises(ConnectionResetError):  # nobody listens in the guest any more: the client is told
        with socket.create_connection(("127.0.0.1", port), DEADLINE) as s:
            s.recv(1)
            raise AssertionError("an end in order")
    assert "error" in api(path, "add_hostfwd", proto="tcp", host_addr="127.0.0.1", host_port=port, guest_addr="10.0.2.100", guest_port=80)
    assert api(path, "remove_hostfwd", id=1) == {"return": {}}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), DEADLINE)


def test_many_clients(guest, tmp_path):
    """Clients that come at once are all taken in: a real backlog, several per turn."""
    path, port, n = str(tmp_path / "api"), free_port(), 50
    g = guest("--api-socket=" + path)
    code = ("import socket; s = socket.create_server((\"10.0.2.100\", 80), backlog=200)\n"
            f"for i in range({n}):\n c, p = s.accept(); c.sendall(c.recv(100)); c.close()\n")
    script = tmp_path / "server.py"
    script.write_text(code)
    g.ok(f"(/usr/bin/python3 {script} &); for i in $(seq 300); do ss -tln | grep -q 10.0.2.100:80 && exit 0; sleep 0.1; done; exit 1")
    api(path, "add_hostfwd", proto="tcp", host_addr="0.0.0.0", host_port=port, guest_addr="10.0.2.100", guest_port=80)
    clients = [socket.create_connection(("127.0.0.1", port), DEADLINE) for _ in range(n)]
    for i, c in enumerate(clients):
        c.sendall(b"%d" % i)
    for i, c in enumerate(clients):
        assert c.recv(100) == b"%d" % i
        c.close()


def test_udp_hostfwd(guest, tmp_path):
    """Datagrams of clients reach the guest, each answer the client that asked."""
    path, port = str(tmp_path / "api"), free_port()
    g = guest("--api-socket=" + path)
    script = tmp_path / "server.py"
    script.write_text("import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((\"10.0.2.100\", 53))\n"
                      "for i in range(4):\n d, p = s.recvfrom(100); s.sendto(p[0].encode() + b\" \" + d, p)\n")
    g.ok(f"(/usr/bin/python3 {script} &); for i in $(seq 300); do ss -uln | grep -q 10.0.2.100:53 && exit 0; sleep 0.1; done; exit 1")
    api(path, "add_hostfwd", proto="udp", host_addr="127.0.0.1", host_port=port, guest_addr="10.0.2.100", guest_port=53)
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for turn in range(2):
        for i, c in enumerate(clients):
            c.settimeout(DEADLINE)
            c.sendto(b"%d %d" % (turn, i), ("127.0.0.1", port))
        for i, c in enumerate(clients):
            assert c.recv(100) == b"10.0.2.2 %d %d" % (turn, i)
    for c in clients:
        c.close()
    assert api(path, "remove_hostfwd", id=1) == {"return": {}}


def test_wrap():
    """`slirpgate wrap` puts our library in front of what is there, and says what is missing."""
    program = os.environ["SLIRPGATE"]

    def wrap(*args, **env):
        return subprocess.run([program, "wrap", *args], env={**os.environ, **env}, capture_output=True, text=True, check=False)
    assert "libslirp: 4.9.5-slirpgate" in wrap("--library", LIBRARY, "--", "slirp4netns", "-v").stdout
    assert wrap("--library", LIBRARY, "sh", "-c", "echo $LD_LIBRARY_PATH; exit 7", LD_LIBRARY_PATH="/a:/b").stdout == f"{LIBRARY}:/a:/b\n"
    assert "libslirp: 4.9.5-slirpgate" in wrap("--", "slirp4netns", "--version").stdout  # we run where we were built
    assert wrap("--library", LIBRARY, "sh", "-c", "exit 7").returncode == 7
    assert wrap("--library", "/nowhere", "true").returncode == 125
    assert wrap("--library", LIBRARY, "/nowhere/there").returncode == 127
    assert wrap("--library", LIBRARY, "/etc").returncode == 126
    assert wrap("--library", LIBRARY).returncode == 2
    assert wrap("--nonsense").returncode == 2
