#!/usr/bin/python3
"""Documents that name code are read by a tool: what README.md and docs/*.md name must exist.

path/file.c        the file exists (a name without a folder exists somewhere in the tree; NAME_test.c is a pattern;
                   tests may be written from tests/ on)
some_function()    it is defined in the tree; names without an underscore and GLib's are not ours and are left alone
"3 path/file.c function()" in docs/JOURNEY.md: a step; that function is defined in that file
--option in docs/man/slirpgate.1: stands in gateway/doors/*.c
"""

import os
import re
import sys

import common

DOCS = ["README.md", "docs/HACKING.md", "docs/JOURNEY.md"]  # these must be there; every other docs/*.md is read too
MAN = "docs/man/slirpgate.1"
FILE = re.compile(r"(?<![\w/.*-])((?:[\w.-]+/)*[A-Za-z]\w*\.(?:c|h|py|sh|pkt))\b(?![\w/(*])")
PATTERN = re.compile(r"[A-Z]{4}")
CALL = re.compile(r"\b([A-Za-z]\w*_\w*)\(\)")
STEP = re.compile(r"^\s*\d+[a-z]?\s+((?:[\w.-]+/)*\w+\.[ch])\s+(\w+)\(")
OUTSIDE = re.compile(r"^(g_\w+|clock_gettime|epoll_(ctl|wait|create1)|static_assert|container_of)$")


def check(root, _build):
    problems = []
    files = common.tree(root)
    basenames = {os.path.basename(path) for path in files}
    defined = set()
    for path in files:
        if path.endswith((".c", ".h")):
            defined |= common.defined_names(common.text(root, path))
    for doc in DOCS + [path for path in files if re.match(r"docs/\w+\.md$", path) and path not in DOCS]:
        if doc not in files:
            problems.append(f"{doc}: missing")
        for number, line in enumerate(common.text(root, doc).split("\n"), 1):
            where = f"{doc}:{number}"
            for name in FILE.findall(line):
                found = name in files or "tests/" + name in files if "/" in name else name in basenames
                if not found and not PATTERN.search(name):
                    problems.append(f"{where}: there is no {name}")
            for name in CALL.findall(line):
                if name not in defined and not OUTSIDE.match(name):
                    problems.append(f"{where}: no file defines {name}()")
            step = STEP.match(line) if doc == "docs/JOURNEY.md" else None
            if step and step.group(2) not in common.defined_names(common.text(root, step.group(1))):
                problems.append(f"{where}: {step.group(1)} does not define {step.group(2)}()")
    return problems + options(root, files)


def options(root, files):
    """Options that the manual promises and the command line does not know."""
    doors = "".join(common.text(root, path) for path in files
                    if path.startswith("gateway/doors/") and path.endswith((".c", ".h")))
    manual = re.sub(r"^\.\\\".*$", "", common.text(root, MAN).replace("\\-", "-"), flags=re.M)
    wanted = sorted(set(re.findall(r"(?<![\w-])--([a-z][a-z0-9-]*)", manual)))
    return [f"{MAN}: no door knows --{name}" for name in wanted
            if not re.search(r'["\-]' + re.escape(name) + r'(?![\w-])', doors)]


GOOD = {"README.md": "See slirp/tcp_in.c, scripts/a.pkt and `tcp_in_text()`.\n", "tests/scripts/a.pkt": "# a\n", "docs/HACKING.md": "clock_gettime() fails tcp_in.c NAME_test.c.\n",
        "docs/JOURNEY.md": "3 slirp/tcp_in.c  tcp_in_text(): queues\n  3a slirp/tcp_in.c one()\n",
        "docs/man/slirpgate.1": ".B \\-\\-host\\-loopback\n", "gateway/doors/cli.c": '{ "host-loopback", 0 },\n',
        "slirp/tcp_in.c": "int tcp_in_text(void)\n{\n}\nstatic inline int one(int a) { return a; }\n"}
CASES = [
    (GOOD, None),
    ({**GOOD, "README.md": "slirp/gone.c\n"}, "there is no slirp/gone.c"),
    ({**GOOD, "docs/HACKING.md": "`gone.c`\n"}, "there is no gone.c"),
    ({**GOOD, "docs/DESIGN.md": "`gone.c`\n"}, "docs/DESIGN.md:1: there is no gone.c"),
    ({**GOOD, "docs/HACKING.md": "tcp_in_gone()\n"}, "no file defines tcp_in_gone"),
    ({**GOOD, "slirp/two.c": "int two(void)\n{\n}\n", "docs/JOURNEY.md": "1 slirp/tcp_in.c two()\n"}, "does not define two"),
    ({**GOOD, "docs/man/slirpgate.1": "\\-\\-host\n"}, "no door knows --host"),
    ({k: v for k, v in GOOD.items() if k != "docs/JOURNEY.md"}, "JOURNEY.md: missing"),
]

if __name__ == "__main__":
    sys.exit(common.run(__doc__, check, CASES))
