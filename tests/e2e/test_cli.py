"""The command line: what a person and a script rely on. Design 9, contract B19, L8, D14."""

import json
import subprocess

import pytest

from wire import *

SLIRPGATE = os.environ["SLIRPGATE"]


# ------------------------------------------------------------------ exit status, signals

@pytest.mark.parametrize("status", [0, 1, 42, 255])
def test_status_is_the_commands(start, status):
    start("sys.exit(%d)" % status).end(status)


def test_status_of_a_killed_command(start):
    start("os.kill(os.getpid(), signal.SIGKILL)").end(128 + signal.SIGKILL)


def test_127_command_not_found(start):
    g = start(command=["no-such-command-here"], env={"PATH": "/usr/bin:/bin"})
    g.end(127)
    assert "no-such-command-here" in g.err


def test_126_command_cannot_run(start, tmp_path):
    (tmp_path / "text").write_text("not a program")
    g = start(command=[str(tmp_path / "text")])
    g.end(126)
    assert str(tmp_path / "text") in g.err


def test_125_our_failure(start):
    g = start(opts=["--outbound", "192.0.2.99"])
    g.end(125)
    assert "--outbound" in g.err and "192.0.2.99" in g.err


@pytest.mark.parametrize("opts, words", [
    (["--net", "10.0.x.0/24"], ["--net", "10.0.x.0/24", "column 6"]),
    (["--mtu", "15o0"], ["--mtu", "15o0", "column 3"]),
    (["--mtu=9"], ["--mtu", "9"]),
    (["--dns", "1.2.3"], ["--dns", "1.2.3", "column"]),
    (["--mac", "52:54:00:zz:00:00"], ["--mac", "column 10"]),
    (["--nosuch"], ["--nosuch"]),
    (["-4", "-6"], ["-4", "-6"]),
])
def test_2_wrong_option_with_column(shell, opts, words):
    done = shell(SLIRPGATE, "run", *opts, "--", "true")
    assert done.returncode == 2
    assert done.stdout == "" and len(done.stderr.strip().split("\n")) == 1
    for word in words:
        assert word in done.stderr, done.stderr


def test_2_wrong_command(shell):
    done = shell(SLIRPGATE, "fly")
    assert done.returncode == 2 and "fly" in done.stderr


def test_ctrl_c_is_the_commands(start):
    """SIGINT goes to the whole foreground group: the command decides, slirpgate reports what it decided."""
    g = start("""
signal.signal(signal.SIGINT, lambda *a: sys.exit(7))
say("ready")
while True:
    time.sleep(1)
""")
    assert g.hear() == "ready"
    os.killpg(g.pid, signal.SIGINT)
    g.end(7)
    assert g.stats is not None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_term_and_hup_are_handed_on(start, number):
    g = start("""
signal.signal(int(sys.argv[1]), lambda n, f: sys.exit(n))
say("ready")
while True:
    time.sleep(1)
""", int(number))
    assert g.hear() == "ready"
    os.kill(g.pid, number)
    g.end(int(number))


def test_command_ends_with_a_killed_slirpgate(start):
    g = start("""
say(os.getpid())
while True:
    time.sleep(1)
""")
    pid = int(g.hear())
    os.kill(g.pid, signal.SIGKILL)
    g.end(-signal.SIGKILL)
    limit = time.monotonic() + LIMIT
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < limit:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            if f.read().rsplit(")", 1)[1].split()[0] == "Z":
                break
        time.sleep(0.02)
    else:
        assert not os.path.exists(f"/proc/{pid}")


# ------------------------------------------------------------------ what the command finds

def test_addresses_and_resolv_conf(guest):
    g = guest("""
import subprocess
say(subprocess.run(["ip", "-brief", "address"], capture_output=True, text=True).stdout.replace("\\n", "|"))
say(open("/etc/resolv.conf").read().replace("\\n", "|"))
say(os.getuid(), open("/proc/self/status").read().split("CapEff:")[1].split()[0])
""", opts=["--search", "e2e.test"])
    addresses, resolv, _who = g.text.split("\n")
    assert "10.0.2.15/24" in addresses and "fd00::15/64" in addresses and len(addresses.strip("|").split("|")) == 2
    assert "nameserver 10.0.2.3|" in resolv and "nameserver fd00::3|" in resolv and "search e2e.test|" in resolv


def test_resolv_conf_of_the_host_is_untouched(guest):
    with open("/etc/resolv.conf", encoding="ascii", errors="replace") as f:
        before = f.read()
    guest("pass")
    with open("/etc/resolv.conf", encoding="ascii", errors="replace") as f:
        assert f.read() == before


@pytest.mark.parametrize("server", [DNS4, DNS6])
def test_names_over_udp_and_tcp(guest, server):
    g = guest("""
for ask in (dns_udp, dns_tcp):
    answer = ask(sys.argv[1], "www.e2e.test", 1)
    assert answer[:2] == b"\\x12\\x34" and answer[-4:] == socket.inet_aton(WEB4)
    answer = ask(sys.argv[1], "www.e2e.test", 28)
    assert answer[-16:] == socket.inet_pton(socket.AF_INET6, WEB6)
    assert ask(sys.argv[1], "nowhere.e2e.test")[3] & 15 == 3
""", server)
    assert g.stats["dns_queries"] == 3 and g.stats["dns_answers"] == 3


