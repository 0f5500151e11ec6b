# SPDX-License-Identifier: BSD-3-Clause
"""Rows about bad times: a wire that loses segments, connections that come and
go for half a minute, and what these leave behind.  See rows_tcp.py for what a
file of rows has."""

import statistics
import time

from lab import Failed, status_sum
from rows_tcp import measure_stream
from stacks import OURS, STACK_CPU

LOSS_PERCENT = 1
CHURN_SECONDS = 30
CHURN_EDGE = 5          # first and last seconds that are compared
CHURN_INFLIGHT = 32
LEFT_COUNT = 60000
LEFT_SECONDS = 50       # TIME-WAIT lasts 60: nothing may expire before the end


def churn(lab, guest, seconds, enough=None):
    """Exchanges whose server closes first: one mark each second."""
    server, port = lab.server(STACK_CPU)
    client = None
    try:
        client = lab.client(guest, STACK_CPU, port, "v4", "crrs",
                            CHURN_INFLIGHT, seconds + 10)
        client.json(10, "client")
        marks = [client.mark()]
        begin = time.monotonic()
        step = 1 if enough is None else 0.1
        while time.monotonic() < begin + seconds:
            time.sleep(max(0, begin + len(marks) * step - time.monotonic()))
            marks.append(client.mark())
            if enough and marks[-1]["exchanges"] >= enough:
                break
        guest.check()
    finally:
        if client:
            client.finish(5)
        server.stop()
    return marks


def measure_churn(lab, guest, row, seconds):
    marks = churn(lab, guest, CHURN_SECONDS)
    rates = [(b["exchanges"] - a["exchanges"]) / (b["t"] - a["t"]) * 1e9
             for a, b in zip(marks, marks[1:])]
    first, last = rates[:CHURN_EDGE], rates[-CHURN_EDGE:]
    if not statistics.median(first):
        raise Failed("no transaction finished")
    return {"per_s": statistics.mean(rates),
            "worst": min(rates) / statistics.median(rates),
            "kept": statistics.median(last) / statistics.median(first),
            "failed": marks[-1]["failed"] - marks[0]["failed"],
            "series": [round(r) for r in rates]}


def measure_left(lab, guest, row, seconds):
    """What LEFT_COUNT connections leave behind when their server has closed.
    A first few are not counted: they pay for what is set aside once."""
    churn(lab, guest, 1)
    pids = guest.stack_pids()
    memory = status_sum(pids, "RssAnon")
    marks = churn(lab, guest, LEFT_SECONDS, LEFT_COUNT)
    count = marks[-1]["exchanges"]
    time.sleep(0.5)
    grown = (status_sum(pids, "RssAnon") - memory) * 1024
    return {"bytes_left": grown / max(count, 1), "left": count,
            "open_s": (marks[-1]["t"] - marks[0]["t"]) / 1e9,
            "failed": marks[-1]["failed"]}


# ---- rows ----

def make_rows():
    loss = f"loss={LOSS_PERCENT}"
    rows = [{"name": f"loss{LOSS_PERCENT}-{way}", "kind": "loss", "dir": way,
             "mtu": 1500, "family": "v4", "streams": 1, "wire": (loss, loss),
             "trial": measure_stream} for way in ("tx", "rx")]
    rows.append({"name": f"crrs{CHURN_SECONDS}", "kind": "churn", "mtu": 65520,
                 "family": "v4", "trial": measure_churn, "most_runs": 3})
    rows.append({"name": "tw60k", "kind": "left", "mtu": 65520, "family": "v4",
                 "trial": measure_left, "most_runs": 3})
    return rows


def describe(row):
    if row["kind"] == "loss":
        way = "guest to host" if row["dir"] == "tx" else "host to guest"
        return (f"{way}, 1 stream, MTU {row['mtu']}, {LOSS_PERCENT} % of the "
                f"segments lost, each way")
    if row["kind"] == "churn":
        return (f"connect, request, response, server closes, {CHURN_INFLIGHT} "
                f"in flight for {CHURN_SECONDS} s, all on one CPU")
    return (f"memory after {LEFT_COUNT} connections that their servers closed, "
            f"less than a minute later")


COLUMNS = {
    "loss": [("gbit", "Gbit/s", "{:.3f}"), ("cpu_gb", "CPU s/GB", "{:.2f}"),
             ("wire_lost", "frames lost beyond that", "{:.0f}")],
    "churn": [("per_s", "per s", "{:.0f}"),
              ("kept", "last / first 5 s", "{:.2f}"),
              ("worst", "worst s / median", "{:.2f}"),
              ("failed", "failed", "{:.0f}")],
    "left": [("bytes_left", "bytes/conn", "{:.1f}"), ("left", "conns", "{:.0f}"),
             ("open_s", "in s", "{:.1f}"), ("failed", "failed", "{:.0f}")],
}
HEADLINE = {"loss": ("gbit", True), "churn": ("per_s", True),
            "left": (None, True)}


def columns(row):
    return COLUMNS[row["kind"]]


def headline(row):
    """A field, or None, and whether more of it is better."""
    return HEADLINE[row["kind"]]


def unfit(row, name):
    """Why a stack cannot be measured in this row, or None."""
    if row["kind"] == "loss" and name.startswith("limit"):
        return "it never resends"
    if row["kind"] == "loss" and name == "veth":
        return "there is no gateway to stand behind the wire"
    if row["kind"] == "left" and name == "veth":
        return "the kernel's TIME-WAIT is not memory of a process"
    return None


# ---- expectations ----

def expect(judge, row):
    name = row["name"]
    if row["kind"] == "loss":
        judge.want("rate / better peer", judge.to_peer(name, "gbit", True),
                   ">=", 1)
    elif row["kind"] == "churn":
        judge.want("rate / better peer", judge.to_peer(name, "per_s", True),
                   ">=", 1)
        judge.want("rate of the last / of the first 5 s",
                   judge.get(name, OURS, "kept"), ">=", 0.9)
        judge.want("connections failed", judge.get(name, OURS, "failed"),
                   "<=", 0)
    else:
        judge.want("bytes of memory per connection",
                   judge.get(name, OURS, "bytes_left"), "<=", 64)
        judge.want("connections", judge.get(name, OURS, "left"), ">=",
                   LEFT_COUNT)
