"""A state goes from the distribution's libslirp to ours, from ours to it, and from ours to ours: leases and an open connection.

The program is tests/abi/state_pair.c; nothing of it leaves the process.
"""

import os
import subprocess

import pytest

BUILD = os.path.dirname(os.environ.get("SLIRPGATE", os.path.join(os.path.dirname(__file__), "..", "..", "build", "slirpgate")))
OURS = os.path.join(BUILD, "gateway", "doors", "libslirp.so.0")
PAIR = os.path.join(BUILD, "tests", "abi", "state_pair")


def theirs():
    """The file of the package libslirp0."""
    found = subprocess.run(["dpkg", "-L", "libslirp0"], capture_output=True, text=True, check=True).stdout.split()
    return next(path for path in found if path.endswith("/libslirp.so.0"))


@pytest.mark.parametrize("way", ["ours to ours", "theirs to ours", "ours to theirs"])
def test_carried_over(way):
    libraries = [OURS if word == "ours" else theirs() for word in way.split(" to ")]
    assert os.path.realpath(OURS) != os.path.realpath(theirs())
    ways = [["--under-way"], []] if libraries[1] == OURS else [[]]  # libslirp 4.7.0 forgets how many bytes were under way
    for option in ways:
        done = subprocess.run([PAIR, *option, *libraries], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (0, "carried over\n"), done.stderr
