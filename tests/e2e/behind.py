#!/usr/bin/python3
"""A guest behind a bad wire: the tap's MAC and addresses move one namespace further, and tests/impair relays in between.

    slirpgate --tap0 [ impair ] veth-- eth0: the program

Imported by tests, which start `slirpgate run --root -- behind.py ...` with command(); run inside as the guest's program. What the wire
did comes as the last line but one of standard error (report()). The program finds the wire's process in IMPAIR: SIGUSR1 freezes it.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys

CLONE_NEWNET = 0x40000000
PROGRAM = "impair"


def impair():
    path = os.environ.get("IMPAIR_PROGRAM") or os.path.join(os.path.dirname(os.environ["SLIRPGATE"]), "tests", PROGRAM, PROGRAM)
    assert os.access(path, os.X_OK), f"{path} is not there: ./dev build makes it"
    return path


def command(program, *args, down="", up="", seed=1):
    """For Guest(command=...), with --root among its options."""
    return ["/usr/bin/python3", os.path.abspath(__file__), impair(), str(seed), down, up, "from wire import *\n" + program, *map(str, args)]


def report(guest):
    """What the wire did, once the guest has ended."""
    lines = [line for line in guest.err.split("\n") if line.startswith("{\"from_gateway")]
    assert len(lines) == 1, guest.err
    return json.loads(lines[0])


def ip(script, net=None):
    enter = ["nsenter", f"--net=/proc/{net}/ns/net", "--"] if net else []
    subprocess.run([*enter, "ip", "-batch", "-"], input=script, text=True, check=True)


def off6(interface):
    with open(f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6", "w", encoding="ascii") as f:
        f.write("1")


def move(pid):
    """MAC, MTU and addresses from tap0 here to eth0 there; the tap keeps nothing."""
    tap = json.loads(subprocess.run(["ip", "-j", "address", "show", "tap0"], stdout=subprocess.PIPE, check=True).stdout)[0]
    routes = [json.loads(subprocess.run(["ip", "-j", f, "route", "show", "default"], stdout=subprocess.PIPE, check=True).stdout) for f in ("-4", "-6")]
    mtu = tap["mtu"]
    ip(f"link add wire0 mtu {mtu} type veth peer name eth0 mtu {mtu} netns {pid}\naddress flush dev tap0\n")
    off6("tap0")
    off6("wire0")
    ip("link set wire0 up\n")
    ip(f"link set lo up\nlink set eth0 address {tap['address']}\nlink set eth0 up\n"
       + "".join(f"address add {a['local']}/{a['prefixlen']} dev eth0 {'nodad' if a['family'] == 'inet6' else ''}\n"
                 for a in tap["addr_info"] if a["scope"] == "global")
       + "".join(f"route add default via {r[0]['gateway']} dev eth0\n" for r in routes if r), pid)


def child(go, ready, argv):
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    os.write(ready, b"x")
    os.environ["IMPAIR"] = os.read(go, 32).decode()
    os.execv("/usr/bin/python3", ["/usr/bin/python3", "-c", *argv])


def main(program, seed, down, up, *argv):
    go, ready = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        os.close(go[1])  # should the parent fail, the read ends
        child(go[0], ready[1], argv)
    os.read(ready[0], 1)
    move(pid)
    wire = subprocess.Popen([program, "-s", seed, "-d", down, "-u", up, "tap0", "wire0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert wire.stdout.readline(), "the wire did not start"
    os.write(go[1], b"%d" % wire.pid)
    status = os.waitpid(pid, 0)[1]
    wire.send_signal(signal.SIGTERM)
    sys.stderr.write(wire.communicate()[0])
    sys.exit(os.waitstatus_to_exitcode(status) & 255)


if __name__ == "__main__":
    main(*sys.argv[1:])
