"""The host's network changes while the gateway runs: addresses, default route, interfaces.  Flows that can live go on, new ones use the new state.

The host here has a second way out of the test's own: u0, behind which a far namespace serves on addresses that only the default route leads to.
"""

import subprocess

import pytest

from wire import *

NEAR4, NEAR6 = "198.18.0.1", "fd18::1"        # the far side's end of u0
FAR4, FAR6 = "198.18.100.1", "fd18:100::1"    # behind it
OURS4, OTHER4, OURS6 = "198.18.0.2", "198.18.0.3", "fd18::2"
PORT = 7007
LOCAL = "127.0.0.12"  # a name server of the host itself

SERVER = f"""
import socket, struct, threading

def tcp(conn):
    try:
        while data := conn.recv(65536):
            conn.sendall(data)
    except OSError:
        pass

def accept():
    listener = socket.create_server(("::", {PORT}), family=socket.AF_INET6, dualstack_ipv6=True)
    while True:
        threading.Thread(target=tcp, args=(listener.accept()[0],), daemon=True).start()

def udp(port, family, addr, answer):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((addr, port))
    while True:
        data, client = sock.recvfrom(4096)
        sock.sendto(answer(data, client), client)

def who(data, client):
    return data + b" " + client[0].encode()

def name(query, client):
    end = query.index(b"\\0", 12) + 5
    return query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + query[12:end] + b"\\xc0\\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes([198, 18, 100, 1])

for args in (accept,), (udp, {PORT}, socket.AF_INET, "{FAR4}", who), (udp, {PORT}, socket.AF_INET6, "{FAR6}", who), (udp, 53, socket.AF_INET, "{FAR4}", name):
    threading.Thread(target=args[0], args=args[1:], daemon=True).start()
print("ready", flush=True)
input()
"""


