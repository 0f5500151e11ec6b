#!/usr/bin/python3
"""Every reason of the X-macro list in slirp/base/reason.h is produced by a test: some file under tests/ names it.

A test names SPOOFED_MAC as R_SPOOFED_MAC, or, on a line that speaks of a reason, drop, gone, close or refusal, as SPOOFED_MAC,
spoofed_mac or spoofed-mac. The lint tools do not count.
"""

import re
import sys

import common

LIST = "slirp/base/reason.h"
ROW = re.compile(r'\bX\(\s*([A-Z][A-Z0-9_]*)\s*,\s*"')
SPEAKS = re.compile(r"^.*(?:reason|drop|gone|close|refuse|reject|count).*$", re.M | re.I)


def check(root, _build):
    names = ROW.findall(re.sub(r"/\*.*?\*/", "", common.text(root, LIST), flags=re.S))
    if not names:
        return [f"{LIST}: no list of rows X(NAME, \"text\") found"]
    tests = "\n".join(common.text(root, path) for path in common.tree(root)
                      if path.startswith("tests/") and not path.startswith("tests/lint/"))
    spoken = "\n".join(SPEAKS.findall(tests)).replace("-", "_").upper()
    missing = [name for name in names
               if not re.search(rf"\bR_{name}\b", tests) and not re.search(rf"\b{name}\b", spoken)]
    return [f"{LIST}: no test names {' '.join(missing)}"] if missing else []


ROWS = {LIST: '/* X(NAME, "text") */\n#define REASONS(X) \\\n\tX(NO_ROUTE, "no route") \\\n\tX(SPOOFED_MAC, "not the MAC given")\n'}
CASES = [
    ({**ROWS, "tests/a.c": "R_NO_ROUTE", "tests/scripts/b.pkt": "expect drop spoofed-mac\n"}, None),
    ({**ROWS, "tests/a.c": "R_NO_ROUTE"}, "no test names SPOOFED_MAC"),
    ({**ROWS, "tests/a.c": "R_NO_ROUTE R_SPOOFED_MACS"}, "no test names SPOOFED_MAC"),
    ({**ROWS, "tests/a.c": "R_NO_ROUTE\nSPOOFED_MAC by chance"}, "no test names SPOOFED_MAC"),
    ({**ROWS, "tests/a.c": "R_NO_ROUTE", "tests/lint/x.py": "R_SPOOFED_MAC"}, "no test names SPOOFED_MAC"),
    ({LIST: "enum reason { R_ACCEPTED };\n"}, "no list of rows"),
]

if __name__ == "__main__":
    sys.exit(common.run(__doc__, check, CASES))
