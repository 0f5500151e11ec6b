#!/usr/bin/python3
"""Count test results:  count.py FILE  prints "PASSED FAILED SKIPPED".

FILE is meson's testlog.json (one JSON object per line, TAP text inside, each subtest counts) or a JUnit file as pytest
writes it. A test program that fails without naming a failed subtest (it crashed, it hung) counts as one failure.
"""

import json
import re
import sys
import xml.etree.ElementTree

SUBTEST = re.compile(r"^(not ok|ok)\b([^#\n]*)(?:#\s*(skip|todo))?", re.M | re.I)


def count_meson(lines):
    total = [0, 0, 0]
    for line in lines:
        entry = json.loads(line)
        here = [0, 0, 0]
        for verdict, _, mark in SUBTEST.findall(entry.get("stdout", "")):
            kind = 2 if mark else 0 if verdict == "ok" else 1
            here[kind] += 1
        if entry["result"] in ("OK", "EXPECTEDFAIL"):
            here[0] += sum(here) == 0
        elif entry["result"] == "SKIP":
            here[2] += here[2] == 0
        else:
            here[1] += here[1] == 0
        total = [a + b for a, b in zip(total, here)]
    return total


def count_junit(root):
    total = [0, 0, 0]
    for case in root.iter("testcase"):
        kinds = {child.tag for child in case}
        total[1 if kinds & {"failure", "error"} else 2 if "skipped" in kinds else 0] += 1
    return total


def main():
    path = sys.argv[1]
    if path.endswith(".xml"):
        total = count_junit(xml.etree.ElementTree.parse(path).getroot())
    else:
        with open(path, encoding="utf-8") as f:
            total = count_meson(f)
    print(*total)


if __name__ == "__main__":
    main()