def run(*lines, net=None, check=True):
    enter = ["nsenter", f"--net=/proc/{net}/ns/net", "--"] if net else []
    for line in lines:
        done = subprocess.run([*enter, "ip", *line.split()], capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, (line, done.stderr)


class Uplink:
    """u0 and what is behind it."""

    def __init__(self, net):
        self.net = net

    def make(self):
        run(f"link add u0 type veth peer name u1 netns {self.net}", f"address add {OURS4}/24 dev u0", f"address add {OURS6}/64 dev u0 nodad",
            "link set u0 up")
        run(f"address add {NEAR4}/24 dev u1", f"address add {NEAR6}/64 dev u1 nodad", "link set u1 up", net=self.net)
        self.routes()

    def routes(self):
        run(f"route replace default via {NEAR4}", f"-6 route replace default via {NEAR6}")

    def no_routes(self):
        run("route del default", "-6 route del default")


@pytest.fixture
def uplink():
    holder = subprocess.Popen(["unshare", "--net", "--", "sh", "-c", "echo there; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdout.readline()
    before = subprocess.run(["ip", "route", "show", "default"], capture_output=True, text=True, check=True).stdout.strip().splitlines()
    for line in before:
        run("route del " + line)
    run("link set lo up", f"address add {FAR4}/32 dev lo", f"address add {FAR6}/128 dev lo nodad", net=holder.pid)
    up = Uplink(holder.pid)
    up.make()
    server = subprocess.Popen(["nsenter", f"--net=/proc/{holder.pid}/ns/net", "--", "/usr/bin/python3", "-c", SERVER], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
    assert server.stdout.readline() == b"ready\n"
    yield up
    for process in (server, holder):
        process.stdin.close()
        process.wait(LIMIT)
    run("link del u0", "route flush default", "-6 route del default", check=False)
    for line in before:
        run("route add " + line)


TALK = """
def until(want, ask):
    limit, last = time.monotonic() + LIMIT, None
    while time.monotonic() < limit:
        last = ask()
        if last == want:
            return last
        time.sleep(0.05)
    return last

def udp_socket(far):
    # one that hears ICMP errors: connected
    sock = socket.socket(socket.AF_INET6 if ":" in far else socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((far, PORT))
    return sock

def ask_udp(sock, number=iter(range(1 << 30))):
    text = b"%d" % next(number)
    sock.settimeout(0.3)
    try:
        sock.send(text)
        while True:
            got = sock.recv(4096)
            if got.startswith(text + b" "):
                return got.split()[1].decode()
    except TimeoutError:
        return "silence"
    except OSError as e:
        return errno.errorcode[e.errno]

PORT = 7007
"""


def step(g, want):
    g.say()
    assert g.hear() == want


def test_own_address_comes_and_goes(start):
    """An address that becomes the host's own is closed to the guest, and open again when it is no longer."""
    g = start(TALK + """
for want in sys.argv[2:]:
    hear()
    say(until(want, lambda: refusal(sys.argv[1], ECHO)[0]))
""", MORE4[0], "connected", "ECONNREFUSED", "connected")
    step(g, "connected")
    run(f"address add {MORE4[0]}/32 dev lo")
    try:
        step(g, "ECONNREFUSED")
    finally:
        run(f"address del {MORE4[0]}/32 dev lo")
    step(g, "connected")
    g.end()


@pytest.mark.parametrize("far, ours", [(FAR4, OURS4), (FAR6, OURS6)])
def test_default_route(start, uplink, far, ours):
    """Away: a new flow is refused at once, UDP is lost, a TCP flow waits; back: all go on, on the same sockets."""
    g = start(TALK + """
far, ours = sys.argv[1:]
flow, sock = connect(far, PORT), udp_socket(far)
echo(flow, b"before")
say(until(ours, lambda: ask_udp(sock)))
hear()
start = time.monotonic()
say(refusal(far, PORT)[0], time.monotonic() - start < 1, until("silence", lambda: ask_udp(sock)))
flow.sendall(b"while away")
hear()
got = b""
while len(got) < 10:
    got += flow.recv(10 - len(got))
echo(flow, b"after")
say(got.decode(), refusal(far, PORT)[0], until(ours, lambda: ask_udp(sock)))
""", far, ours)
    assert g.hear() == ours
    uplink.no_routes()
    step(g, "ENETUNREACH True silence")
    uplink.routes()
    step(g, f"while away connected {ours}")
    g.end()


def test_interface_down_and_up(start, uplink):
    """A flow over another interface does not notice; new ones over this one are refused, then served again."""
    g = start(TALK + """
far = sys.argv[1]
other = connect(WEB4, ECHO)
for want in ("connected", "ENETUNREACH", "connected"):
    hear()
    said = until(want, lambda: refusal(far, PORT)[0])
    echo(other, b"still here")
    say(said)
""", FAR4)
    step(g, "connected")
    run("link set u0 down")
    step(g, "ENETUNREACH")
    run("link set u0 up")
    run(f"route replace default via {NEAR4}")
    step(g, "connected")
    g.end()


def test_other_address_of_the_interface(start, uplink):
    """An unbound UDP socket chooses its source anew: the far side sees the new address, the guest keeps its socket."""
    g = start(TALK + """
sock = udp_socket(sys.argv[1])
for want in sys.argv[2:]:
    hear()
    say(until(want, lambda: ask_udp(sock)))
""", FAR4, OURS4, OTHER4)
    step(g, OURS4)
    run(f"address add {OTHER4}/24 dev u0", f"address del {OURS4}/24 dev u0", check=False)
    run(f"address replace {OTHER4}/24 dev u0", f"route replace default via {NEAR4}")
    step(g, OTHER4)
    g.end()


def test_bound_address_away_and_back(start, uplink):
    """--outbound: while the address is gone nothing leaves under another one; it works again on the same socket when the address is back."""
    run(f"address add {OTHER4}/32 dev u0")
    g = start(TALK + """
far = sys.argv[1]
sock = udp_socket(far)
for want, refused in zip(sys.argv[2::2], sys.argv[3::2]):
    hear()
    say(until(want, lambda: ask_udp(sock)), until(refused, lambda: refusal(far, PORT)[0]))
""", FAR4, OTHER4, "connected", "silence", "ENETUNREACH", OTHER4, "connected", opts=["--outbound", OTHER4])
    step(g, f"{OTHER4} connected")
    run(f"address del {OTHER4}/32 dev u0")
    step(g, "silence ENETUNREACH")
    run(f"address add {OTHER4}/32 dev u0")
    step(g, f"{OTHER4} connected")
    g.end()


def test_outbound_interface_gone_and_back(start, uplink):
    """--outbound-if: it comes back as another interface of the same name; TCP and UDP use that, the guest keeps its socket."""
    g = start(TALK + """
far = sys.argv[1]
sock = udp_socket(far)
for want in ("connected", "ENETUNREACH", "connected"):
    hear()
    tcp = until(want, lambda: refusal(far, PORT)[0])
    udp_want = sys.argv[2] if want == "connected" else "silence"
    say(tcp, until(udp_want, lambda: ask_udp(sock)))
""", FAR4, OURS4, opts=["--outbound-if", "u0"])
    step(g, f"connected {OURS4}")
    run("link del u0")
    step(g, "ENETUNREACH silence")
    uplink.make()
    step(g, f"connected {OURS4}")
    g.end()


def ping_groups(text):
    with open("/proc/sys/net/ipv4/ping_group_range", "w", encoding="ascii") as f:
        f.write(text)


def test_ping_by_an_interface_gone_and_back(start, uplink):
    """--outbound-if comes back as another interface: pings of the same id use that at once, not when their socket has idled away."""
    ping_groups("0 0")
    g = start(TALK + """
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
sock.settimeout(0.3)
def ask(number=iter(range(1 << 16))):
    seq = next(number)
    head = struct.pack("!BBHHH", 8, 0, 0, 7, seq)
    sock.sendto(head[:2] + struct.pack("!H", 0xffff - 0x800 - 7 - seq) + head[4:], (sys.argv[1], 0))
    limit = time.monotonic() + 0.3
    try:
        while time.monotonic() < limit:
            data = sock.recv(1000)[20:]
            if data[0] == 0 and data[4:8] == head[4:8]:
                return "reply"
    except TimeoutError:
        pass
    return "silence"
for want in ("reply", "silence", "reply"):
    hear()
    say(until(want, ask))
""", FAR4, opts=["--outbound-if", "u0", "--root"])
    try:
        step(g, "reply")
        run("link del u0")
        step(g, "silence")
        uplink.make()
        step(g, "reply")
        g.end()
    finally:
        ping_groups("1 0")


def test_name_server_reachable_again(start, uplink):
    """A server that failed for want of a route is asked again as soon as there is one, not when its penalty of 30 s is over."""
    local = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    local.bind((LOCAL, 53))

    def serve():
        try:
            while True:
                query, client = local.recvfrom(4096)
                if not query:
                    return
                end = query.index(b"\0", 12) + 5
                local.sendto(query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + query[12:end] + b"\xc0\x0c"
                             + struct.pack("!HHIH", 1, 1, 60, 4) + bytes([127, 0, 0, 12]), client)
        except OSError:
            pass
    threading.Thread(target=serve, daemon=True).start()
    g = start(TALK + """
def who():
    return socket.inet_ntoa(dns_udp(DNS4, "who.test")[-4:])

for want in sys.argv[1:]:
    hear()
    begin = time.monotonic()
    say(until(want, who), time.monotonic() - begin < 15)
""", FAR4, LOCAL, FAR4, opts=["--dns", FAR4, "--dns", LOCAL, "--stats=json", "--log-level", "error"], defaults=False)
    step(g, f"{FAR4} True")
    uplink.no_routes()
    step(g, f"{LOCAL} True")
    uplink.routes()
    step(g, f"{FAR4} True")
    g.end()
    local.close()
