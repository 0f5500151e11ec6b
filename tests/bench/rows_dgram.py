# SPDX-License-Identifier: BSD-3-Clause
"""Rows of datagrams: rate, loss and CPU, and names.  See rows_tcp.py for what
a file of rows has.

A sender sends as fast as it can, a receiver counts what arrives.
"""

import time

from lab import Failed
from stacks import LOAD_CPU, STACK_CPU

WARMUP = 0.4
BURST = 16              # datagrams to one peer in one call, where not 1
RUN = {64: 64, 1400: 44}    # of a sender that uses UDP_SEGMENT
FLOWS = (1, 64)


def measure_dgram(lab, guest, row, seconds):
    if not row["busy"]:
        return transfer(lab, guest, row, seconds)
    spin = lab.host_side("spin", cpu=guest.stack_cpu)
    try:
        return transfer(lab, guest, row, seconds)
    finally:
        spin.stop()


def transfer(lab, guest, row, seconds):
    port = lab.new_port()
    what = ["-p", port, "-n", row["flows"], "-b", row["size"],
            "-m", row["batch"]] + (["-g"] if row["segment"] else [])
    tx = row["dir"] == "tx"
    server = lab.host_side(*what, "usink" if tx else "usource",
                           cpu=guest.load_cpu)
    client = None
    try:
        client = lab.guest_side(guest, *what, "-h", guest.gateway["v4"],
                                "utx" if tx else "urx", cpu=guest.load_cpu)
        client.json(5, "no datagram arrived")
        receiver, sender = (server, client) if tx else (client, server)
        time.sleep(WARMUP)
        a, sent_a, cpu_a = receiver.mark(), sender.mark(), guest.cpu()
        time.sleep(seconds)
        b, sent_b, cpu_b = receiver.mark(), sender.mark(), guest.cpu()
        guest.check()
    finally:
        if client:
            client.stop()
        server.stop()
    count = (b["bytes_in"] - a["bytes_in"]) / row["size"]
    sent = (sent_b["bytes_out"] - sent_a["bytes_out"]) / row["size"]
    if not count:
        raise Failed("stalled: no datagram arrived")
    took = b["t"] - a["t"]
    figures = {"kps": count / took * 1e6, "sent": sent / took * 1e6,
               "lost": 100 * max(0, 1 - count / sent) if sent else 0}
    if guest.stack:
        figures["cpu_us"] = (cpu_b - cpu_a) * 1e6 / count
    return figures


def measure_dns(lab, guest, row, seconds):
    alone = row["inflight"] == 1
    server = lab.host_side("-p", 53, "dnsserver",
                           cpu=STACK_CPU if alone else LOAD_CPU)
    client = None
    try:
        client = lab.guest_side(
            guest, "-h", guest.nameserver, "-p", 53, "-n", row["inflight"],
            "-w", int(WARMUP * 1000), "-t", int(seconds * 1000), row["dir"],
            cpu=STACK_CPU if alone else LOAD_CPU)
        client.json(5, "client")
        time.sleep(WARMUP)
        cpu_a = guest.cpu()
        r = client.json(seconds + WARMUP + 10, "client")
        cpu_b = guest.cpu()
        guest.check()
    finally:
        if client:
            client.stop()
        server.stop()
    if not r["transactions"]:
        raise Failed(r["error"] or "no question was answered")
    return {"per_s": r["per_s"], "p50": r["p50_us"], "p99": r["p99_us"],
            "failed": r["failed"],
            "cpu_us": (cpu_b - cpu_a) * 1e6 / r["transactions"]}


# ---- rows ----

def dgram_row(name, way, size, flows, batch, segment=False, busy=False):
    return {"name": f"{name}-{size}-{flows}", "kind": "dgram", "dir": way,
            "size": size, "flows": flows, "batch": batch, "segment": segment,
            "busy": busy, "mtu": 1500, "family": "v4", "trial": measure_dgram}


def make_rows():
    rows = []
    for busy in (False, True):
        for way in ("tx", "rx"):
            for size in (64, 1400):
                for flows in FLOWS:
                    rows.append(dgram_row(f"u{way}{'b' if busy else ''}", way,
                                          size, flows, BURST, busy=busy))
    for way in ("tx", "rx"):
        for size in (64, 1400):
            for flows in FLOWS:
                rows.append(dgram_row(f"u{way}1", way, size, flows, 1))
    for way in ("tx", "rx"):
        for size in (64, 1400):
            rows.append(dgram_row(f"u{way}g", way, size, 1, RUN[size], True))
    for way, name in (("dns", "dnsq"), ("dnskept", "dnsk")):
        for n in (1, 32):
            rows.append({"name": f"{name}-{n}", "kind": "dns", "dir": way,
                         "inflight": n, "mtu": 1500, "family": "v4",
                         "trial": measure_dns})
    return rows


def describe(row):
    if row["kind"] == "dns":
        each = "each from a fresh socket" if row["dir"] == "dns" \
            else "from kept sockets"
        return f"name queries, {row['inflight']} in flight, {each}"
    way = "guest to host" if row["dir"] == "tx" else "host to guest"
    how = "UDP_SEGMENT" if row["segment"] else "sendmmsg()"
    how = "1 per system call" if row["batch"] == 1 else \
        f"{row['batch']} per {how}"
    return (f"datagrams {way}, {row['size']} bytes, {row['flows']} flow"
            f"{'' if row['flows'] == 1 else 's'}, sent {how}"
            f"{', half a CPU' if row['busy'] else ''}")


COLUMNS = {
    "dgram": [("kps", "1000/s", "{:.0f}"), ("cpu_us", "CPU us each", "{:.2f}"),
              ("sent", "sent", "{:.0f}"), ("lost", "lost %", "{:.0f}")],
    "dns": [("per_s", "per s", "{:.0f}"), ("p50", "p50 us", "{:.1f}"),
            ("p99", "p99 us", "{:.0f}"), ("cpu_us", "CPU us each", "{:.1f}"),
            ("failed", "failed", "{:.0f}")],
}


def columns(row):
    return COLUMNS[row["kind"]]


def headline(row):
    return ("kps" if row["kind"] == "dgram" else "per_s"), True


def unfit(row, name):
    if row["kind"] == "dns" and (name.startswith("limit") or name == "veth"):
        return "it has no name server"
    return None


# ---- expectations ----

def expect(judge, row):
    name = row["name"]
    if row["kind"] == "dns":
        judge.want("rate / better peer", judge.to_peer(name, "per_s", True),
                   ">=", 1)
        return
    judge.want("rate / better peer", judge.to_peer(name, "kps", True), ">=",
               2 if row["size"] == 64 else 3)
    judge.want("CPU per datagram / thriftiest peer",
               judge.to_peer(name, "cpu_us", False), "<=", 1)
