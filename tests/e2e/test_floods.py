"""A hostile guest, a far side that is slow or does not answer, memory that runs out: the others go on. Contract B2 B5 B10, C1 C6, D1 D2 D4 D5."""

import resource

import pytest

import behind
from test_limits import figures
from wire import *

NOBODY4 = "198.18.0.1"  # the host has a route, the internet drops it: a dial that hangs

# SYNs behind the kernel's back; where somebody accepts, the route is a black hole, so that neither ACK nor RST ever comes back
FLOOD = """
import mmap, subprocess
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

def syn(to, dport, sport):
    pair = socket.inet_aton(GUEST4) + socket.inet_aton(to)
    tcp = struct.pack("!HHIIBBHHH", sport, dport, sport * 1000, 0, 5 << 4, 2, 65535, 0, 0)
    tcp = tcp[:16] + struct.pack("!H", checksum(pair + struct.pack("!BBH", 0, 6, len(tcp)) + tcp)) + tcp[18:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 40, 1, 0, 64, 6, 0) + pair
    return bytes.fromhex("52550a000202" "525400123456" "0800") + head[:10] + struct.pack("!H", checksum(head)) + head[12:] + tcp

def flood(frames, rate):
    "A process of its own, until shared[1] is set; shared[0] counts."
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind(("tap0", 0x0800))
    begin, n = time.monotonic(), 0
    while not shared[1]:
        for frame in frames[n % len(frames):][:100]:
            try:
                sock.send(frame)
                n += 1
            except OSError as e: # the tap's queue is full
                assert e.errno == errno.ENOBUFS
        shared[0] = n
        time.sleep(max(0, begin + n / rate - time.monotonic()))
    os._exit(0)

shared = memoryview(mmap.mmap(-1, 16)).cast("Q")
subprocess.run(["ip", "route", "add", "blackhole", MORE4[0]], check=True)
"""


@pytest.mark.parametrize("targets,limit,reasons", [
    ([(MORE4[0], CLOSED), (MORE4[0], HOLD), (NOBODY4, 80)], 2048, ["HALF_OPEN_CAP", "DIAL_REFUSED"]),
    pytest.param([(NOBODY4, 80)], 4096, ["HALF_OPEN_CAP"], marks=pytest.mark.slow)], ids=["mixed", "dials-that-hang"])
def test_b10_c1_d2_20000_syns_a_second_and_an_honest_flow(start, targets, limit, reasons):
    """100 000 of them: to whom refuses, whom accepts and who does not answer. One flow transfers meanwhile, byte for byte."""
    g = start(f"targets = {targets!r}\n" + FLOOD + """
size = 4 * MIB
conn = connect(WEB4, ECHO)
idle = connect(WEB6, ECHO)
def transfer(seed):
    sender = threading.Thread(target=send_stream, args=(conn, seed, size))
    sender.start()
    assert recv_stream(conn, size) == (size, digest(seed, size))
    sender.join()
def rate(while_):
    begin, rounds = time.monotonic(), 0
    while while_(rounds):
        transfer(f"honest{rounds}")
        rounds += 1
    return rounds * size / MIB / (time.monotonic() - begin)
frames = [syn(*targets[i % len(targets)], 1024 + i // len(targets)) for i in range(60000)]
before = rate(lambda n: n < 4)
pid, begin = os.fork(), time.monotonic()
if not pid:
    flood(frames, 20000)
during = rate(lambda n: n < 4 or shared[0] < 100000)
say(shared[0], (time.monotonic() - begin), before, during)
hear()
shared[1] = 1
os.waitpid(pid, 0)
echo(idle, b"still here")
limit = time.monotonic() + LIMIT
while True: # there is room again
    try:
        late = connect(WEB4, ECHO)
        break
    except OSError:
        assert time.monotonic() < limit
        time.sleep(0.1)
echo(late, b"a new one")
transfer("the honest one goes on")
""", opts=["--root"], limit=limit)
    count, seconds, before, during = map(float, g.hear().split())
    files, memory, _ = figures(g.pid)
    print(f"{count / seconds:.0f} SYN/s; honest flow {before:.0f} MiB/s before, {during:.0f} during; {files} descriptors, {memory} KiB")
    assert count >= 100000 and files <= limit
    assert memory <= 64 << 10
    g.say()
    g.end()
    ended = {**g.stats["drops"]}
    for r, n in g.stats["closes"].items():
        ended[r] = ended.get(r, 0) + n
    print(ended)
    for r in reasons:
        assert ended.get(r, 0) >= 1, (r, g.stats)


