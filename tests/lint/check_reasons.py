#!/usr/bin/python3
"""Every reason of the X-macro list in slirp/base/reason.h is produced by a test: some file under tests/ names it.

A test names SPOOFED_MAC as SPOOFED_MAC, R_SPOOFED_MAC or REASON_SPOOFED_MAC, or in lower case (spoofed_mac or
spoofed-mac) on a line that has the word reason or drop. The lint tools do not count.
"""

import re
import sys

import common

LIST = "slirp/base/reason.h"
ROW = re.compile(r'\bX\(\s*([A-Z][A-Z0-9_]*)\s*,\s*"')


def check(root, _build):
    names = ROW.findall(common.text(root, LIST))
    if not names:
        return [f"{LIST}: no list of rows X(NAME, \"text\") found"]
    tests = "\n".join(common.text(root, path) for path in common.tree(root)
                      if path.startswith("tests/") and not path.startswith("tests/lint/"))
    spoken = "\n".join(re.findall(r"^.*\b(?:reason|drop)s?\b.*$", tests, re.M | re.I)).replace("-", "_")
    problems = []
    for name in names:
        bare = re.sub(r"^(R|REASON)_", "", name)
        if not re.search(rf"\b(?:R_|REASON_)?{bare}\b", tests) and not re.search(rf"\b{bare.lower()}\b", spoken):
            problems.append(f"{LIST}: no test names {name}")
    return problems


ROWS = {LIST: '#define REASONS(X) \\\n\tX(NO_ROUTE, "no route") \\\n\tX(SPOOFED_MAC, "not the MAC given")\n'}
CASES = [
    ({**ROWS, "tests/a.c": "R_NO_ROUTE", "tests/scripts/b.pkt": "expect drop spoofed-mac\n"}, None),
    ({**ROWS, "tests/a.c": "R_NO_ROUTE"}, "no test names SPOOFED_MAC"),
    ({**ROWS, "tests/a.c": "R_NO_ROUTE R_SPOOFED_MACS"}, "no test names SPOOFED_MAC"),
    ({**ROWS, "tests/a.c": "R_NO_ROUTE", "tests/lint/x.py": "SPOOFED_MAC"}, "no test names SPOOFED_MAC"),
    ({LIST: "enum reason { R_OK };\n"}, "no list of rows"),
]

if __name__ == "__main__":
    sys.exit(common.run(__doc__, check, CASES))
