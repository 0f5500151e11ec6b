#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The bench: slirpgate beside its peers and beside the limits of the machine.

Called by hand (./dev bench), never by CI: it measures time on whatever machine
it is given.  All stacks of a row are measured in the same run, alternating, so
that a slow minute hits them all; what counts is the ratio between them.

This file has the rows, what is expected of each, and the report.  lab.py makes
the namespaces, stacks.py starts the stacks, traffic.c is the load.
"""

import argparse
import fnmatch
import json
import os
import platform
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from lab import (UNSHARE, Failed, Lab, descriptors,  # noqa: E402
                 machine_speed, status_sum)
import stacks  # noqa: E402
from stacks import OURS, PEERS  # noqa: E402

STACK_CPU, LOAD_CPU = 0, 1
WARMUP = 0.4
IDLE_COUNT = 10000
IDLE_OPEN_SECONDS = 40
IDLE_WATCH_SECONDS = 3
IDLE_PROBES = 3
NEVER = 9999            # stands for an infinite ratio
IDLE_RUNS = 3           # at most: this row is long


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
                 "family": "v4", "trial": measure_idle})
    for ms in (0.5, 2, 20):
        rows.append({"name": f"ackdelay-{ms}ms", "kind": "delay", "dir": "rx",
                     "mtu": 65520, "family": "v4", "streams": 1,
                     "delay_us": int(ms * 1000), "trial": measure_stream})
    return rows


def describe(row):
    if row["kind"] == "delay":
        return (f"host to guest, 1 stream, MTU {row['mtu']}, the guest's ACKs "
                f"arrive {row['delay_us'] / 1000:g} ms late")
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


def headline(row):
    return HEADLINE["crr" if row.get("dir") in ("crr", "crrs") else row["kind"]]


# ---- expectations ----

class Judge:
    """Knows all figures so far, and says what is PASS and what is short.

    A ratio within a row is taken run by run, between trials that ran one after
    the other, and the median of these is what counts: a machine that changes
    its speed between runs does not change the ratio."""

    def __init__(self):
        self.runs = {}          # row -> stack -> [figures or None]
        self.lines = []

    def values(self, row, stack, field):
        """(run, value) pairs."""
        runs = self.runs.get(row, {}).get(stack, [])
        return [(i, r[field]) for i, r in enumerate(runs)
                if r and r.get(field) is not None]

    def get(self, row, stack, field):
        values = [v for _, v in self.values(row, stack, field)]
        return statistics.median(values) if values else None

    def best_peer(self, row, field, more):
        found = {p: self.get(row, p, field) for p in PEERS}
        found = {p: v for p, v in found.items() if v is not None}
        if not found:
            return None
        return (max if more else min)(found, key=found.get)

    def paired(self, row, field, other):
        """Ours relative to another stack, None if either is missing."""
        theirs = dict(self.values(row, other, field))
        ratios = [v / theirs[i] for i, v in self.values(row, OURS, field)
                  if theirs.get(i)]
        return statistics.median(ratios) if ratios else None

    def to_peer(self, row, field, more):
        return self.paired(row, field, self.best_peer(row, field, more))

    def want(self, label, value, sign, target):
        if value is None:
            return
        ok = value >= target if sign == ">=" else value <= target
        self.lines.append({"what": label, "value": round(value, 4),
                           "sign": sign, "target": target,
                           "verdict": "PASS" if ok else "short"})

    def stream(self, row):
        name = row["name"]
        peer = self.to_peer(name, "gbit", True)
        if row["mtu"] == 1500:
            factor = 4 if row["dir"] == "rx" else 2
            self.want("rate / better peer", peer, ">=", factor)
            self.want("rate / limit", self.paired(name, "gbit", "limit"),
                      ">=", 0.6)
            big = self.get(name.replace("-1500-", "-65520-"), OURS, "gbit")
            small = self.get(name, OURS, "gbit")
            if big and small:
                self.want("rate at MTU 1500 / at 65520", small / big, ">=", 0.85)
        else:
            self.want("rate / better peer", peer, ">=", 1)
        loose = row["mtu"] == 65520 and row["dir"] == "tx"
        self.want("CPU per GB / thriftiest peer",
                  self.to_peer(name, "cpu_gb", False), "<=",
                  1.05 if loose else 1)

    def latency(self, row):
        name = row["name"]
        if row["dir"] == "rr":
            self.want("p50 / better peer", self.to_peer(name, "p50", False),
                      "<=", 1.05)
        else:
            self.want("rate / better peer", self.to_peer(name, "per_s", True),
                      ">=", 1)
            self.want("p50 / better peer", self.to_peer(name, "p50", False),
                      "<=", 1)

    def idle(self, row):
        name = row["name"]
        for field, label, sign, target in (
                ("held", "connections held", ">=", IDLE_COUNT),
                ("bytes_conn", "bytes of memory per connection", "<=", 1024),
                ("files_conn", "descriptors per connection", "<=", 1.01),
                ("rx_kept", "rx with / without", ">=", 0.9),
                ("tx_kept", "tx with / without", ">=", 0.9),
                ("rr_grew", "rr p50 with / without", "<=", 1.1)):
            self.want(label, self.get(name, OURS, field), sign, target)

    def judge(self, row):
        self.lines = []
        if row["kind"] == "idle":
            self.idle(row)
        elif row["kind"] == "latency":
            self.latency(row)
        elif row["kind"] == "stream" and row["streams"] == 1:
            self.stream(row)
        return self.lines


# ---- running and reporting ----

def one_trial(lab, row, name, options):
    def start():
        guests.append(stacks.start(lab, name, row["mtu"], row["family"],
                                   options, row.get("delay_us"),
                                   row["kind"] != "stream" or not options.no_pin))
        return guests[-1]

    guests = []
    try:
        guest = start()
        if row["kind"] == "idle":
            return row["trial"](lab, guest, row, options.seconds, start())
        figures = row["trial"](lab, guest, row, options.seconds)
        if guest.wire:
            figures["wire_lost"] = guest.wire_lost()
        return figures
    except Failed as e:
        words = guests[0].words() if guests else ""
        raise Failed(f"{e}; {words}" if words and words not in str(e) else e)
    finally:
        for g in guests:
            g.stop()


def run_row(lab, row, names, options):
    """All stacks alternate, run by run.  A failed trial leaves a None."""
    figures = {n: [] for n in names}
    failures = {n: [] for n in names}
    speeds = []
    runs = options.runs
    if row["kind"] == "idle":
        runs = min(runs, IDLE_RUNS)
    for run in range(runs):
        for n in names:
            progress(f"{row['name']} run {run + 1} {n}")
            speeds.append(machine_speed())
            try:
                figures[n].append(one_trial(lab, row, n, options))
            except (Failed, OSError, subprocess.TimeoutExpired) as e:
                figures[n].append(None)
                failures[n].append(str(e) or type(e).__name__)
    progress("")
    return figures, failures, speeds


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def cell(runs, field, form, spread):
    values = [r[field] for r in runs if field in r]
    if not values:
        return "-"
    text = form.format(statistics.median(values))
    if spread and len(values) > 1:
        text += f" ({form.format(min(values))}..{form.format(max(values))})"
    return text


def print_table(lines):
    widths = [max(len(l[i]) for l in lines) for i in range(len(lines[0]))]
    for l in lines:
        print("  " + "  ".join(c.ljust(w) for c, w in zip(l, widths)).rstrip())


def report_row(row, names, figures, failures, speeds, judge):
    columns = COLUMNS[row["kind"]]
    lines = [["stack"] + [c[1] for c in columns]]
    for n in names:
        runs = [r for r in figures[n] if r]
        lines.append([n] + [cell(runs, f, form, i == 0 or row["kind"] != "idle")
                            for i, (f, _, form) in enumerate(columns)])
    print(f"\n{row['name']}: {describe(row)}")
    print_table(lines)
    for n in names:
        if failures[n]:
            print(f"  {n}: failed {len(failures[n])} of {len(figures[n])}: "
                  f"{failures[n][-1]}")
    if max(speeds) > 1.25 * min(speeds):
        print(f"  note: the machine itself varied by a factor of "
              f"{max(speeds) / min(speeds):.1f} during this row")
    field, more = headline(row)
    against = [("better peer", judge.best_peer(row["name"], field, more)),
               ("limit", "limit")] if field else []
    for label, other in against:
        ratio = judge.paired(row["name"], field, other)
        if ratio:
            print(f"  {field}: ours / {label} ({other}) = {ratio:.2f}"
                  + ("" if more else "  (less is better)"))
    for l in judge.judge(row):
        print(f"  {l['verdict']:5}  {l['what']}: {l['value']:.2f} "
              f"(wanted {l['sign']} {l['target']:g})")
    sys.stdout.flush()


def select_rows(options):
    patterns = options.rows.split(",")
    return [r for r in make_rows()
            if any(fnmatch.fnmatch(r["name"], p) for p in patterns)]


def select_stacks(options):
    names = []
    for n in options.stacks.split(","):
        if n not in stacks.STARTERS:
            raise SystemExit(f"bench: unknown stack {n}, there are "
                             f"{', '.join(stacks.STARTERS)}")
        why = stacks.missing(n, options)
        if why:
            print(f"note: {n} is left out: {why}")
        else:
            names.append(n)
    return names


def write_json(path, results, options):
    doc = {"kernel": platform.release(), "runs": options.runs,
           "seconds": options.seconds, "cc": options.cc, "rows": results}
    with open(path, "w") as f:
        json.dump(doc, f, indent=1)
        f.write("\n")


def run_all(lab, options):
    names = select_stacks(options)
    results = {}
    judge = Judge()
    rows = select_rows(options)
    for i, row in enumerate(rows):
        fit = [n for n in names if not unfit(row, n)]
        figures, failures, speeds = run_row(lab, row, fit, options)
        judge.runs[row["name"]] = figures
        report_row(row, fit, figures, failures, speeds, judge)
        for n in names:
            if n not in fit:
                print(f"  {n}: n/a: {unfit(row, n)}")
        results[row["name"]] = {"runs": figures, "failures": failures,
                                "speeds": speeds}
        # Some expectations compare two rows: judge all again.
        for done in rows[:i + 1]:
            results[done["name"]]["expected"] = judge.judge(done)
        if options.json:
            write_json(options.json, results, options)
    summary(rows, judge)


def unfit(row, name):
    if row["kind"] == "delay" and name.startswith("limit"):
        return "it never resends, and a late guest drops within its window"
    if row["kind"] == "idle" and name == "veth":
        return "there is no stack to hold a connection"
    return None


def summary(rows, judge):
    """Once more at the end: some expectations compare two rows."""
    verdicts = [(r["name"], l) for r in rows for l in judge.judge(r)]
    if not verdicts:
        return
    short = [v for v in verdicts if v[1]["verdict"] != "PASS"]
    print(f"\n{len(verdicts) - len(short)} of {len(verdicts)} expectations met")
    for name, l in short:
        print(f"  short  {name}: {l['what']}: {l['value']:.2f} "
              f"(wanted {l['sign']} {l['target']:g})")


def parse_options():
    root = os.path.dirname(os.path.dirname(HERE))
    p = argparse.ArgumentParser(
        prog="bench", description="Measure slirpgate beside peers and limits.")
    p.add_argument("--rows", default="*", metavar="PATTERN",
                   help="rows to run, shell patterns, comma-separated")
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--seconds", type=float, default=2,
                   help="time measured per trial")
    p.add_argument("--stacks", default=",".join(stacks.DEFAULT),
                   metavar="LIST", help="any of " + ", ".join(stacks.STARTERS))
    p.add_argument("--json", metavar="FILE", help="write all figures there")
    p.add_argument("--list", action="store_true", help="list the rows")
    p.add_argument("--build", default=os.path.join(root, "build"),
                   help="build directory (default: build)")
    p.add_argument("--slirpgate", metavar="PROGRAM",
                   help="default: slirpgate in the build directory")
    p.add_argument("--slirpgate-args", default="", metavar="ARGS",
                   help="further options for slirpgate run")
    p.add_argument("--cc", default="cubic", metavar="NAME",
                   help="congestion control on both sides (default: cubic)")
    p.add_argument("--no-pin", action="store_true",
                   help="streams: let the kernel place stack and load")
    p.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = p.parse_args()
    options.build = os.path.abspath(options.build)
    options.slirpgate = options.slirpgate or f"{options.build}/slirpgate"
    return options


def main():
    options = parse_options()
    if options.list:
        for r in make_rows():
            print(f"{r['name']:20} {describe(r)}")
        return 0
    if not options.inside:
        os.execvp(UNSHARE[0], UNSHARE + [sys.executable, __file__, "--inside"]
                  + sys.argv[1:])
    if len(os.sched_getaffinity(0)) < 2:
        print("note: fewer than two CPUs, the figures will say little")
    lab = Lab(options.build, options.cc)
    try:
        run_all(lab, options)
    except KeyboardInterrupt:
        print("\nbench: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
