# SPDX-License-Identifier: BSD-3-Clause
"""Rows of the library interface: our libslirp.so.0 beside Debian's libslirp,
both loaded by bench-library, which is application and guest in one process.
See rows_tcp.py for what a file of rows has.

These rows have stacks of their own: two libraries, and `native`, which is no
library at all but the same load over the loopback.  trial() is called with the
name of the stack and the bench's options, there is no guest to start.
"""

import os

from lab import PORTS, Failed, Proc
from stacks import LOAD_CPU, OURS, STACK_CPU

PEER = "libslirp"
NATIVE = "native"
STACKS = (OURS, PEER, NATIVE)
DEBIAN = "/usr/lib/x86_64-linux-gnu/libslirp.so.0"
WARMUP = 0.4
IDLE_COUNT = 2000
IDLE_OPEN_SECONDS = 32
CRR_AT_ONCE = 32


def path_of(lab, name, options):
    path = f"{lab.build}/gateway/doors/libslirp.so.0" if name == OURS \
        else options.libslirp
    if not os.path.exists(path):
        raise Failed(f"{path} is not there")
    return path


class Consumer:
    """bench-library and its server, while phases run."""

    def __init__(self, lab, name, row, options, phases, seconds):
        stream = row["kind"] != "latency"
        self.server, port = lab.server(LOAD_CPU if stream else STACK_CPU)
        self.seconds = seconds
        try:
            self.p = Proc([lab.library, "-l", path_of(lab, name, options),
                           "-m", row["mtu"], "-p", port, "-k", PORTS,
                           "-t", int(seconds * 1000), "-w", int(WARMUP * 1000),
                           *phases], cpu=STACK_CPU)
        except BaseException:
            self.server.stop()
            raise

    def __enter__(self):
        self.p.json(5, "library")
        return self

    def __exit__(self, *_):
        self.p.stop()
        self.server.stop()

    def figures(self):
        """Of the next phase, with the bytes that the server has got meanwhile."""
        self.p.json(WARMUP + 10, "warm-up")
        a = self.server.mark()
        r = self.p.json(self.seconds + 10, "phase")
        b = self.server.mark()
        if r["bad"] or r["failed"] > 0:
            raise Failed(f"{r['failed']} connections reset, "
                         f"{r['bad']} frames with a wrong checksum")
        if r["phase"] == "tx":
            r["bytes"] = b["bytes_in"] - a["bytes_in"]
            r["seconds"] = (b["t"] - a["t"]) / 1e9
        return r


def stream_figures(r):
    if not r["bytes"]:
        raise Failed("stalled: no byte arrived")
    return {"gbit": r["bytes"] * 8 / r["seconds"] / 1e9,
            "cpu_gb": r["cpu"] / (r["bytes"] / 1e9), "probes": r["probes"], "resent": r["resent"]}


def latency_figures(r):
    if not r["transactions"]:
        raise Failed("no transaction finished")
    f = {"per_s": r["transactions"] / r["seconds"], "p50": r["p50_us"],
         "p99": r["p99_us"], "cpu_us": r["cpu"] * 1e6 / r["transactions"]}
    if r["phase"].startswith("crr"):    # the one of rr is still up
        f["files_left"] = r["files_left"]
    return f


def measure_stream(lab, name, row, options):
    with Consumer(lab, name, row, options, [row["dir"]],
                  options.seconds) as c:
        return stream_figures(c.figures())


def measure_latency(lab, name, row, options):
    if name == NATIVE:
        return measure_native(lab, row, options.seconds)
    what = row["dir"] if row["dir"] == "rr" else f"crr-{CRR_AT_ONCE}"
    with Consumer(lab, name, row, options, [what], options.seconds) as c:
        return latency_figures(c.figures())


def measure_native(lab, row, seconds):
    server, port = lab.server(STACK_CPU)
    client = None
    try:
        client = Proc([lab.traffic, "-C", lab.cc, "-h", "127.0.0.1", "-p", port,
                       "-k", PORTS,
                       "-n", 1 if row["dir"] == "rr" else CRR_AT_ONCE,
                       "-t", int(seconds * 1000), "-w", int(WARMUP * 1000),
                       row["dir"]], cpu=STACK_CPU)
        client.json(10, "client")
        r = client.json(seconds + WARMUP + 10, "client")
    finally:
        if client:
            client.stop()
        server.stop()
    return {"per_s": r["per_s"], "p50": r["p50_us"], "p99": r["p99_us"]}