def test_c6_no_memory(start):
    """No more address space (NO_MEMORY): a new connection is refused, those that stand go on, and with memory it works again."""
    g = start("""
conns = [connect(WEB4, HOLD) for i in range(20)]
say("up")
hear()
e = None
while not e and len(conns) < 9000:
    try:
        conns.append(connect((WEB4, WEB6)[len(conns) & 1], HOLD))
    except OSError as caught:
        e = errno.errorcode[caught.errno]
say(e)
hear()
for conn in conns:
    echo(conn, b"x")
echo(connect(WEB4, ECHO), b"again")
say(len(conns))
""", opts=["--root"])
    assert g.hear() == "up"
    with open(f"/proc/{g.pid}/status", encoding="ascii") as f:
        size = next(int(line.split()[1]) for line in f if line.startswith("VmSize")) << 10
    resource.prlimit(g.pid, resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
    g.say()
    assert g.hear() == "ECONNREFUSED"
    resource.prlimit(g.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    g.say()
    assert int(g.hear()) >= 20
    g.end()
    assert g.stats["closes"].get("NO_MEMORY", 0) + g.stats["drops"].get("NO_MEMORY", 0) >= 1, g.stats


@pytest.mark.slow
def test_b5_d4_dial_timeout(guest):
    """Nobody answers the host's SYN: the guest's is refused after 10 s (DIAL_TIMEOUT), and the slot is free."""
    g = guest("""
keep = connect(WEB4, ECHO)
say(*refusal(sys.argv[1], 80))
echo(keep, b"not held up")
dns_udp(DNS4, "www.e2e.test")
""", NOBODY4)
    error, seconds = g.text.split()
    print(error, seconds)
    assert error in ("ETIMEDOUT", "EHOSTUNREACH", "ECONNREFUSED") and float(seconds) >= 9
    assert g.stats["closes"]["DIAL_TIMEOUT"] == 1 and g.stats["half_open_now"] == 0


@pytest.mark.slow
def test_a4_b2_100_mib_to_a_server_that_stops_for_10_s(start):
    """Every queue is full for 10 s; the gateway keeps none of it (D3: its memory does not grow), and every byte arrives."""
    size = 100 * MIB
    g = start("""
conn = connect(WEB4, STALL)
conn.sendall(b"10\\n")
say("begin")
def upload():
    send_stream(conn, "stalled", int(sys.argv[1]))
    conn.shutdown(socket.SHUT_WR)
sender = threading.Thread(target=upload)
sender.start()
for i in range(80): # nobody else is held up meanwhile
    time.sleep(0.1)
    echo(connect((WEB4, WEB6)[i & 1], ECHO), b"%d" % i)
say("stuck" if sender.is_alive() else "through")
sender.join()
say(recv_line(conn))
""", size)
    assert g.hear() == "begin"
    before = figures(g.pid)[1]
    assert g.hear() == "stuck"
    grown = figures(g.pid)[1] - before
    print(f"grown by {grown} KiB")
    assert grown <= 4096
    assert g.end() == f"{size} {digest('stalled', size)}"


FROZEN = """
size, half = int(sys.argv[1]), int(sys.argv[1]) // 4
conn = connect(sys.argv[2], DUPLEX)
conn.settimeout(200)
conn.sendall(b"down %d\\n" % size)
passed = threading.Event()
def upload():
    number = 0
    for block in blocks("up", size):
        conn.sendall(block)
        number += len(block)
        if number >= half:
            passed.wait()
    conn.shutdown(socket.SHUT_WR)
def between(count):
    if count >= half and not passed.is_set():
        passed.set() # both directions are in the middle
        os.kill(int(os.environ["IMPAIR"]), signal.SIGUSR1)
        threading.Timer(float(sys.argv[3]), os.kill, (int(os.environ["IMPAIR"]), signal.SIGUSR2)).start()
sender = threading.Thread(target=upload)
sender.start()
say(*recv_stream(conn, size, between))
sender.join()
say(recv_line(conn))
"""


@pytest.mark.parametrize("web,seconds", [(WEB4, 1), pytest.param(WEB4, 60, marks=pytest.mark.slow), pytest.param(WEB6, 60, marks=pytest.mark.slow)],
                         ids=["v4-1s", "v4-60s", "v6-60s"])
def test_d5_guest_frozen(guest, web, seconds):
    """No frame passes for so long, in the middle of transfers both ways: the connection lives and completes."""
    size = 64 * MIB
    g = guest("", command=behind.command(FROZEN, size, web, seconds, down="rate=1000", up="rate=1000"), opts=["--root"], timeout=240)
    done = behind.report(g)
    print(done)
    assert done["from_gateway"]["frozen"] + done["from_guest"]["frozen"] > 0
    assert g.text.split("\n") == [f"{size} {digest('down', size)}", f"{size} {digest('up', size)}"]
