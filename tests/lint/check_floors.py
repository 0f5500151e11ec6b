#!/usr/bin/python3
"""Floors are kept by a tool: who may include whom, and that includes never run in a circle.

base <- wire <- slirp; policy and publish use slirp/base only and never each other; gateway uses all of these;
gateway/doors uses everything and is used by nobody; tests may include anything. Every include of our own is written
from the repository root. The pure floors stay free of Linux headers.
"""

import os
import re
import sys

import common

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
INSTALLED = "gateway/doors/include/"  # headers for others, who have no root of ours
PURE = {"base", "wire", "slirp", "policy"}
NOT_PURE = re.compile(r"^(linux/|asm/|sys/(epoll|eventfd|timerfd|signalfd|mman|ioctl|stat|select|wait|prctl)\.h|"
                      r"sched\.h|unistd\.h|fcntl\.h|poll\.h|signal\.h|pthread\.h|time\.h|netdb\.h|gio/)")


def check(root, _build):
    problems = []
    graph = {}
    for path in common.tree(root, ".c", ".h"):
        if path.startswith(INSTALLED):
            continue
        source = common.text(root, path)
        floor = common.floor_of(path)
        graph[path] = []
        for match in INCLUDE.finditer(source):
            quote, target = match.groups()
            where = f"{path}:{source.count(chr(10), 0, match.start(2)) + 1}"
            if quote == "<":
                if floor in PURE and NOT_PURE.match(target):
                    problems.append(f"{where}: {floor} is pure and may not include <{target}>")
                continue
            if not os.path.exists(os.path.join(root, target)):
                problems.append(f'{where}: "{target}" is not a path from the repository root')
                continue
            graph[path].append(target)
            other = common.floor_of(target)
            if floor and other not in common.MAY_USE[floor]:
                problems.append(f"{where}: {floor} may not include {target}")
    return problems + circles(graph)


def circles(graph):
    """One problem per circle of includes, found by a walk that colours files white, grey, black."""
    problems, grey, black = [], [], set()

    def visit(path):
        if path in grey:
            problems.append("includes run in a circle: " + " -> ".join(grey[grey.index(path):] + [path]))
        elif path not in black:
            grey.append(path)
            for target in graph.get(path, []):
                visit(target)
            grey.pop()
            black.add(path)

    for path in sorted(graph):
        visit(path)
    return problems


ADDR = {"slirp/base/addr.h": "/* */\n"}
CASES = [
    ({**ADDR, "slirp/wire/eth_wire.h": '#include "slirp/base/addr.h"\n#include <stdint.h>\n',
      "tests/unit/x.c": '#include "slirp/wire/eth_wire.h"\n',
      "gateway/flow.c": '#include "slirp/wire/eth_wire.h"\n'}, None),
    ({**ADDR, "gateway/flow.h": "", "slirp/tcp_in.c": '#include "gateway/flow.h"\n'}, "slirp may not include"),
    ({"slirp/stack.h": "", "policy/policy.c": '#include "slirp/stack.h"\n'}, "policy may not include"),
    ({"policy/policy.h": "", "publish/listener.c": '#include "policy/policy.h"\n'}, "publish may not include"),
    ({"gateway/doors/cli.h": "", "gateway/loop.c": '#include "gateway/doors/cli.h"\n'}, "gateway may not include"),
    ({"tests/t.h": "", "gateway/loop.c": '#include "tests/t.h"\n'}, "gateway may not include"),
    ({**ADDR, "slirp/base/htab.c": '#include "addr.h"\n'}, "not a path from the repository root"),
    ({"slirp/base/htab.c": "#include <sys/epoll.h>\n"}, "is pure"),
    ({"slirp/a.h": '#include "slirp/b.h"\n', "slirp/b.h": '#include "slirp/a.h"\n'}, "circle"),
]

if __name__ == "__main__":
    sys.exit(common.run(__doc__, check, CASES))
