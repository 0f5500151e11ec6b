"""The unmodified vde_plug and libslirp-helper of the distribution on our libslirp.so.0, each with a guest in namespaces of its own."""

import os
import signal
import socket
import subprocess
import threading

import pytest
from drop_in import DEADLINE, ENV, LIBRARY, Bridged, Namespace, Server, child, free_port, has_ours, until

SIZE = 20_000  # reachability and whole streams; a megabyte both ways through vde_plug stalls, which is not understood


class Vde:
    """vde_plug with its slirp on the host, joined by a wire of its own to one with a tap in the guest."""

    def __init__(self, folder, options=""):
        wire = f"ptp://{folder}/wire"
        alone = ["unshare", "--pid", "--fork", "--kill-child"]  # vde_plug's children go with it
        self.gateway = subprocess.Popen([*alone, "vde_plug", "slirp:///" + options, wire], env=ENV, stdin=subprocess.DEVNULL)
        self.guest = Namespace()
        self.plug = subprocess.Popen(self.guest.enter(*alone, "vde_plug", wire, "tap://tap0"), stdin=subprocess.DEVNULL)
        self.guest.wait_link("tap0")

    def process(self):
        return child(self.gateway.pid)

    def close(self):
        for process in self.plug, self.gateway:
            process.send_signal(signal.SIGKILL)  # unshare turns a deaf ear to less
            process.wait(timeout=DEADLINE)
        self.guest.close()


@pytest.fixture(name="vde")
def _vde(tmp_path):
    made = []

    def make(options=""):
        made.append(Vde(tmp_path, options))
        return made[-1]
    yield make
    for v in made:
        v.close()


class Helper:
    """libslirp-helper, which has its frames from a socket and needs no bus."""

    def __init__(self, *options):
        far, near = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.process = subprocess.Popen(["libslirp-helper", f"--fd={far.fileno()}", *options], pass_fds=[far.fileno()], env=ENV,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        far.close()
        self.guest = Bridged(near)
        near.close()

    def close(self):
        self.process.terminate()
        text = self.process.communicate(timeout=DEADLINE)[0]
        self.guest.close()
        assert self.process.returncode == -signal.SIGTERM, text


@pytest.fixture(name="helper")
def _helper():
    made = []

    def make(*options):
        made.append(Helper(*options))
        return made[-1]
    yield make
    for h in made:
        h.close()


def udp_echo(guest):
    """A datagram of the guest goes to the host and comes back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.settimeout(DEADLINE)

        def answer():
            data, peer = s.recvfrom(100)
            s.sendto(data.upper(), peer)
        threading.Thread(target=answer, daemon=True).start()
        code = (f"import socket; s = socket.socket(2, 2); s.settimeout({DEADLINE}); s.connect((\"10.0.2.2\", {s.getsockname()[1]})); "
                "s.send(b\"said\"); print(s.recv(100).decode())")
        assert guest.ok(f"/usr/bin/python3 -c '{code}'") == "SAID\n"


def lease(guest):
    text = guest.ok("ip link set lo up; ip link set tap0 up; busybox udhcpc -n -q -t 5 -T 2 -s /bin/true -i tap0")
    assert "lease of 10.0.2.15 obtained from 10.0.2.2" in text


def everything(guest, gateway6):
    """Pings, TCP both ways over both families, UDP."""
    server, server6 = Server("127.0.0.1", SIZE), Server("::1", SIZE)
    guest.ok("ping -c 2 -W 5 10.0.2.2; ping -c 1 -W 5 10.0.2.3")
    guest.fetch("10.0.2.2", server.port, SIZE)
    guest.ok(f"ping -6 -c 1 -W 5 {gateway6}")
    guest.fetch(gateway6, server6.port, SIZE)
    until(lambda: server.got and server6.got, "the host has not got it all")
    assert server.got == server6.got == [SIZE]
    udp_echo(guest)
    server.close()
    server6.close()


def test_vde(vde):
    v = vde()
    until(lambda: has_ours(v.process()), "another library")
    lease(v.guest)
    v.guest.configure("tap0")
    everything(v.guest, "fd00::2")


def test_vde_forwards(vde, tmp_path):
    """tcpfwd: from the host to the guest."""
    port = free_port()
    v = vde(f"tcpfwd=127.0.0.1:{port}:10.0.2.15:80")
    v.guest.configure("tap0")
    code = "import socket; s = socket.create_server((\"10.0.2.15\", 80)); c, p = s.accept(); c.sendall(p[0].encode() + c.recv(100)); c.close()"
    v.guest.ok(f"(/usr/bin/python3 -c '{code}' >{tmp_path}/out 2>&1 &); "
               "for i in $(seq 300); do ss -tln | grep -q 10.0.2.15:80 && exit 0; sleep 0.1; done; exit 1")
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as s:
        s.sendall(b" said")
        assert s.recv(100) == b"10.0.2.2 said"


def test_vde_no_loopback(vde):
    server = Server("127.0.0.1")
    v = vde("disable_host_loopback")
    v.guest.configure("tap0")
    status, text = v.guest.run(f"socat - TCP:10.0.2.2:{server.port} </dev/null")
    assert status == 1 and "Network is unreachable" in text
    assert not server.peers
    server.close()


def test_helper(helper):
    h = helper()
    assert has_ours(h.process.pid)
    lease(h.guest)
    h.guest.ok("ip -6 addr add fec0::15/64 nodad dev tap0")
    everything(h.guest, "fec0::2")


def test_helper_restrict(helper):
    """Nothing leads to the host, and the guest is told."""
    server = Server("127.0.0.1")
    h = helper("--restrict")
    h.guest.ok("ping -c 1 -W 5 10.0.2.2")
    status, text = h.guest.run(f"socat - TCP:10.0.2.2:{server.port} </dev/null")
    assert status == 1 and "Connection refused" in text
    assert not server.peers
    server.close()


def test_ours_is_told_apart():
    """A process on the distribution's library does not pass for one on ours."""
    far, near = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    env = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    with subprocess.Popen(["libslirp-helper", f"--fd={far.fileno()}"], pass_fds=[far.fileno()], env=env) as process:
        frame = b"\xff" * 6 + b"\x52\x54\0\x12\x34\x56" + bytes.fromhex("0806000108000604000152540012345600000000000000000000") + b"\x0a\0\x02\x02"
        near.send(frame)
        near.settimeout(DEADLINE)
        near.recv(2000)  # it runs
        assert os.path.isdir(LIBRARY) and not has_ours(process.pid)
        process.terminate()
    far.close()
    near.close()