def test_names_by_the_c_library(guest):
    assert guest("say(*sorted({a[4][0] for a in socket.getaddrinfo('www', 80)}))", opts=["--search", "e2e.test"]).text.split() == \
        sorted([WEB4, WEB6])


def test_name_servers_of_the_host(guest, shell, tmp_path):
    """Without --dns the relay asks those of the host's resolv.conf, also one on the host's loopback (127.0.0.53 is where a stub listens)."""
    real, ours = os.path.realpath("/etc/resolv.conf"), tmp_path / "resolv.conf"
    ours.write_text(f"# the host's\nnameserver 127.0.0.53\nnameserver {WEB4}\n")
    assert shell("mount", "--bind", str(ours), real).returncode == 0
    try:
        g = guest("say(socket.gethostbyname('www.e2e.test'))", opts=["--stats=json", "--log-level", "error"], defaults=False)
    finally:
        assert shell("umount", real).returncode == 0
    assert g.text == WEB4 and g.stats["dns_answers"] >= 1


def test_dns_port_alone_is_served(guest):
    """Nothing but 53 on the name server's address: refused, as R_DIAL_REFUSED; UDP elsewhere has no service."""
    assert guest("say(*refusal(DNS4, ECHO))").text.split()[0] == "ECONNREFUSED"


@pytest.mark.parametrize("opts, web, other", [(["-4"], WEB4, WEB6), (["-6"], WEB6, WEB4)], ids=["v4", "v6"])
def test_one_family_only(guest, opts, web, other):
    g = guest("say(refusal(sys.argv[1], WHO)[0], refusal(sys.argv[2], WHO)[0])", web, other, opts=opts)
    first, second = g.text.split()
    assert first == "connected" and second in ("ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL")


def test_other_networks(guest):
    g = guest("say(*recv_all(connect(WEB4, WHO)).decode().split()); say(dns_udp('172.20.5.3', 'www.e2e.test')[-4:].hex())",
              opts=["--net", "172.20.5.0/24", "--net6", "fd12:3456::/64", "--ifname", "eth0", "--mac", "02:00:00:00:00:07"])
    assert g.text.split("\n")[1] == socket.inet_aton(WEB4).hex()


def test_a_second_instance_beside_the_first(start, guest):
    first = start("""
conn = connect(WEB4, ECHO)
echo(conn, b"before")
say("open")
hear()
echo(conn, b"behind")
""")
    assert first.hear() == "open"
    assert guest("conn = connect(WEB4, ECHO); echo(conn, b'other'); say('fine')").text == "fine"
    first.say()
    first.end()


# ------------------------------------------------------------------ the host's own addresses

@pytest.fixture
def host_service():
    """A listener on all addresses of the host, loopback among them; greets. -> port"""
    listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)

    def serve():
        while True:
            try:
                conn = listener.accept()[0]
            except OSError:
                return
            conn.sendall(f"{conn.getsockname()[0]}\n".encode())
            conn.close()
    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


OWN = [GATEWAY4, GATEWAY6, HOST4, HOST6, OUT4, SECOND4]


def test_host_is_closed_by_default(guest, host_service):
    """B19: loopback by the gateway's address, and every address the host has itself (HOST_LOOPBACK)."""
    g = guest("for to in sys.argv[2:]: say(refusal(to, int(sys.argv[1]))[0])", host_service, *OWN)
    assert "connected" not in g.text and len(g.text.split()) == len(OWN)
    assert g.stats["closes"].get("HOST_LOOPBACK", 0) + g.stats["drops"].get("HOST_LOOPBACK", 0) == len(OWN), g.stats


def test_an_address_the_host_gets_later_is_closed_too(start, host_service):
    g = start("""
hear()
dns_udp(DNS4, "www.e2e.test") # a turn of the loop has passed
say(refusal("203.0.113.77", int(sys.argv[1]))[0])
""", host_service)
    subprocess_ip("address add 203.0.113.77/24 dev gw0")
    try:
        g.say()
        assert g.hear() != "connected"
        g.end()
    finally:
        subprocess_ip("address del 203.0.113.77/24 dev gw0")


def subprocess_ip(line):
    subprocess.run(["ip", "-batch", "-"], input=line + "\n", text=True, check=True)


def test_l8_host_is_open_with_host_loopback(guest, host_service):
    g = guest("for to in sys.argv[2:]: say(recv_line(connect(to, int(sys.argv[1]))))", host_service, *OWN, opts=["--host-loopback"])
    reached = [a.rsplit("::ffff:")[-1] for a in g.text.split()]
    assert reached == ["127.0.0.1", "::1", HOST4, HOST6, OUT4, SECOND4]


