"""The control socket, its client, and clients that misbehave."""

import json
import stat
import subprocess

import pytest

from wire import *
from test_publish import SERVICE, expect_reset, free_port, who


@pytest.fixture
def served(start, tmp_path):
    """A guest with SERVICE and a control socket, and the socket's path."""
    path = str(tmp_path / "control")
    g = start(SERVICE, opts=["--control", path])
    assert g.hear() == "ready"
    g.path = path
    return g


def ctl(g, *words, status=0):
    done = subprocess.run([os.environ["SLIRPGATE"], "ctl", "-s", g.path, *map(str, words)], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def raw(g):
    conn = socket.socket(socket.AF_UNIX)
    conn.settimeout(LIMIT)
    conn.connect(g.path)
    return conn


def say_json(conn, **request):
    conn.sendall(json.dumps(request).encode() + b"\n")
    return json.loads(recv_line(conn))


def test_ports_come_and_go_while_traffic_flows(served):
    port = free_port()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    out = json.loads(ctl(served, "--json", "publish", "add", f"127.0.0.1/{port}:80"))
    ident = out["ids"][0]
    assert who("127.0.0.1", port)
    rows = json.loads(ctl(served, "--json", "publish-list"))
    assert rows[0]["id"] == ident and rows[0]["port"] == port and rows[0]["let_in"] == 1 and rows[0]["clients"] == 0
    held = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
    ctl(served, "publish", "pause", ident)
    expect_reset(port)
    ctl(served, "publish", "resume", ident)
    assert who("127.0.0.1", port)
    ctl(served, "publish", "remove", ident)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    held.sendall(b"who\n")  # it was in before
    assert recv_line(held)
    held.close()
    assert ctl(served, "publish-list") == "nothing\n"
    assert "nothing is published as" in ctl(served, "publish", "remove", ident, status=1)
    served.say()
    served.end()


def test_what_is_wrong_changes_nothing(served):
    port = free_port()
    assert "column 3" in ctl(served, "publish", "add", "80x", status=1)
    assert "no such command" in ctl(served, "nonesuch", status=2)
    assert "not a number" in ctl(served, "publish", "remove", "x", status=2)
    assert "too many" in ctl(served, "stats", "x", status=2)
    with socket.create_server(("127.0.0.1", port)):
        assert f"TCP port 127.0.0.1:{port}" in ctl(served, "publish", "add", f"127.0.0.1/{free_port()},127.0.0.1/{port}".split(",")[1], status=1)
    assert "conflict" in ctl(served, "publish", "add", f"{port},{port}", status=1)
    assert ctl(served, "publish-list") == "nothing\n"
    served.say()
    served.end()


def test_stats_schema_and_tables(served):
    names = {row["name"] for row in json.loads(ctl(served, "--json", "schema"))}
    assert {"stats", "schema", "shutdown", "publish-add", "add_hostfwd", "log-level"} <= names
    assert json.loads(ctl(served, "-j", "stats"))["flows_now"] == 0
    assert "flows_now" in ctl(served, "stats")
    assert ctl(served, "version").startswith("version ")
    assert stat.S_IMODE(os.stat(served.path).st_mode) == 0o600
    ctl(served, "log-level", "debug")
    served.say()
    served.end()
    assert not os.path.exists(served.path)


def test_flows_are_listed_and_closed(start, tmp_path):
    """OPERATOR: both sides see a reset, and another connection goes on."""
    path = str(tmp_path / "control")
    g = start("""
one, two = connect(WEB4, ECHO), connect(WEB6, ECHO)
say(one.getsockname()[1])
hear()
try:
    one.recv(1)
except ConnectionResetError:
    say("reset")
echo(two, b"still here")
say("good")
""", opts=["--control", path])
    g.path = path
    port = g.hear()
    rows = json.loads(ctl(g, "--json", "flows"))
    assert rows["matching"] == 2 and {r["far"] for r in rows["flows"]} == {f"{WEB4}:{ECHO}", f"[{WEB6}]:{ECHO}"}
    rows = json.loads(ctl(g, "--json", "flows", f"far={WEB4}"))["flows"]
    assert rows == [{"guest": f"{GUEST4}:{port}", "far": f"{WEB4}:{ECHO}", "state": "ESTABLISHED", "unacknowledged": 0}]
    assert len(json.loads(ctl(g, "--json", "flows", "limit=1"))["flows"]) == 1
    ctl(g, "flow", "close", rows[0]["guest"], rows[0]["far"])
    assert "there is no connection" in ctl(g, "flow", "close", rows[0]["guest"], rows[0]["far"], status=1)
    assert "not ADDRESS:PORT" in ctl(g, "flow", "close", "x", rows[0]["far"], status=1)
    g.say()
    assert g.hear() == "reset" and g.hear() == "good"
    g.end()
    assert g.stats["closes"]["OPERATOR"] == 1


def test_limits_are_changed(start, tmp_path):
    path = str(tmp_path / "control")
    g = start("""
say("ready")
hear()
first = connect(WEB4, ECHO)
say(*refusal(WEB4, ECHO))
""", opts=["--control", path])
    g.path = path
    assert g.hear() == "ready"
    rows = {r["name"]: r for r in json.loads(ctl(g, "--json", "tunables"))}
    assert rows["tcp_flows_max"]["value"] == rows["tcp_flows_max"]["default"] == 65536 and rows["keepalive"]["unit"] == "us"
    ctl(g, "tune", "tcp_flows_max", 1)
    ctl(g, "tune", "keepalive", 3600 * 10 ** 6)
    rows = {r["name"]: r for r in json.loads(ctl(g, "--json", "tunables"))}
    assert rows["tcp_flows_max"]["value"] == 1 and rows["keepalive"]["value"] == 3600 * 10 ** 6
    assert "there is no limit called nonesuch" in ctl(g, "tune", "nonesuch", 1, status=1)
    assert "is 1 to" in ctl(g, "tune", "tcp_flows_max", 0, status=1)
    g.say()
    assert g.hear().split()[0] == "ECONNREFUSED"
    g.end()
    assert g.stats["drops"]["FLOW_CAP"] >= 1


def test_shutdown(served):
    ctl(served, "shutdown")
    served.end(status=143)


def test_clients_of_slirp4netns(served):
    """A request that ends with the stream instead of a line; the answer, then the end."""
    port = free_port()

    def api(**request):
        with raw(served) as conn:
            conn.sendall(json.dumps(request).encode())
            conn.shutdown(socket.SHUT_WR)
            return json.loads(b"".join(iter(lambda: conn.recv(4096), b"")))

    added = api(execute="add_hostfwd", arguments={"proto": "tcp", "host_addr": "127.0.0.1", "host_port": port, "guest_addr": GUEST4, "guest_port": 80})
    assert added == {"return": {"id": added["return"]["id"]}}
    assert api(execute="list_hostfwd") == {"return": {"entries": [{"id": added["return"]["id"], "proto": "tcp", "host_addr": "127.0.0.1",
                                                                     "host_port": port, "guest_addr": GUEST4, "guest_port": 80}]}}
    assert who("127.0.0.1", port)
    assert "desc" in api(execute="add_hostfwd", arguments={"host_port": port})["error"]
    assert api(execute="remove_hostfwd", arguments={"id": added["return"]["id"]}) == {"return": {}}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    served.say()
    served.end()


def test_bad_clients_harm_nobody(served):
    silent = [raw(served) for _ in range(40)]  # more than are kept
    half = raw(served)
    half.sendall(b'{"execute":')
    long = raw(served)
    long.sendall(b"x" * (1 << 20))
    long.sendall(b"x" * 10)
    assert "longer than" in json.loads(recv_line(long))["error"]["desc"]
    long.sendall(b'yz\n{"execute":"version"}\n')
    assert "return" in json.loads(recv_line(long))
    deaf = raw(served)
    deaf.setblocking(False)
    with pytest.raises(BlockingIOError):  # asks and never reads: at some point nothing more is read from it
        while True:
            deaf.send(b'{"execute":"schema"}\n' * 100)
    assert say_json(raw(served), execute="version", id=5)["id"] == 5
    half.sendall(b'"version"}\n')
    assert "return" in json.loads(recv_line(half))
    for conn in (*silent, half, long, deaf):
        conn.close()
    assert "return" in say_json(raw(served), execute="stats")
    served.say()
    served.end()


def test_second_start_and_stale_socket(start, served, tmp_path):
    second = start("", opts=["--control", served.path])
    second.end(status=125)
    assert "Address already in use" in second.err
    assert "return" in say_json(raw(served), execute="version")
    stale = str(tmp_path / "stale")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(stale)
    third = start("say('on')", opts=["--control", stale])
    assert third.hear() == "on"
    third.end()
    gone = subprocess.run([os.environ["SLIRPGATE"], "ctl", "-s", stale, "stats"], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert gone.returncode == 1 and stale in gone.stderr
    served.say()
    served.end()
