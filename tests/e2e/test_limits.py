"""What can run out: descriptors, memory, attention. Contract C1 C2, B10 B17, F15, D1; the design's figures for idle connections."""

import resource

import pytest

from wire import *


def proc(pid, name):
    with open(f"/proc/{pid}/{name}", encoding="ascii") as f:
        return f.read()


def figures(pid):
    """(descriptors, anonymous KiB, voluntary context switches) of a process."""
    status = dict(line.split(":", 1) for line in proc(pid, "status").strip().split("\n"))
    return len(os.listdir(f"/proc/{pid}/fd")), int(status["RssAnon"].split()[0]), int(status["voluntary_ctxt_switches"])


RECOVER = """
hear()
for i, conn in enumerate(conns): # those that exist go on
    echo(conn, b"still here %d" % i)
for conn in conns[1:6]:
    conn.close()
limit = time.monotonic() + LIMIT
while True: # until the gateway has seen the closes
    try:
        conn = connect(WEB4, ECHO)
        break
    except ConnectionRefusedError:
        if time.monotonic() > limit:
            raise
        time.sleep(0.01)
echo(conn, b"a new one")
echo(conns[0], b"and the old")
say("connected")
"""


def test_c1_cap_by_descriptor_limit(start):
    """slirpgate with 64 descriptors: a number of flows, then truthful refusals (RST), nobody else notices, and it recovers."""
    g = start("""
conns, e = [], None
try:
    while len(conns) < 500:
        conns.append(connect(WEB4, ECHO))
except OSError as caught:
    e = errno.errorcode[caught.errno]
say(len(conns), e)
""" + RECOVER + """
say(refusal(WEB4, CLOSED)[0])
""", limit=64)
    count, error = g.hear().split()
    assert error == "ECONNREFUSED" and 16 <= int(count) <= 64
    g.say()
    out = g.end().split()
    assert out[0] == "connected" and out[1] == "ECONNREFUSED"
    assert g.stats["closes"].get("FLOW_CAP", 0) + g.stats["drops"].get("FLOW_CAP", 0) >= 1, g.stats


def test_c6_descriptors_run_out_below_the_cap(start):
    """The limit falls while slirpgate runs (NO_DESCRIPTOR): refused at once, others untouched, and it recovers."""
    g = start("""
conns = [connect(WEB4, ECHO) for i in range(20)]
for conn in conns:
    echo(conn, b"up")
say("up")
hear()
say(refusal(WEB4, ECHO)[0])
""" + RECOVER)
    assert g.hear() == "up"
    full = figures(g.pid)[0]
    highest = max(int(fd) for fd in os.listdir(f"/proc/{g.pid}/fd"))
    hard = resource.prlimit(g.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(g.pid, resource.RLIMIT_NOFILE, (full if highest < full else highest + 1, hard))
    g.say()
    assert g.hear() == "ECONNREFUSED"
    g.say()
    assert g.end() == "connected"
    assert g.stats["closes"].get("NO_DESCRIPTOR", 0) + g.stats["drops"].get("NO_DESCRIPTOR", 0) >= 1, g.stats


IDLE = """
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
def more(count):
    for i in range(count):
        conns.append(connect((WEB4, WEB6)[i & 1], HOLD))
conns = []
while line := hear():
    more(int(line))
    for conn in conns[-100:]: # the last ones have been served to the end
        echo(conn, b"x")
    say(len(conns))
for conn in conns[::500]:
    echo(conn, b"y")
say("all alive")
"""


def test_10000_idle_connections_cost_nothing(start):
    """One descriptor and at most 1 KiB each; no wake-up while they are quiet; a new connection finds everything as it was.

    As many as the hard limit of descriptors allows, 10 000 at most; in two processes of the guest.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = min(10000, hard - 400 if hard != resource.RLIM_INFINITY else 10000)
    if count < 1000:
        pytest.fail(f"a hard limit of {hard} descriptors is too low to say anything")
    program = """
import resource
""" + IDLE
    g = start("""
import subprocess
other = subprocess.Popen([sys.executable, "-c", "from wire import *\\n" + sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
def ask(n):
    other.stdin.write(f"{n}\\n" if n else "\\n")
    other.stdin.flush()
    return other.stdout.readline().strip()
def here(n):
    for i in range(n):
        conns.append(connect((WEB4, WEB6)[i & 1], HOLD))
    for conn in conns[-100:]:
        echo(conn, b"x")
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
conns = []
while line := hear():
    n = int(line)
    there = ask(n // 2)
    here(n - n // 2)
    say(len(conns) + int(there))
conn = connect(WEB4, WHO)
assert recv_all(conn).split()
for conn in conns[::500]:
    echo(conn, b"y")
say(ask(0))
""", program)
    # what a gateway needs once for many flows (tables, heaps) is there before the count begins
    g.say(str(1000))
    assert g.hear() == "1000"
    before = figures(g.pid)
    g.say(str(count - 1000))
    assert int(g.hear()) == count
    # acknowledgements that were put off have left: then it is quiet
    limit = time.monotonic() + LIMIT
    while True:
        after = figures(g.pid)
        time.sleep(2)
        later = figures(g.pid)
        if later[2] - after[2] <= 3 or time.monotonic() > limit:
            break
    each = (after[1] - before[1]) * 1024 / (count - 1000)
    print(f"{count} connections: {after[0]} descriptors, {each:.0f} bytes each, {later[2] - after[2]} wake-ups in 2 s")
    assert count <= after[0] <= count + 32
    assert each <= 1024
    assert later[2] - after[2] <= 3
    g.say()
    assert g.end() == "all alive"
    assert g.stats["flows_opened"] == count + 1


def test_b17_a_flow_among_many_idle_ones(start):
    """What one flow costs must not depend on how many there are: turns of the loop, not time, are the measure."""
    program = """
conns = [connect(WEB4, HOLD) for i in range(int(sys.argv[1]))]
conn = connect(WEB4, ECHO)
for i in range(300):
    echo(conn, b"%d" % i)
"""
    turns = []
    for idle in (1, 800):
        g = start(program, idle)
        g.end()
        turns.append((g.stats["turns"], g.stats["link_tx_frames"] + g.stats["link_rx_frames"]))
    assert turns[1][0] - turns[0][0] <= 12 * 800, turns
