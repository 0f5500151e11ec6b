#!/usr/bin/python3
"""One idea per function, one screen per function: a function has at most 80 lines, a .c or .h file at most 600.

Prints the p90 of function lengths of the product (target: 40). A function's braces stand in column 0, so that its
length can be seen; one that opens at the end of a line is reported.
"""

import re
import sys

import common

FUNCTION_LINES = 80
FILE_LINES = 600
HANGING = re.compile(r"^[A-Za-z_][^;=]*\)\s*\{\s*$")


def check(root, _build):
    problems, lengths = [], []
    for path in common.tree(root, ".c", ".h"):
        source = common.text(root, path)
        lines = source.count("\n")
        if lines > FILE_LINES:
            problems.append(f"{path}: {lines} lines, at most {FILE_LINES}")
        for name, first, length in common.functions(source):
            if length > FUNCTION_LINES:
                problems.append(f"{path}:{first}: {name}() has {length} lines, at most {FUNCTION_LINES}")
            if common.floor_of(path):
                lengths.append(length)
        for number, line in enumerate(source.split("\n"), 1):
            if HANGING.match(line):
                problems.append(f"{path}:{number}: the brace of a function stands on its own line")
    if lengths:
        lengths.sort()
        print(f"{len(lengths)} functions, p90 {lengths[len(lengths) * 9 // 10]} lines, longest {lengths[-1]}")
    return problems


def _function(lines):
    return "static int\nf(int a,\n  int b)\n{\n" + "\ta++;\n" * lines + "}\n"


CASES = [
    ({"slirp/a.c": _function(80), "slirp/b.c": "struct a {\n" + "\tint x;\n" * 90 + "};\n"}, None),
    ({"slirp/a.c": _function(81)}, "f() has 81 lines"),
    ({"tests/a.h": "\n" * 601}, "601 lines"),
    ({"slirp/a.c": "int f(void) {\n\treturn 0;\n}\n"}, "stands on its own line"),
]

if __name__ == "__main__":
    sys.exit(common.run(__doc__, check, CASES))