def measure_idle(lab, name, row, options):
    """A first rr, so that what a library sets aside once is not counted."""
    phases = ["rr", f"idle-{IDLE_COUNT}", "tx", "rx", "rr"]
    with Consumer(lab, name, row, options, phases, options.seconds / 2) as c:
        c.figures()
        r = c.p.json(IDLE_OPEN_SECONDS + 10, "idle connections")
        tx, rx = stream_figures(c.figures()), stream_figures(c.figures())
        os.sched_setaffinity(c.server.pid, {STACK_CPU})     # as in lib-rr
        rr = latency_figures(c.figures())
    return {"held": r["held"], "open_s": r["seconds"],
            "kib_conn": r["kib"] / r["held"],
            "files_conn": r["files"] / r["held"], "idle_cpu": r["cpu"] * 1000,
            "tx": tx["gbit"], "rx": rx["gbit"], "p50": rr["p50"]}


# ---- rows ----

def make_rows():
    rows = [{"name": f"lib-{way}-{mtu}", "kind": "stream", "dir": way,
             "mtu": mtu, "trial": measure_stream}
            for mtu in (1500, 65520) for way in ("tx", "rx")]
    rows += [{"name": f"lib-{way}", "kind": "latency", "dir": way, "mtu": 1500,
              "trial": measure_latency} for way in ("rr", "crr")]
    rows.append({"name": "lib-idle2000", "kind": "idle", "mtu": 1500,
                 "trial": measure_idle})
    return [{"family": "v4", **r} for r in rows]


def describe(row):
    if row["kind"] == "stream":
        way = "guest to host" if row["dir"] == "tx" else "host to guest"
        return f"library interface, {way}, 1 stream, MTU {row['mtu']}"
    if row["kind"] == "latency":
        what = "request-response, 1 in flight" if row["dir"] == "rr" else \
            f"connect, request, response, close, {CRR_AT_ONCE} in flight"
        return f"library interface, {what}, all on one CPU"
    return f"library interface, {IDLE_COUNT} idle connections held"


COLUMNS = {
    "stream": [("gbit", "Gbit/s", "{:.2f}"), ("cpu_gb", "CPU s/GB", "{:.2f}"),
               ("probes", "window probes", "{:.0f}"),
               ("resent", "resent", "{:.0f}")],
    "latency": [("per_s", "per s", "{:.0f}"), ("p50", "p50 us", "{:.1f}"),
                ("p99", "p99 us", "{:.0f}"), ("cpu_us", "CPU us each", "{:.1f}"),
                ("files_left", "fds left", "{:.0f}")],
    "idle": [("held", "held", "{:.0f}"), ("open_s", "opened in s", "{:.2f}"),
             ("kib_conn", "KiB/conn", "{:.2f}"),
             ("files_conn", "fds/conn", "{:.2f}"),
             ("idle_cpu", "CPU ms/s idle", "{:.1f}"),
             ("tx", "tx Gbit/s", "{:.2f}"), ("rx", "rx Gbit/s", "{:.2f}"),
             ("p50", "rr p50 us", "{:.1f}")],
}


def columns(row):
    return COLUMNS[row["kind"]]


def headline(row):
    return {"stream": ("gbit", True), "idle": (None, True),
            "latency": ("p50", False) if row.get("dir") == "rr"
            else ("per_s", True)}[row["kind"]]


def unfit(row, name):
    if name == NATIVE and row["kind"] != "latency":
        return "it is only the measure of connections and exchanges"
    return None


# ---- expectations ----

TO_PEER = {"lib-tx-1500": 3, "lib-tx-65520": 2, "lib-rx-1500": 1.3,
           "lib-rx-65520": 1.3}


def expect_idle(judge, name):
    for field, label, sign, target in (
            ("held", "connections held", ">=", IDLE_COUNT),
            ("kib_conn", "KiB of memory per connection", "<=", 2),
            ("files_conn", "descriptors per connection", "<=", 1.01)):
        judge.want(label, judge.get(name, OURS, field), sign, target)
    judge.want("tx / libslirp", judge.paired(name, "tx", PEER), ">=", 5)
    judge.want("rx / libslirp", judge.paired(name, "rx", PEER), ">=", 5)
    judge.want("rr p50 / libslirp", judge.paired(name, "p50", PEER), "<=", 0.1)


def expect(judge, row):
    name = row["name"]
    if row["kind"] == "stream":
        judge.want("rate / libslirp", judge.paired(name, "gbit", PEER), ">=",
                   TO_PEER[name])
        judge.want("CPU per GB / libslirp", judge.paired(name, "cpu_gb", PEER),
                   "<=", 1 / TO_PEER[name])
    elif row["kind"] == "idle":
        expect_idle(judge, name)
    elif row["dir"] == "rr":
        judge.want("p50 / libslirp", judge.paired(name, "p50", PEER), "<=", 1)
    else:
        judge.want("rate / libslirp", judge.paired(name, "per_s", PEER), ">=",
                   1.3)
        judge.want("descriptors left behind",
                   judge.get(name, OURS, "files_left"), "<=", 0)
