"""`slirpgate attach`: a namespace that exists already, as process, path and name; from its first packet to its end. Design 9."""

import subprocess

import pytest

from wire import *

SLIRPGATE = os.environ["SLIRPGATE"]
HERE = os.path.dirname(os.path.abspath(__file__))
NOBODY = 65534
DEFAULTS = ["--dns", WEB4, "--log-level", "error"]
FETCH = "from wire import *\nsay(recv_line(connect(sys.argv[1], WHO)).split()[0])\n"


def until(true, what):
    limit = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < limit, what
        time.sleep(0.02)


def unlimited_ids():
    """Whether this test may become another user at all."""
    with open("/proc/self/uid_map", encoding="ascii") as f:
        return os.geteuid() == 0 and int(f.read().split()[2]) > NOBODY


class Space:
    """A network namespace with one process, which ends with its standard input."""

    def __init__(self, *how, **kw):
        self.process = subprocess.Popen(["unshare", *(how or ["--net"]), "--", "sh", "-c", "echo there; exec cat"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, **kw)
        assert self.process.stdout.readline() == "there\n"
        self.pid = self.process.pid

    def inside(self, *argv, **kw):
        return subprocess.run(["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *argv], text=True, capture_output=True, timeout=LIMIT,
                              check=False, env={**os.environ, "PYTHONPATH": HERE, "PYTHONDONTWRITEBYTECODE": "1"}, **kw)

    def reaches(self, address=WEB4):
        done = self.inside("/usr/bin/python3", "-c", FETCH, address)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().rsplit("::ffff:")[-1]

    def links(self):
        return [line.split()[0] for line in self.inside("ip", "-brief", "link").stdout.strip().split("\n")]

    def end(self):
        self.process.stdin.close()
        self.process.wait(LIMIT)


@pytest.fixture
def space():
    spaces = []

    def make(*how, **kw):
        spaces.append(Space(*how, **kw))
        return spaces[-1]
    yield make
    for one in spaces:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait(LIMIT)


@pytest.fixture
def name():
    """A namespace of ip-netns(8), in mounts that only this process sees."""
    for argv in (["mkdir", "-p", "/run/netns"], ["mount", "-t", "tmpfs", "none", "/run/netns"], ["ip", "netns", "add", "blue"]):
        assert subprocess.run(argv, check=False).returncode == 0
    yield "blue"
    subprocess.run("ip netns delete blue 2>/dev/null; umount -R /run/netns", shell=True, check=False)


@pytest.fixture
def attach():
    """attach(ARGV...) -> the process, in the foreground, once the tap is there and its PID file tells of service."""
    processes = []

    def run(target, *opts, path, **kw):
        file = str(path / f"pid{len(processes)}")
        process = subprocess.Popen([SLIRPGATE, "attach", *DEFAULTS, "--pid-file", file, *opts, str(target)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True, **kw)
        processes.append(process)
        until(lambda: os.path.exists(file) or process.poll() is not None, "never served")
        assert process.poll() is None, process.communicate()
        process.file = file
        return process
    yield run
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ended(process, status=0):
    _out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == status, err
    assert not os.path.exists(process.file)
    return err


def refused(*argv, status=1):
    """One sentence on standard error."""
    done = subprocess.run([SLIRPGATE, "attach", *DEFAULTS, *map(str, argv)], text=True, capture_output=True, timeout=LIMIT, check=False)
    assert done.returncode == status, done.stderr
    assert done.stdout == "" and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


# ------------------------------------------------------------------ each kind of target

def test_process(space, attach, tmp_path):
    guest = space()
    running = attach(guest.pid, path=tmp_path)
    assert guest.reaches(WEB4) == HOST4 and guest.reaches(WEB6) in (HOST6, OUT6)
    assert "10.0.2.15/24" in guest.inside("ip", "-brief", "address", "show", "tap0").stdout
    with open(running.file, encoding="ascii") as f:
        assert int(f.read()) == running.pid
    guest.end()
    assert ended(running) == ""


def test_path(space, attach, tmp_path):
    guest = space()
    running = attach(f"/proc/{guest.pid}/ns/net", "--ifname", "eth0", "-4", "--net", "172.20.5.0/24", path=tmp_path)
    assert guest.reaches() == HOST4 and "eth0" in guest.links()
    assert "172.20.5.15/24" in guest.inside("ip", "-brief", "address").stdout
    guest.end()
    ended(running)


def test_name_until_it_is_deleted(name, attach, shell, tmp_path):
    running = attach(name, path=tmp_path)
    done = shell("ip", "netns", "exec", name, "/usr/bin/python3", "-c", FETCH, WEB4, env={**os.environ, "PYTHONPATH": HERE})
    assert done.stdout.strip().endswith(HOST4), done.stderr
    assert shell("ip", "netns", "delete", name).returncode == 0
    ended(running)


def test_mounted_file_alone_keeps_it_going(space, attach, shell, tmp_path):
    """What holds the namespace is what counts, not the process that was named."""
    guest, file = space(), tmp_path / "net"
    file.write_text("")
    assert shell("mount", "--bind", f"/proc/{guest.pid}/ns/net", str(file)).returncode == 0
    running = attach(guest.pid, path=tmp_path)
    guest.end()
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(0.3)
    done = shell("nsenter", f"--net={file}", "--", "/usr/bin/python3", "-c", FETCH, WEB4, env={**os.environ, "PYTHONPATH": HERE})
    assert done.stdout.strip().endswith(HOST4), done.stderr
    assert shell("umount", str(file)).returncode == 0
    ended(running)


def test_namespace_of_a_user_namespace(space, attach, tmp_path):
    guest = space("--user", "--map-root-user", "--net")
    running = attach(guest.pid, path=tmp_path)
    assert guest.reaches() == HOST4
    guest.end()
    ended(running)


def nobodys(argv, **kw):
    """A process of another user; the program is found by its descriptor, whatever folders that user may not see."""
    fd = os.open(argv[0], os.O_RDONLY)
    try:
        return subprocess.Popen(argv, executable=f"/proc/self/fd/{fd}", pass_fds=[fd], user=NOBODY, group=NOBODY, extra_groups=[], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)
    finally:
        os.close(fd)


@pytest.fixture
def open_tun(shell):
    """A /dev/net/tun for everybody, in mounts that only this process sees."""
    done = shell("sh", "-ec", "mount -t tmpfs none /dev/net; mknod -m 0666 /dev/net/tun c 10 200; chmod 0666 /dev/net/tun")
    assert done.returncode == 0, done.stderr
    yield
    shell("umount", "/dev/net")


@pytest.mark.skipif(not unlimited_ids(), reason="one user here has no other user to become")
def test_unprivileged_owner(space, open_tun):
    """Who made the user namespace needs no privilege to attach to what belongs to it."""
    guest = space("--user", "--map-root-user", "--net", user=NOBODY, group=NOBODY, extra_groups=[])
    running = nobodys([SLIRPGATE, "attach", *DEFAULTS, str(guest.pid)], cwd="/")
    until(lambda: "tap0" in guest.links() or running.poll() is not None, "no tap")
    assert running.poll() is None, running.communicate()
    until(lambda: "10.0.2.15" in guest.inside("ip", "-brief", "-4", "address").stdout, "no address")
    assert guest.reaches() == HOST4
    guest.end()
    assert running.communicate(timeout=LIMIT) == ("", "") and running.returncode == 0


@pytest.mark.skipif(not unlimited_ids(), reason="one user here has no other user to become")
def test_unprivileged_stranger(space, name):
    """Neither a namespace of root's nor one of another user's."""
    process = nobodys([SLIRPGATE, "attach", *DEFAULTS, name], cwd="/")
    _out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 1 and "may not enter" in err and name in err and err.count("\n") == 1
    guest = space()
    process = nobodys([SLIRPGATE, "attach", *DEFAULTS, str(guest.pid)], cwd="/")
    _out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 1 and str(guest.pid) in err and err.count("\n") == 1


# ------------------------------------------------------------------ the end

@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_it(space, attach, tmp_path, number):
    guest = space()
    running = attach(guest.pid, path=tmp_path)
    assert guest.reaches() == HOST4
    os.killpg(running.pid, number)
    ended(running)
    assert guest.links() == ["lo"]


def test_again_after_the_end(space, attach, tmp_path):
    guest = space()
    for _round in range(2):
        running = attach(guest.pid, path=tmp_path)
        assert guest.reaches() == HOST4
        running.terminate()
        ended(running)


def test_removed_interface_ends_it(space, attach, tmp_path):
    guest = space()
    running = attach(guest.pid, path=tmp_path)
    assert guest.inside("ip", "link", "delete", "tap0").returncode == 0
    ended(running)


def test_last_bytes_of_the_last_process_arrive(space, attach, tmp_path):
    """A socket with data under way holds its namespace, and so the gateway: what was sent arrives though nobody is left."""
    guest = space()
    running = attach(guest.pid, path=tmp_path)
    key, size = f"attach-{os.getpid()}", 3 * MIB
    done = guest.inside("/usr/bin/python3", "-c", """
from wire import *
conn = connect(WEB4, EARLY)
conn.sendall((sys.argv[1] + "\\n").encode())
recv_line(conn)
send_stream(conn, 7, int(sys.argv[2]))
os.kill(int(sys.argv[3]), signal.SIGKILL)
os._exit(0)
""", key, str(size), str(guest.pid))
    assert done.returncode == 0, done.stderr
    assert result(key).split() == [str(size), digest(7, size)]
    ended(running)


def test_stats_at_the_end(space, attach, tmp_path):
    guest = space()
    running = attach(guest.pid, "--stats=json", path=tmp_path)
    guest.reaches()
    guest.end()
    assert '"flows_opened":1' in ended(running)


# ------------------------------------------------------------------ --daemon, --pid-file

def daemon(target, *opts):
    done = subprocess.run([SLIRPGATE, "attach", *DEFAULTS, "--daemon", *opts, str(target)], text=True, capture_output=True, timeout=LIMIT,
                          check=False)
    return done


def test_daemon_serves_when_its_caller_is_told(space, tmp_path):
    guest, file = space(), tmp_path / "pid"
    done = daemon(guest.pid, "--pid-file", str(file))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert guest.reaches() == HOST4  # the first packet, at once
    pid = int(file.read_text())
    assert os.readlink(f"/proc/{pid}/cwd") == "/" and os.getsid(pid) == pid
    assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)} == {"/dev/null"}
    guest.end()
    until(lambda: not file.exists(), "the PID file is still there")


def test_daemon_ends_at_term(space, tmp_path):
    guest, file = space(), tmp_path / "pid"
    assert daemon(guest.pid, "--pid-file", str(file)).returncode == 0
    os.kill(int(file.read_text()), signal.SIGTERM)
    until(lambda: not file.exists() and guest.links() == ["lo"], "still there")


def test_daemon_says_what_fails(space, tmp_path):
    guest = space()
    done = daemon(guest.pid, "--pid-file", str(tmp_path / "none" / "pid"))
    assert done.returncode == 1 and "--pid-file" in done.stderr and done.stderr.count("\n") == 1
    assert guest.links() == ["lo"]
    done = daemon("/nowhere/net")
    assert done.returncode == 1 and "/nowhere/net" in done.stderr


def test_pid_file_of_a_living_one(space, attach, tmp_path):
    first, second = space(), space()
    running = attach(first.pid, path=tmp_path)
    err = refused("--pid-file", running.file, second.pid)
    assert str(running.pid) in err and running.file in err
    assert second.links() == ["lo"] and first.reaches() == HOST4


@pytest.mark.parametrize("text", ["", "1\n", "999999\n"])
def test_pid_file_of_a_dead_one(space, tmp_path, text):
    guest, file = space(), tmp_path / "pid"
    file.write_text(text)
    assert daemon(guest.pid, "--pid-file", str(file)).returncode == 0
    assert os.path.exists(f"/proc/{int(file.read_text())}/ns") and os.listdir(tmp_path) == ["pid"]
    guest.end()
    until(lambda: not file.exists(), "the PID file is still there")


def test_pid_file_of_another_kind_is_not_lost(space, tmp_path):
    file = tmp_path / "letter"
    file.write_text("dear reader\n")
    assert "no PID file" in refused("--pid-file", file, space().pid)
    assert file.read_text() == "dear reader\n"


# ------------------------------------------------------------------ what is wrong

def test_second_one_needs_another_name(space, attach, tmp_path):
    guest = space()
    attach(guest.pid, "-4", path=tmp_path)
    err = refused(guest.pid)
    assert "tap0 already" in err and "--ifname" in err
    err = refused("-4", "--ifname", "tap1", guest.pid)
    assert "IPv4 default route" in err and "already" in err
    attach(guest.pid, "-6", "--ifname", "tap1", path=tmp_path)
    assert guest.reaches(WEB4) == HOST4 and guest.reaches(WEB6) in (HOST6, OUT6)


def test_no_such_process():
    with open("/proc/sys/kernel/pid_max", encoding="ascii") as f:
        pid = int(f.read()) - 1
    assert f"no process {pid}" in refused(pid)


def test_no_such_name():
    assert "no network namespace green" in refused("green")


def test_no_such_path(tmp_path):
    assert "/nowhere/net" in refused("/nowhere/net")
    (tmp_path / "file").write_text("")
    assert "is not a network namespace" in refused(tmp_path / "file")
    assert "is not a network namespace" in refused("/proc/self/ns/mnt")
    os.mkfifo(tmp_path / "fifo")
    assert "is not a network namespace" in refused(tmp_path / "fifo")


def test_our_own_namespace():
    assert "slirpgate itself is in" in refused(os.getpid())


@pytest.mark.parametrize("argv, words", [
    ([], ["PID, PATH or NAME"]),
    ([""], ["empty"]),
    (["0"], ["not in 1-4194304"]),
    (["99999999999"], ["not in 1-4194304"]),
    ([".."], ["..", "column 1"]),
    (["1", "2"], ["2: a second namespace behind 1"]),
    (["--root", "1"], ["--root: no such option"]),
    (["--pid-file=", "1"], ["--pid-file"]),
    (["--mtu", "15o0", "1"], ["--mtu", "column 3"]),
    (["--daemon", "--stats", "1"], ["--stats", "--daemon"]),
])
def test_wrong_usage(argv, words):
    err = refused(*argv, status=2)
    for word in words:
        assert word in err


# ------------------------------------------------------------------ resolv.conf is looked at, never touched

@pytest.mark.parametrize("text, warned", [(f"nameserver {DNS4}\n", False), (f"nameserver 127.0.0.53\nnameserver {DNS6}\n", False),
                                          (f"nameserver {WEB4}\n", False), ("nameserver 127.0.0.53\nnameserver ::1\n", True), (None, True)])
def test_resolv_conf_that_does_not_lead_here(space, tmp_path, text, warned):
    """Of the process's own root, whose absolute links stay below it."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    if text is not None:
        (root / "real").write_text(text)
        (root / "etc" / "resolv.conf").symlink_to("/real")
    guest = space()
    holder = subprocess.Popen(["nsenter", f"--net=/proc/{guest.pid}/ns/net", "--", "/usr/bin/python3", "-c",
                               "import os, sys\nos.chroot(sys.argv[1])\nprint('there', flush=True)\nsys.stdin.read()", str(root)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"there\n"
    done = subprocess.run([SLIRPGATE, "attach", "--dns", WEB4, "--daemon", str(holder.pid)], text=True, capture_output=True, timeout=LIMIT,
                          check=False)
    holder.stdin.close()
    holder.wait(LIMIT)
    assert done.returncode == 0
    said = [line for line in done.stderr.split("\n") if "resolv.conf" in line]
    assert len(said) == warned and "no policy" in done.stderr, done.stderr
    if warned:
        assert f"/proc/{holder.pid}/root/etc/resolv.conf names no name server" in said[0] and f"{DNS4} or {DNS6}" in said[0]


def test_help(shell):
    done = shell(SLIRPGATE, "attach", "--help")
    lines = done.stdout.split("\n")
    assert done.returncode == 0 and done.stderr == "" and 24 <= len(lines) <= 50 and max(map(len, lines)) <= 100
    assert shell(SLIRPGATE, "attach", "--version").stdout.startswith("slirpgate ")