def test_outbound_is_the_source_address(guest):
    g = guest("""
for web in (WEB4, WEB6):
    say(recv_line(connect(web, WHO)).split()[0])
""", opts=["--outbound", OUT4, "--outbound", OUT6])
    assert [a.rsplit("::ffff:")[-1] for a in g.text.split()] == [OUT4, OUT6]


def test_outbound_if_is_the_way_out(guest):
    g = guest("say(recv_line(connect(WEB4, WHO)).split()[0])", opts=["--outbound-if", "gw1"])
    assert g.text.rsplit("::ffff:")[-1] == SECOND4


# ------------------------------------------------------------------ texts

def test_doctor_is_content(shell):
    done = shell(SLIRPGATE, "doctor")
    assert done.returncode == 0, done.stdout
    assert "tun" in done.stdout
    found = json.loads(shell(SLIRPGATE, "doctor", "--json").stdout)
    assert found["ok"] is True and len(found["checks"]) >= 4


def test_doctor_names_what_is_missing(shell):
    """The same machine without a tap device."""
    done = shell("unshare", "--mount", "--", "sh", "-c", 'mount -t tmpfs none /dev/net && "$0" doctor', SLIRPGATE)
    assert done.returncode == 1
    missing = [line for line in done.stdout.split("\n") if line.startswith("MISSING") and "(optional)" not in line]
    assert missing and all("remedy:" in line for line in missing)


@pytest.mark.parametrize("argv, status", [(["doctor"], 1), (["run", "--", "true"], 125)], ids=["doctor", "run"])
def test_a_device_that_makes_no_tap_is_named(shell, argv, status):
    """It opens, but TUNSETIFF fails: the step and its remedy are named."""
    done = shell("unshare", "--mount", "--", "sh", "-c", 'mount --bind /dev/null /dev/net/tun && "$0" "$@"', SLIRPGATE, *argv)
    text = done.stdout + done.stderr
    assert done.returncode == status and "tap" in text and "is no tun device" in text and "Inappropriate ioctl" in text, text


@pytest.mark.parametrize("path, name", [("{0}/closed:/usr/bin:/bin", "no-such-command"), ("{0}/closed:{0}/plain", "a-file"),
                                        ("{0}/plain:/usr/bin", "a-file"), ("{0}/plain:{0}/more", "a-file"), ("/usr/bin", "{0}/closed/a-file"),
                                        ("/usr/bin", "{0}/plain/a-file"), ("{0}", "plain")])
def test_exit_status_as_a_shell_has_it(shell, tmp_path, path, name):
    """126 and 127, where PATH has a directory that may not be searched, or a file that may not be run."""
    for folder in ("closed", "plain", "more"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a-file").write_text("#!/bin/sh\n")
    (tmp_path / "more" / "a-file").chmod(0o755)
    (tmp_path / "closed").chmod(0)
    command = name.format(tmp_path)
    # neither may overlook modes: an id that owns nothing here, where there is one; the device is opened to it
    as_nobody = ["unshare", "--mount", "--", "/bin/sh", "-c", "mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && "
                 'exec setpriv --reuid 65534 --regid 65534 --clear-groups "$0" "$@"'] if others_are_mapped() else []
    if not as_nobody and "closed" in path + name:
        return  # the owner's own directory is open to whoever makes a user namespace of its own
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == os.getuid() and str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o555)
    set_path = ["/usr/bin/env", "PATH=" + path.format(tmp_path)]
    ours = shell(*as_nobody, *set_path, SLIRPGATE, "run", "--", command)
    theirs = shell(*as_nobody, *set_path, "/bin/bash", "--posix", "-c", command)
    (tmp_path / "closed").chmod(0o700)
    assert theirs.returncode in (0, 126, 127)
    assert ours.returncode == theirs.returncode, ours.stderr + theirs.stderr


def others_are_mapped():
    with open("/proc/self/uid_map", encoding="ascii") as f:
        return any(int(line.split()[2]) > 65534 for line in f)


def test_run_without_a_tap_says_the_same(shell):
    done = shell("unshare", "--mount", "--", "sh", "-c", 'mount -t tmpfs none /dev/net && "$0" run -- true', SLIRPGATE)
    assert done.returncode == 125 and "tun" in done.stderr


def test_version(shell):
    for argv in (["--version"], ["run", "--version"]):
        done = shell(SLIRPGATE, *argv)
        assert done.returncode == 0 and done.stdout.startswith("slirpgate ") and done.stdout.count("\n") == 1


@pytest.mark.parametrize("argv", [["--help"], ["run", "--help"], ["doctor", "--help"]])
def test_help_fits_a_screen(shell, argv):
    done = shell(SLIRPGATE, *argv)
    lines = done.stdout.split("\n")
    assert done.returncode == 0 and done.stderr == ""
    assert len(lines) <= 50 and max(map(len, lines)) <= 100
    if argv[0] == "run":
        assert len(lines) >= 24


def test_stats_text(start):
    g = start("pass", defaults=False, opts=["--stats", "--log-level", "error"])
    g.end()
    assert g.err.startswith("slirpgate: counters\n") and "flows opened" in g.err


def test_policy_warning(start):
    g = start("pass", defaults=False)
    g.end()
    assert "no policy" in g.err
