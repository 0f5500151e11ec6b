# SPDX-License-Identifier: BSD-3-Clause
"""Rows over TCP: streams, latencies, idle connections, late acknowledgements.

A file of rows has make_rows(), and for its rows describe(), columns(),
headline(), expect() and unfit(); bench.py does the rest.  What a row must
have: name, kind, mtu, family, and trial(lab, guest, row, seconds), which
returns a dictionary of figures.
"""

import statistics
import time

from lab import Failed, descriptors, status_sum
from stacks import LOAD_CPU, OURS, STACK_CPU

WARMUP = 0.4
IDLE_COUNT = 10000
IDLE_OPEN_SECONDS = 40
IDLE_WATCH_SECONDS = 3
IDLE_PROBES = 3
NEVER = 9999            # stands for an infinite ratio


# ---- trials: one stack, one row, one run -> a dictionary of figures ----

def measure_stream(lab, guest, row, seconds):
    """Rate at the receiving end and CPU time, between two marks."""
    server, port = lab.server(guest.load_cpu)
    client = None
    try:
        client = lab.client(guest, guest.load_cpu, port, row["family"], row["dir"],
                            row["streams"])
        client.json(10, "streams did not open")
        receiver = server if row["dir"] == "tx" else client
        time.sleep(WARMUP)
        a, cpu_a = receiver.mark(), guest.cpu()
        time.sleep(seconds)
        b, cpu_b = receiver.mark(), guest.cpu()
        guest.check()
    finally:
        if client:
            client.stop()
        server.stop()
    if b["failed"] > 0:
        raise Failed("a stream broke")
    count = b["bytes_in"] - a["bytes_in"]
    if not count:
        raise Failed("stalled: no byte arrived")
    figures = {"gbit": count * 8 / (b["t"] - a["t"])}
    if guest.stack:
        figures["cpu_gb"] = (cpu_b - cpu_a) / (count / 1e9)
    return figures


def measure_latency(lab, guest, row, seconds):
    """Client, stack and server share a CPU: the least noisy layout."""
    server, port = lab.server(STACK_CPU)
    client = None
    try:
        client = lab.client(guest, STACK_CPU, port, row["family"], row["dir"],
                            row["inflight"], seconds, WARMUP)
        client.json(10, "client")
        r = client.json(seconds + WARMUP + 10, "client")
        guest.check()
    finally:
        if client:
            client.stop()
        server.stop()
    if not r["transactions"]:
        raise Failed(r["error"] or "no transaction finished")
    return {"p50": r["p50_us"], "p99": r["p99_us"], "per_s": r["per_s"],
            "failed": r["failed"]}


def measure_idle(lab, guest, row, seconds, twin):
    """What 10 000 silent connections cost: memory, descriptors, wake-ups, and
    what they do to the traffic of others.  The twin is the same stack without
    them: each probe runs on both, one right after the other."""
    pids = guest.stack_pids()
    # A first exchange of each kind, so that what a stack sets aside once is
    # not counted as the price of a connection.
    for what in ("rx", "tx", "rr"):
        probe(lab, guest, what, 0.2)
    memory = status_sum(pids, "RssAnon")
    files = descriptors(pids)
    server, port = lab.server(LOAD_CPU)
    client = None
    try:
        client = lab.client(guest, LOAD_CPU, port, "v4", "idle", IDLE_COUNT,
                            IDLE_OPEN_SECONDS)
        r = client.json(IDLE_OPEN_SECONDS + 10, "idle connections")
        held = r["ready"]
        if not held:
            raise Failed(r["error"] or "no connection came up")
        time.sleep(0.5)
        figures = {"held": held, "open_s": r["seconds"]}
        if guest.stack:
            memory = status_sum(pids, "RssAnon") - memory
            figures["bytes_conn"] = memory * 1024 / held
            figures["files_conn"] = (descriptors(pids) - files) / held
            woken = status_sum(pids, "voluntary_ctxt_switches")
            time.sleep(IDLE_WATCH_SECONDS)
            figures["wakeups"] = \
                status_sum(pids, "voluntary_ctxt_switches") - woken
        guest.check()
        for what, name in (("rx", "rx_kept"), ("tx", "tx_kept"),
                           ("rr", "rr_grew")):
            figures[name] = compare_probes(lab, guest, twin, what, seconds)
    finally:
        if client:
            client.finish(5)
        server.stop()
    return figures


def probe(lab, guest, what, seconds):
    sub = {"dir": what, "family": "v4", "streams": 1, "inflight": 1}
    if what == "rr":
        return measure_latency(lab, guest, sub, seconds)["p50"]
    return measure_stream(lab, guest, sub, seconds)["gbit"]


def compare_probes(lab, guest, twin, what, seconds):
    """With idle connections relative to without; nothing moves = 0 or, for a
    latency, NEVER."""
    ratios = []
    for _ in range(IDLE_PROBES):
        without = probe(lab, twin, what, seconds / 2)
        try:
            ratios.append(probe(lab, guest, what, seconds / 2) / without)
        except Failed:
            guest.check()
            return NEVER if what == "rr" else 0.0
    return statistics.median(ratios)


# ---- rows ----

