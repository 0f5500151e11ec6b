#!/usr/bin/python3
"""Tables in docs/ that say what the tree says are written by this tool:  tests/lint/check_tables.py --write

docs/DESIGN.md    the tunables: the rows of slirp/stack_tunable.h and gateway/gateway_tunable.h
docs/TCP.md       clauses of RFCs and the scripts that cover them; all scripts with their titles; which event meets a connection in which
                  state in which script, as script-runner --states says: every pair but those of IMPOSSIBLE needs one
docs/CONTRACT.md  last column of each row "| C1 | what | where | tests |": the tests that name the number
A table stands between the lines "<!-- table: NAME -->" and "<!-- end -->". A number that a test names needs a row; a row needs a
test, unless the third column begins with "to come".
A test names a number: in a script's first comment, in a docstring or the name of an end-to-end test, in a comment of a unit test.
"""

import ast
import os
import re
import subprocess
import sys

import common

TUNABLE = re.compile(r'X\((\w+),\s*(\w+),\s*([^,]+),\s*([^,]+),\s*([^,]+),\s*"(.*?)"\)', re.S)
UNITS = {"US": [(1000000, "s"), (1000, "ms"), (1, "us")], "BYTES": [(1 << 20, "MiB"), (1 << 10, "KiB"), (1, "bytes")],
         "COUNT": [(1, "")]}
RFC = re.compile(r"RFC (\d{3,4})((?: (?:figure )?\d[\d.]*\d(?![\w-])| \d(?=[ ,:;)(]|$))*)")
NUMBER = re.compile(r"(?<![\w.-])([ABCDFLT])(\d{1,2})(?:-\1?(\d{1,2}))?(?!\w|\.\d)")
ROW = re.compile(r"^\| ([ABCDFLT]\d+) \| (.*?) \| (.*?) \|(.*)\|$")
TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.S)

RUNNER = "tests/scripts/script-runner"
STATES = "HELD SYN_SENT SYN_RECEIVED ESTABLISHED CLOSE_WAIT FIN_WAIT_1 FIN_WAIT_2 CLOSING LAST_ACK TIME_WAIT none".split()
EVENTS = ["SYN", "SYN-ACK", "ACK", "data", "FIN", "RST", "host connected", "host refused", "host connects", "host data", "host EOF",
          "host room", "host fails", "gateway drops", "time"]
# Pairs that cannot be: events that end a dial happen while it runs; what ended cannot end again; no socket, nothing from it.
IMPOSSIBLE = {
    "host connected": "but HELD", "host refused": "but HELD", "host connects": "but none TIME_WAIT",
    "host data": "HELD FIN_WAIT_1 FIN_WAIT_2 CLOSING LAST_ACK TIME_WAIT none",
    "host EOF": "HELD FIN_WAIT_1 FIN_WAIT_2 CLOSING LAST_ACK TIME_WAIT none",
    "host room": "HELD SYN_SENT SYN_RECEIVED CLOSING LAST_ACK TIME_WAIT none",
    "host fails": "HELD TIME_WAIT none", "gateway drops": "TIME_WAIT none", "time": "HELD TIME_WAIT none",
    "SYN-ACK": "SYN_RECEIVED CLOSE_WAIT FIN_WAIT_1 FIN_WAIT_2 CLOSING LAST_ACK TIME_WAIT",  # as SYN: one function
}


def evaluate(text):
    """The value of a constant C expression of numbers, *, <<, and the names that the two headers have for times."""
    text = text.replace("STACK_MS", "1000").replace("STACK_S", "1000000").replace("GATEWAY_S", "1000000")
    if not re.fullmatch(r"[\d\s*<()]+", text):
        raise ValueError(f"not a constant: {text}")
    return eval(text)  # digits, blanks, * < ( ) only


def human(value, unit):
    if not value:
        return "0"
    for size, name in UNITS[unit]:
        if value % size == 0:
            return f"{value // size} {name}".rstrip()
    return str(value)  # not reached: the last size is 1


def tunables(root, path="slirp/stack_tunable.h"):
    rows = ["| row | default | least | most | why |", "|---|---|---|---|---|"]
    source = common.text(root, path).replace("\\\n", " ")
    for name, unit, default, least, most, why in TUNABLE.findall(re.split(r"\nstruct \w+_tunables {", source)[0]):
        values = [human(evaluate(text), unit) for text in (default, least, most)]
        rows.append("| " + " | ".join([name, *values, why]) + " |")
    return rows


