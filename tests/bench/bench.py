#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The bench: slirpgate beside its peers and beside the limits of the machine.

Called by hand (./dev bench), never by CI: it measures time on whatever machine
it is given.  All stacks of a row are measured in the same run, alternating, so
that a slow minute hits them all; what counts is the ratio between them.

This file runs the rows and reports; the rows themselves, and what is expected
of each, are in files of their own (rows_tcp.py says what such a file has).
lab.py makes the namespaces, stacks.py starts the stacks, traffic.c is the load.
"""

import argparse
import fnmatch
import json
import os
import platform
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from lab import UNSHARE, Failed, Lab, machine_speed  # noqa: E402
import rows_bad  # noqa: E402
import rows_dgram  # noqa: E402
import rows_library  # noqa: E402
import rows_tcp  # noqa: E402
import stacks  # noqa: E402
from stacks import OURS, PEERS  # noqa: E402

ROWS = (rows_tcp, rows_bad, rows_dgram, rows_library)

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
        found = {p: self.get(row, p, field)
                 for p in PEERS + (rows_library.PEER,)}
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

    def judge(self, row):
        self.lines = []
        row["of"].expect(self, row)
        return self.lines


# ---- running and reporting ----

def one_trial(lab, row, name, options):
    def start():
        guests.append(stacks.start(lab, name, row["mtu"], row["family"],
                                   options, row.get("wire"),
                                   row["kind"] != "stream" or not options.no_pin))
        return guests[-1]

    if hasattr(row["of"], "STACKS"):
        return row["trial"](lab, name, row, options)
    guests = []
    try:
        guest = start()
        if row.get("twin"):
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
    runs = min(options.runs, row.get("most_runs", options.runs))
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
    columns = row["of"].columns(row)
    lines = [["stack"] + [c[1] for c in columns]]
    for n in names:
        runs = [r for r in figures[n] if r]
        lines.append([n] + [cell(runs, f, form, i == 0 or row["kind"] != "idle")
                            for i, (f, _, form) in enumerate(columns)])
    print(f"\n{row['name']}: {row['of'].describe(row)}")
    print_table(lines)
    for n in names:
        if failures[n]:
            print(f"  {n}: failed {len(failures[n])} of {len(figures[n])}: "
                  f"{failures[n][-1]}")
    if max(speeds) > 1.25 * min(speeds):
        print(f"  note: the machine itself varied by a factor of "
              f"{max(speeds) / min(speeds):.1f} during this row")
    field, more = row["of"].headline(row)
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


def make_rows():
    return [{"of": module, **row} for module in ROWS
            for row in module.make_rows()]


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
        fit = [n for n in getattr(row["of"], "STACKS", names)
               if not row["of"].unfit(row, n)]
        figures, failures, speeds = run_row(lab, row, fit, options)
        judge.runs[row["name"]] = figures
        report_row(row, fit, figures, failures, speeds, judge)
        for n in names:
            if n not in fit and not hasattr(row["of"], "STACKS"):
                print(f"  {n}: n/a: {row['of'].unfit(row, n)}")
        results[row["name"]] = {"runs": figures, "failures": failures,
                                "speeds": speeds}
        # Some expectations compare two rows: judge all again.
        for done in rows[:i + 1]:
            results[done["name"]]["expected"] = judge.judge(done)
        if options.json:
            write_json(options.json, results, options)
    summary(rows, judge)


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
    p.add_argument("--libslirp", default=rows_library.DEBIAN, metavar="FILE",
                   help="the library that ours is measured beside")
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
            print(f"{r['name']:20} {r['of'].describe(r)}")
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