def make_rows():
    rows = []
    for mtu in (1500, 65520):
        for family in ("v4", "v6"):
            for n in (1, 8):
                for way in ("tx", "rx"):
                    rows.append({
                        "name": f"{way}-{n}-{mtu}-{family}", "kind": "stream",
                        "dir": way, "mtu": mtu, "family": family,
                        "streams": n, "trial": measure_stream})
    for way in ("rr", "crr", "crrs"):
        for n in (1, 32) if way != "crrs" else (32,):
            rows.append({"name": f"{way}-{n}", "kind": "latency", "dir": way,
                         "mtu": 65520, "family": "v4", "inflight": n,
                         "trial": measure_latency})
    rows.append({"name": "idle10k", "kind": "idle", "mtu": 65520,
                 "family": "v4", "trial": measure_idle, "twin": True,
                 "most_runs": 3})      # this row is long
    for ms in (0.5, 2, 20):
        rows.append({"name": f"ackdelay-{ms}ms", "kind": "delay", "dir": "rx",
                     "mtu": 65520, "family": "v4", "streams": 1,
                     "ms": ms, "wire": ("", f"delay={ms * 1000:g}"),
                     "trial": measure_stream})
    return rows


def describe(row):
    if row["kind"] == "delay":
        return (f"host to guest, 1 stream, MTU {row['mtu']}, the guest's ACKs "
                f"arrive {row['ms']:g} ms late")
    if row["kind"] == "stream":
        way = "guest to host" if row["dir"] == "tx" else "host to guest"
        plural = "" if row["streams"] == 1 else "s"
        return (f"{way}, {row['streams']} stream{plural}, MTU {row['mtu']}, "
                f"IP{row['family']}")
    if row["kind"] == "latency":
        what = {"rr": "request-response, connection kept",
                "crr": "connect, request, response, client closes",
                "crrs": "connect, request, response, server closes"}[row["dir"]]
        return f"{what}, {row['inflight']} in flight, all on one CPU"
    return f"{IDLE_COUNT} idle connections held"


# The columns of each kind of row: field, heading, format.
COLUMNS = {
    "stream": [("gbit", "Gbit/s", "{:.2f}"), ("cpu_gb", "CPU s/GB", "{:.2f}")],
    "delay": [("gbit", "Gbit/s", "{:.2f}"), ("cpu_gb", "CPU s/GB", "{:.2f}"),
              ("wire_lost", "frames lost on the wire", "{:.0f}")],
    "latency": [("p50", "p50 us", "{:.1f}"), ("p99", "p99 us", "{:.0f}"),
                ("per_s", "per s", "{:.0f}")],
    "idle": [("held", "held", "{:.0f}"),
             ("open_s", "opened in s", "{:.1f}"),
             ("bytes_conn", "bytes/conn", "{:.0f}"),
             ("files_conn", "fds/conn", "{:.2f}"),
             ("wakeups", "wakeups/3s", "{:.0f}"),
             ("rx_kept", "rx kept", "{:.2f}"), ("tx_kept", "tx kept", "{:.2f}"),
             ("rr_grew", "rr grew", "{:.2f}")],
}
# The figure whose ratio says most, and whether more of it is better.
HEADLINE = {"stream": ("gbit", True), "delay": ("gbit", True),
            "latency": ("p50", False),
            "crr": ("per_s", True), "idle": (None, True)}


def columns(row):
    return COLUMNS[row["kind"]]


def headline(row):
    """A field, or None, and whether more of it is better."""
    return HEADLINE["crr" if row.get("dir") in ("crr", "crrs") else row["kind"]]


def unfit(row, name):
    """Why a stack cannot be measured in this row, or None."""
    if row["kind"] == "delay" and name.startswith("limit"):
        return "it never resends, and a late guest drops within its window"
    if row["kind"] == "idle" and name == "veth":
        return "there is no stack to hold a connection"
    return None


# ---- expectations ----

def expect_stream(judge, row):
    name = row["name"]
    peer = judge.to_peer(name, "gbit", True)
    if row["mtu"] == 1500:
        factor = 4 if row["dir"] == "rx" else 2
        judge.want("rate / better peer", peer, ">=", factor)
        judge.want("rate / limit", judge.paired(name, "gbit", "limit"),
                  ">=", 0.6)
        big = judge.get(name.replace("-1500-", "-65520-"), OURS, "gbit")
        small = judge.get(name, OURS, "gbit")
        if big and small:
            judge.want("rate at MTU 1500 / at 65520", small / big, ">=", 0.85)
    else:
        judge.want("rate / better peer", peer, ">=", 1)
    loose = row["mtu"] == 65520 and row["dir"] == "tx"
    judge.want("CPU per GB / thriftiest peer",
              judge.to_peer(name, "cpu_gb", False), "<=",
              1.05 if loose else 1)


def expect_latency(judge, row):
    name = row["name"]
    if row["dir"] == "rr":
        judge.want("p50 / better peer", judge.to_peer(name, "p50", False),
                  "<=", 1.05)
    else:
        judge.want("rate / better peer", judge.to_peer(name, "per_s", True),
                  ">=", 1)
        judge.want("p50 / better peer", judge.to_peer(name, "p50", False),
                  "<=", 1)


def expect_idle(judge, row):
    name = row["name"]
    for field, label, sign, target in (
            ("held", "connections held", ">=", IDLE_COUNT),
            ("bytes_conn", "bytes of memory per connection", "<=", 1024),
            ("files_conn", "descriptors per connection", "<=", 1.01),
            ("rx_kept", "rx with / without", ">=", 0.9),
            ("tx_kept", "tx with / without", ">=", 0.9),
            ("rr_grew", "rr p50 with / without", "<=", 1.1)):
        judge.want(label, judge.get(name, OURS, field), sign, target)


def expect(judge, row):
    if row["kind"] == "idle":
        expect_idle(judge, row)
    elif row["kind"] == "latency":
        expect_latency(judge, row)
    elif row["kind"] == "stream" and row["streams"] == 1:
        expect_stream(judge, row)