def gateway_tunables(root):
    return tunables(root, "gateway/gateway_tunable.h")


def scripts(root):
    """Path from tests/ on -> title, which is the first comment's first line."""
    paths = [path for path in common.tree(root, ".pkt") if path.startswith("tests/scripts/")]
    return {path[len("tests/"):]: common.text(root, path).split("\n")[0].lstrip("# ") for path in paths}


def clauses(root):
    covered = {}
    for path, title in scripts(root).items():
        for rfc, places in RFC.findall(title):
            for place in places.replace("figure ", "figure_").split() or [""]:
                covered.setdefault((int(rfc), place.replace("_", " ")), []).append(path)
    rows = ["| RFC | clause | scripts |", "|---|---|---|"]
    order = sorted(covered, key=lambda key: (key[0], [int(n) for n in re.findall(r"\d+", key[1])], key[1]))
    return rows + [f"| {rfc} | {place} | {' '.join(covered[rfc, place])} |" for rfc, place in order]


def titles(root):
    return ["| script | what it shows |", "|---|---|"] + [
        f"| {path} | {title.replace('|', '/')} |" for path, title in scripts(root).items()]


def impossible(state, event):
    rule = IMPOSSIBLE.get(event, "").split()
    return state not in rule if rule[:1] == ["but"] else state in rule


