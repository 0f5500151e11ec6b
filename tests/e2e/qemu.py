"""A Linux guest under QEMU's own emulation, on our libslirp.so.0: kernel of the distribution, busybox, and an agent that runs commands.

A wrong LD_LIBRARY_PATH would quietly mean another library: the mapped path is compared.
"""

import atexit
import base64
import glob
import os
import socket
import subprocess
import time

MODULES = ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "failover", "net_failover", "virtio_net"]
BOOT_DEADLINE = 120
COMMAND_DEADLINE = 60

INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /etc /run
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
for m in %s; do insmod /m/$m.ko; done
ip link set lo up
echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad
echo 0 > /proc/sys/net/ipv6/conf/eth0/router_solicitation_delay
stty raw -echo < /dev/ttyS1
exec 3<> /dev/ttyS1
echo "@READY" >&3
while read -r id script <&3; do
	echo "$script" | base64 -d > /tmp/script
	sh /tmp/script > /tmp/out 2>&1 < /dev/null
	echo "@R $id $? $(base64 -w0 /tmp/out)" >&3
done
poweroff -f
"""

DHCP = """#!/bin/sh
[ "$1" = bound ] || exit 0
env > /tmp/dhcp
ip addr add $ip/$mask dev $interface
ip route add default via $router
mkdir -p /etc
for d in $dns; do echo nameserver $d; done > /etc/resolv.conf
"""


def cpio(files):
    """A newc archive of {path: (mode, bytes)}."""
    out = bytearray()
    for ino, (path, (mode, data)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))], 1):
        name = path.encode() + b"\0"
        fields = [ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
        out += b"070701" + b"".join(b"%08X" % f for f in fields) + name
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def kernel():
    """(image, directory of its modules) of the newest cloud kernel."""
    images = sorted(glob.glob("/boot/vmlinuz-*-cloud-*"))
    assert images, "the package linux-image-cloud-amd64 is missing"
    return images[-1], "/lib/modules/" + os.path.basename(images[-1])[len("vmlinuz-"):]


def initrd(path):
    image, modules = kernel()
    files = {"bin": (0o40755, b""), "m": (0o40755, b""), "init": (0o100755, (INIT % " ".join(MODULES)).encode()),
             "dhcp": (0o100755, DHCP.encode())}
    with open("/bin/busybox", "rb") as f:
        files["bin/busybox"] = (0o100755, f.read())
    for name in MODULES:
        found = glob.glob(f"{modules}/kernel/**/{name}.ko", recursive=True)
        assert found, name
        with open(found[0], "rb") as f:
            files[f"m/{name}.ko"] = (0o100644, f.read())
    with open(path, "wb") as f:
        f.write(cpio(files))
    return image


class Vm:
    """One running guest; `netdev`: what stands behind "user,id=n0"."""

    def __init__(self, directory, library, netdev="", *more, incoming=False):
        self.dir, self.n = str(directory), 0
        image = initrd(f"{self.dir}/initrd")
        serials = [x for name in ("console", "agent")
                   for x in ("-chardev", f"socket,id={name},path={self.dir}/{name},server=on,wait=off", "-serial", f"chardev:{name}")]
        command = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256", "-display", "none", "-no-reboot", "-nodefaults",
                   *serials, "-monitor", f"unix:{self.dir}/hmp,server=on,wait=off",
                   "-kernel", image, "-initrd", f"{self.dir}/initrd", "-append", "console=ttyS0 quiet panic=-1",
                   "-netdev", "user,id=n0" + netdev, "-device", "virtio-net-pci,netdev=n0,romfile=,mac=52:54:00:12:34:56", *more]
        self.log = open(f"{self.dir}/qemu.log", "w+b")
        self.qemu = subprocess.Popen(command, env={**os.environ, "LD_LIBRARY_PATH": library}, stdin=subprocess.DEVNULL, stdout=self.log,
                                     stderr=subprocess.STDOUT)
        atexit.register(self.qemu.kill)  # a test that fails leaves nothing behind
        self.agent = self.connect("agent")
        self.monitor = self.connect("hmp")
        self.prompt()
        with open(f"/proc/{self.qemu.pid}/maps", encoding="ascii") as f:
            mapped = {line.split()[-1] for line in f if "libslirp.so" in line}
        assert mapped == {os.path.realpath(f"{library}/libslirp.so.0")}
        if not incoming:
            self.until(self.agent, b"@READY", BOOT_DEADLINE)

    def connect(self, name):
        deadline = time.monotonic() + BOOT_DEADLINE
        while True:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                s.connect(f"{self.dir}/{name}")
                return s
            except (FileNotFoundError, ConnectionRefusedError):
                s.close()
                assert self.qemu.poll() is None and time.monotonic() < deadline, self.said()
                time.sleep(0.02)

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def until(self, sock, mark, deadline):
        sock.settimeout(deadline)
        data = b""
        while mark not in data:
            more = sock.recv(1 << 16)
            assert more, (data, self.said())
            data += more
        return data

    def sh(self, script, deadline=COMMAND_DEADLINE):
        """(exit status, output) of a script in the guest."""
        self.n += 1
        self.agent.sendall(f"{self.n} {base64.b64encode(script.encode()).decode()}\n".encode())
        mark = f"@R {self.n} ".encode()
        data = self.until(self.agent, mark, deadline)
        while b"\n" not in data[data.index(mark):]:
            data += self.until(self.agent, b"\n", deadline)
        _, _, rc, *out = data[data.index(mark):].split(b"\n")[0].strip().split(b" ")
        return int(rc), base64.b64decode(out[0] if out else b"").decode(errors="replace")

    def ok(self, script, deadline=COMMAND_DEADLINE):
        rc, text = self.sh(script, deadline)
        assert rc == 0, text
        return text

    def prompt(self):
        return self.until(self.monitor, b"(qemu) ", BOOT_DEADLINE)

    def hmp(self, command):
        """What the monitor says."""
        self.monitor.sendall(command.encode() + b"\n")
        text = self.prompt().decode(errors="replace").replace("\r", "")
        return text[:-len("(qemu) ")].split("\n", 1)[1]

    def close(self):
        self.qemu.terminate()
        self.qemu.wait(timeout=COMMAND_DEADLINE)
        self.agent.close()
        self.monitor.close()
        text = self.said()
        self.log.close()
        return text
