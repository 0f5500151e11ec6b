"""The DNS relay follows the host's resolv.conf while it runs: a file written in place, a file replaced, a link swapped."""

import shutil

import pytest

from wire import *

ASK = """
def known():
    return dns_udp(DNS4, "www.e2e.test")[3] & 15 == 0

limit = time.monotonic() + LIMIT
say(known())
for word in sys.argv[1:]:
    hear()
    while known() != (word == "yes") and time.monotonic() < limit:
        time.sleep(0.05)
    say(known())
"""
OPTS = ["--stats=json", "--log-level", "error"]
GOOD, BAD = f"nameserver {WEB4}\n", f"nameserver {MORE4[1]}\n"  # at the second nobody serves names


@pytest.fixture
def etc(shell, tmp_path):
    """An /etc of our own, in which resolv.conf is ours to make."""
    ours = tmp_path / "etc"
    shutil.copytree("/etc", ours, symlinks=True, ignore=lambda d, names: [n for n in names if not os.access(os.path.join(d, n), os.R_OK)])
    (ours / "resolv.conf").unlink(missing_ok=True)
    (tmp_path / "run").mkdir()
    assert shell("mount", "--bind", str(ours), "/etc").returncode == 0
    yield tmp_path
    assert shell("umount", "/etc").returncode == 0


def step(g, want):
    g.say()
    assert g.hear() == str(want)


def test_replaced_and_written(start, etc):
    """In place through a bind mount, as in containers; then by rename, as NetworkManager does it; the relay needs no restart."""
    conf = etc / "etc" / "resolv.conf"
    conf.write_text(BAD)
    g = start(ASK, "yes", "no", "yes", opts=OPTS, defaults=False)
    assert g.hear() == "False"
    conf.write_text(GOOD)
    step(g, True)
    (etc / "etc" / "new").write_text(BAD)
    os.replace(etc / "etc" / "new", conf)
    step(g, False)
    conf.write_text(GOOD)
    step(g, True)
    g.end()


def test_link_swapped(start, etc):
    """systemd-resolved and resolvconf: resolv.conf is a link into /run."""
    conf = etc / "etc" / "resolv.conf"
    (etc / "run" / "a").write_text(BAD)
    (etc / "run" / "b").write_text(GOOD)
    conf.symlink_to(etc / "run" / "a")
    g = start(ASK, "yes", "no", opts=OPTS, defaults=False)
    assert g.hear() == "False"
    (etc / "etc" / "new").symlink_to(etc / "run" / "b")
    os.replace(etc / "etc" / "new", conf)
    step(g, True)
    (etc / "run" / "c").write_text(BAD)
    os.replace(etc / "run" / "c", etc / "run" / "b")
    step(g, False)
    g.end()


def test_given_servers_stay(start, etc):
    """--dns is the person's word: the file is not followed."""
    conf = etc / "etc" / "resolv.conf"
    conf.write_text(GOOD)
    g = start(ASK, "yes", opts=[*OPTS, "--dns", WEB4], defaults=False)
    assert g.hear() == "True"
    conf.write_text(BAD)
    time.sleep(0.3)
    step(g, True)
    g.end()
