#!/usr/bin/python3
"""Plain manners of text: no trailing blanks, C indented by tabs, a comment at the top of each C file, no path of one
machine (below a home folder, or below a folder of / that this machine has and Debian does not), and no word in C that
a system header owns."""

import os
import re
import sys

import common

TEXT = (".c", ".h", ".py", ".sh", ".md", ".pkt", ".build", ".txt", ".1", ".in", ".conf", "/dev", ".ci/run")
SYSTEM = {"bin", "boot", "dev", "etc", "lib", "lib64", "libexec", "media", "opt", "proc", "run", "sbin", "srv", "sys",
          "tmp", "usr", "var", "lost+found"}
HOMES = {"home", "mnt", "root", "Users"}
OWNED = {"R_OK": "unistd.h's: a packet that was taken is R_ACCEPTED"}  # word -> whose it is
ABSOLUTE = re.compile(r"(?:^|(?<=[\s\"'`=(]))/([A-Za-z_][\w.-]*)/[A-Za-z_]")


def check(root, _build):
    problems = []
    for path in common.tree(root):
        if not ("/" + path).endswith(TEXT):
            continue
        source = common.text(root, path)
        lines = source.split("\n")
        if source and lines[-1]:
            problems.append(f"{path}:{len(lines)}: the last line has no end")
        for number, line in enumerate(lines, 1):
            if line != line.rstrip():
                problems.append(f"{path}:{number}: trailing blanks")
            for top in ABSOLUTE.findall(line):
                if top in HOMES or top not in SYSTEM and os.path.isdir("/" + top):
                    problems.append(f"{path}:{number}: /{top}/... is a path of one machine")
        if path.endswith((".c", ".h")):
            if not source.lstrip().startswith("/*"):
                problems.append(f"{path}:1: no comment at the top")
            problems += [f"{path}:{number}: indented by spaces" for number in indented_by_spaces(lines)]
            problems += [f"{path}:{number}: {word} is {owner}" for number, line in enumerate(lines, 1)
                         for word, owner in OWNED.items() if re.search(rf"\b{word}\b", line)]
    return problems


def indented_by_spaces(lines):
    """Numbers of code lines (not inside a comment) that begin with a space."""
    comment = False
    for number, line in enumerate(lines, 1):
        if not comment and line.startswith(" ") and line.strip():
            yield number
        rest = line
        while rest:
            at = rest.find("*/" if comment else "/*")
            if at < 0:
                break
            comment = not comment
            rest = rest[at + 2:]


TOP = "/* a.c - a sample */\n"
CASES = [
    ({"slirp/a.c": TOP + "/*\n *  drawn\n   here */\nint f(int a,\n\t  int b);\n", "docs/a.md": "/etc/resolv.conf 10/8 a/b/c\n"},
     None),
    ({"slirp/a.c": TOP + "int f(void)\n{\n\treturn R_OKAY;\n}\n"}, None),
    ({"slirp/a.c": TOP + "int f(void)\n{\n\treturn R_" + "OK;\n}\n"}, "R_" + "OK is unistd.h's"),
    ({"slirp/a.c": "int a;\n"}, "no comment at the top"),
    ({"slirp/a.c": TOP + "int f(void)\n{\n    return 0;\n}\n"}, "indented by spaces"),
    ({"docs/a.md": "a \n"}, "trailing blanks"),
    ({"docs/a.md": "a"}, "no end"),
    ({"docs/a.md": "see /" + "home/me/x\n"}, "path of one machine"),
    ({"tests/a.py": "x = '/" + "mnt/y'\n"}, "path of one machine"),
    ({"tests/a.c": TOP + 'g_test_add_func("/addr/eq", eq);\n'}, None),
]

if __name__ == "__main__":
    sys.exit(common.run(__doc__, check, CASES))
