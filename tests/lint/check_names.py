#!/usr/bin/python3
"""A name tells its file: each global symbol of host_tcp.c is host_tcp or starts with host_tcp_.

A file that owns other prefixes says so in a comment of its .c or .h:  prefixes: tcp_seq_ tcp_win_
A prefix without its last underscore is a name of that file too.
main() is free. Looks at the objects of a finished build.
"""

import os
import re
import sys

import common

PREFIXES = re.compile(r"\bprefixes:((?:\s+\w+_\b)+)")


def check(root, build):
    problems = []
    for path, obj in sorted(common.objects(root, build).items()):
        stem = os.path.splitext(os.path.basename(path))[0]
        prefixes = [stem + "_"]
        for end in (".c", ".h"):
            for match in PREFIXES.finditer(common.text(root, path[:-2] + end)):
                prefixes += match.group(1).split()
        for name, kind, _section in common.symbols(obj):
            if not kind.isupper() or kind == "U" or name == "main":
                continue
            if not (name + "_").startswith(tuple(prefixes)):
                problems.append(f"{path}: {name} should start with {' or '.join(prefixes)}")
    return problems


CASES = [
    ({"gateway/host_tcp.c": "static int helper(int i) { return i * i; }\nint host_tcp_peek(int i) { return helper(i); }\n"
                            "const int host_tcp_max = 3;\nint host_tcp(void) { return 0; }\n",
      "slirp/base/map.c": "int set_new(void) { return 0; }\nint map_new(void) { return 0; }\nint set(void) { return 0; }\n",
      "slirp/base/map.h": "/* map.h - two things.  prefixes: map_ set_ */\n",
      "gateway/doors/cli.c": "int main(void) { return 0; }\n"}, None),
    ({"gateway/host_tcp.c": "int peek(void) { return 0; }\n"}, "peek should start with host_tcp_"),
    ({"slirp/stack.c": "const int limits[] = {1, 2};\n"}, "limits should start with stack_"),
]

if __name__ == "__main__":
    sys.exit(common.run(__doc__, check, CASES))
