#!/usr/bin/python3
"""check_elf.py LIBRARY: what libslirp.so.0 exports, needs and imports.

The sets are facts of the interface: a program built for libslirp finds each symbol under its version, and nothing else of ours gets in
its way; the library loads wherever libc and GLib of Debian 12 are. Prints TAP.
"""

import re
import subprocess
import sys

EXPORTS = {
    "SLIRP_4.0": "slirp_add_exec slirp_add_guestfwd slirp_add_hostfwd slirp_cleanup slirp_connection_info slirp_init slirp_input "
                 "slirp_pollfds_fill slirp_pollfds_poll slirp_remove_hostfwd slirp_socket_can_recv slirp_socket_recv slirp_state_load "
                 "slirp_state_save slirp_state_version slirp_version_string",
    "SLIRP_4.1": "slirp_new",
    "SLIRP_4.2": "slirp_add_unix slirp_remove_guestfwd",
    "SLIRP_4.5": "slirp_add_hostxfwd slirp_remove_hostxfwd slirp_neighbor_info",
    "SLIRP_4.7": "slirp_handle_timer",
    "SLIRP_4.9": "slirp_pollfds_fill_socket slirp_set_debug slirp_reset_debug",
}
PARENTS = ["SLIRP_4.0", "SLIRP_4.1", "SLIRP_4.2", "SLIRP_4.5", "SLIRP_4.7", "SLIRP_4.9"]
GLIBC_FLOOR = (2, 36)  # Debian 12
NEEDED = {"libc.so.6", "libglib-2.0.so.0"}
SONAME = "libslirp.so.0"


def readelf(*args):
    return subprocess.run(["readelf", "-W", *args], capture_output=True, text=True, check=True).stdout


def exports(path):
    """Version -> names, as defined in the dynamic symbol table; the version nodes themselves left out."""
    found = {}
    for line in readelf("--dyn-syms", path).splitlines():
        cells = line.split()
        if len(cells) == 8 and cells[6] not in ("UND", "Ndx", "ABS"):
            name, _, version = cells[7].partition("@@")
            found.setdefault(version, set()).add(name)
    return found


def imports(path):
    """(name, version) of what it takes from others."""
    found = set()
    for line in readelf("--dyn-syms", path).splitlines():
        cells = line.split()
        if len(cells) >= 8 and cells[6] == "UND":
            name, _, version = cells[7].partition("@")
            found.add((name, version))
    return found


def parents(path):
    """Node -> parent, from the version definitions."""
    text = readelf("-V", path)
    names = re.findall(r"Name: (SLIRP_[\d.]+)", text)
    return names, dict(re.findall(r"Name: (SLIRP_[\d.]+)\n\s+\S+ Parent \d+: (SLIRP_[\d.]+)", text))


def too_new(found):
    """Imports of a libc newer than the floor."""
    bad = []
    for name, version in sorted(found):
        match = re.match(r"GLIBC_(\d+)\.(\d+)", version)
        if match and (int(match[1]), int(match[2])) > GLIBC_FLOOR:
            bad.append(f"{name}@{version}")
    return bad


def main():
    path = sys.argv[1]
    dynamic = readelf("-d", path)
    names, chain = parents(path)
    checks = [
        ("exports", exports(path), {version: set(text.split()) for version, text in EXPORTS.items()}),
        ("nodes", names, PARENTS),
        ("chain", chain, dict(zip(PARENTS[1:], PARENTS))),
        ("soname", re.findall(r"SONAME.*\[(.*)\]", dynamic), [SONAME]),
        ("needed", set(re.findall(r"NEEDED.*\[(.*)\]", dynamic)), NEEDED),
        ("libc no newer than the floor", too_new(imports(path)), []),
        ("nothing runs at load time but what the compiler puts there", re.findall(r"\((INIT_ARRAYSZ)\)\s+(\d+)", dynamic),
         [("INIT_ARRAYSZ", "8")]),
        # signal() and sigprocmask() are for the child that becomes a guestfwd's command
        ("no change of limits, signal handlers, threads or privileges",
         sorted(name for name, _ in imports(path) if re.fullmatch(
             r"(setrlimit|prlimit|sigaction|pthread_create|pthread_sigmask|prctl|unshare|setns|abort|exit|_exit|"
             r"g_thread_new|g_error|g_assertion_message.*)", name)), []),
    ]
    print(f"1..{len(checks)}")
    bad = 0
    for i, (what, have, want) in enumerate(checks, 1):
        good = have == want
        bad += not good
        print(f"{'ok' if good else 'not ok'} {i} - {what}" + ("" if good else f": {have} is not {want}"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