def states(root, build):
    """For each pair of state and event the two shortest scripts that show it; "none yet" where none does.  None: no runner that works."""
    try:
        run = subprocess.run([os.path.join(os.path.abspath(build), RUNNER), "--states", "tests/scripts/tcp"], cwd=root,
                             capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    found = {}
    for line in run.stdout.splitlines():
        path, cell = line.split(" ", 1)
        found.setdefault(tuple(cell.split("/")), []).append(path)
    rows = ["| state | event | scripts |", "|---|---|---|"]
    for state in STATES:
        for event in EVENTS:
            paths = sorted(found.get((state, event), []), key=lambda path: (len(common.text(root, path)), path))[:2]
            if not impossible(state, event):
                rows.append(f"| {state} | {event} | {' '.join(path[len('tests/'):] for path in paths) or 'none yet'} |")
    return rows


def numbers(text, letters="ABCDFLT"):
    for letter, first, last in NUMBER.findall(text):
        if letter in letters:
            yield from (f"{letter}{n}" for n in range(int(first), int(last or first) + 1))


def python_texts(source):
    """Docstrings, and the words of test names in capitals."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.FunctionDef)):
            yield ast.get_docstring(node) or ""
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield " ".join(node.name.upper().split("_"))


def cited(root):
    """Number -> paths from tests/ on of the tests that name it."""
    found = {}
    for path in common.tree(root, ".pkt", ".py", "_test.c"):
        source = common.text(root, path)
        if path.startswith("tests/scripts/") and path.endswith(".pkt"):
            names = numbers(source.split("\n")[0])
        elif path.startswith("tests/e2e/") and path.endswith(".py"):
            names = numbers("\n".join(python_texts(source)))
        elif path.startswith("tests/unit/") and path.endswith(".c"):
            names = numbers(" ".join(re.findall(r"/\*.*?\*/", source, re.S)), "ABCDT")  # "L4" is a layer there
        else:
            continue
        for name in names:
            found.setdefault(name, {})[path[len("tests/"):]] = None
    return {name: list(paths) for name, paths in found.items()}


def contract(text, known):
    """The text with its last columns filled."""
    lines = []
    for line in text.split("\n"):
        row = ROW.match(line)
        if row:
            tests = " ".join(known.get(row.group(1), [])) or "none yet"
            line = f"| {row.group(1)} | {row.group(2)} | {row.group(3)} | {tests} |"
        lines.append(line)
    return "\n".join(lines)


def table(match, rows):
    """A table that nobody can make stays as it is; check() tells."""
    return match.group(0) if rows is None else match.group(1) + "\n".join(rows) + "\n" + match.group(3)


def wanted(root, build):
    """Document -> the text it should have."""
    makers = {"tunables": tunables, "gateway_tunables": gateway_tunables, "clauses": clauses, "scripts": titles, "states": lambda root: states(root, build)}
    found = {}
    for doc in ("docs/DESIGN.md", "docs/TCP.md", "docs/CONTRACT.md"):
        text = common.text(root, doc)
        text = TABLE.sub(lambda m: table(m, makers[m.group(2)](root)), text)
        found[doc] = contract(text, cited(root)) if doc == "docs/CONTRACT.md" else text
    return found


def check(root, build):
    problems = [f"{doc}: not what the tree says; run tests/lint/check_tables.py --write"
                for doc, text in wanted(root, build).items() if text != common.text(root, doc)]
    rows = {m.group(1): m.group(3) for m in map(ROW.match, common.text(root, "docs/CONTRACT.md").split("\n")) if m}
    if "<!-- table: states -->" in common.text(root, "docs/TCP.md") and states(root, build) is None:
        problems.append(f"docs/TCP.md: {RUNNER} of the build is missing, old or failing: ./dev build, then its scripts")
    problems += [f"docs/TCP.md: no script shows this: {line}" for line in common.text(root, "docs/TCP.md").split("\n")
                 if line.endswith("| none yet |")]
    known = cited(root)
    problems += [f"docs/CONTRACT.md: no row {name}, which {known[name][0]} names" for name in sorted(known) if name not in rows]
    untested = [name for name, where in rows.items() if name not in known and not where.startswith("to come")]
    return problems + ([f"docs/CONTRACT.md: no test names {' '.join(untested)}"] if untested else [])


ROWS = '\tX(rto_min, US, 200 * STACK_MS, 10 * STACK_MS, 1 * STACK_S, \\\n\t  "least, by RFC") \\\n\tX(most, BYTES, 4 << 20, 65535, 8 << 20, "why")\n'
GOOD = {"slirp/stack_tunable.h": "/* struct stack_tunables of X(name, unit) */\n" + ROWS + "\nstruct stack_tunables {",
        "docs/DESIGN.md": "<!-- table: tunables -->\n| row | default | least | most | why |\n|---|---|---|---|---|\n"
                          "| rto_min | 200 ms | 10 ms | 1 s | least, by RFC |\n"
                          "| most | 4 MiB | 65535 bytes | 8 MiB | why |\n<!-- end -->\n",
        "docs/TCP.md": "<!-- table: clauses -->\n| RFC | clause | scripts |\n|---|---|---|\n| 9293 | 3.6 | scripts/a.pkt |\n"
                       "| 9293 | 3.10.7.4 | scripts/a.pkt |\n<!-- end -->\n",
        "docs/CONTRACT.md": "| C1 | a cap | flow.c | e2e/test_a.py scripts/a.pkt |\n| C2 | one more | flow.c | e2e/test_a.py |\n"
                            "| C3 | later | to come: all of it | none yet |\n",
        "tests/scripts/a.pkt": "# C1 RFC 9293 3.6 3.10.7.4: nothing\n", "tests/unit/a_test.c": "/* L4 x.C9 */\n",
        "tests/e2e/test_a.py": 'def test_c1_some():\n    """C2."""\n'}
CASES = [
    (GOOD, None),
    ({**GOOD, "slirp/stack_tunable.h": ROWS.replace("200", "100")}, "docs/DESIGN.md: not what the tree says"),
    ({**GOOD, "tests/scripts/a.pkt": "# C1 RFC 9293 3.6: less\n"}, "docs/TCP.md: not what the tree says"),
    ({**GOOD, "tests/scripts/b.pkt": "# C1\n"}, "docs/CONTRACT.md: not what the tree says"),
    ({**GOOD, "tests/scripts/b.pkt": "# B7-B8\n"}, "no row B8, which scripts/b.pkt names"),
    ({**GOOD, "docs/CONTRACT.md": GOOD["docs/CONTRACT.md"] + "| C4 | x | flow.c | none yet |\n"}, "no test names C4"),
    ({**GOOD, "docs/TCP.md": GOOD["docs/TCP.md"] + "| HELD | SYN | none yet |\n"}, "no script shows this: | HELD | SYN |"),
    ({**GOOD, "docs/TCP.md": GOOD["docs/TCP.md"] + "<!-- table: states -->\n<!-- end -->\n"}, "missing, old or failing"),
]

if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
        for name, content in wanted(top, os.path.join(top, "build")).items():
            with open(os.path.join(top, name), "w", encoding="utf-8") as f:
                f.write(content)
        sys.exit(0)
    sys.exit(common.run(__doc__, check, CASES))
