"""What the lint tools share: walking the tree, finding functions, reading object files, and the self-test frame.

A tool is a function check(root, build) that returns a list of problems ("path:line: what is wrong"), plus a list of
self-test cases. run() gives it the command line:  TOOL.py [ROOT [BUILD]]  and  TOOL.py --self-test.
"""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile

# Folder -> floor name, longest prefix first. Everything else is "outside" (tests, tools).
FLOORS = [
    ("slirp/base/", "base"),
    ("slirp/wire/", "wire"),
    ("slirp/", "slirp"),
    ("policy/", "policy"),
    ("publish/", "publish"),
    ("gateway/doors/", "doors"),
    ("gateway/", "gateway"),
]

# What each floor may include and call, itself among it.
MAY_USE = {
    "base": {"base"},
    "wire": {"base", "wire"},
    "slirp": {"base", "wire", "slirp"},
    "policy": {"base", "policy"},
    "publish": {"base", "publish"},
    "gateway": {"base", "wire", "slirp", "policy", "publish", "gateway"},
    "doors": {"base", "wire", "slirp", "policy", "publish", "gateway", "doors"},
}

SKIP_DIRS = re.compile(r"^(build.*|__pycache__|\.git|\.pytest_cache|subprojects)$")


def floor_of(path):
    """The floor of a path written from the root, or None for tests and tools."""
    for prefix, floor in FLOORS:
        if path.startswith(prefix):
            return floor
    return None


def tree(root, *ends):
    """Paths from the root of all files whose name ends with one of ends (all files when none is given), sorted."""
    found = []
    for here, dirs, names in os.walk(root):
        dirs[:] = [d for d in dirs if not SKIP_DIRS.match(d)]
        for name in names:
            if not ends or name.endswith(ends):
                found.append(os.path.relpath(os.path.join(here, name), root))
    return sorted(found)


def text(root, path):
    """The whole text of a file, or "" when it is missing."""
    try:
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def functions(source):
    """(name, first line of the body, lines of the body) of each function whose braces stand in column 0."""
    lines = source.split("\n")
    found = []
    start = None
    for i, line in enumerate(lines):
        if line.rstrip() == "{":
            start = i
        elif line.startswith("}") and start is not None:
            name = _name_above(lines, start)
            if name:
                found.append((name, start + 2, i - start - 1))
            start = None
    return found


def _name_above(lines, brace):
    """The function's name, read from the lines above its opening brace."""
    head = []
    for line in reversed(lines[:brace]):
        if not line.strip() or line.startswith(("}", "#", "/*", " *")) or line.rstrip().endswith((";", "*/")):
            break
        head.insert(0, line)
    flat = re.sub(r"__attribute__\s*\(\(.*?\)\)|\bG_GNUC_\w+(\s*\([^)]*\))?", " ", " ".join(head))
    match = re.search(r"(\w+)\s*\(", flat)
    return match.group(1) if match else None


def defined_names(source):
    """Names a C text defines as functions or function-like macros, one-line inline functions among them."""
    names = {name for name, _, _ in functions(source)}
    names.update(re.findall(r"^#\s*define\s+(\w+)\(", source, re.M))
    names.update(re.findall(r"^[A-Za-z_][\w \t*]*?\b(\w+)\([^;{]*\)\s*\{", source, re.M))
    return names


def objects(root, build):
    """Source path from the root -> object file, for what stands on a floor and was compiled in build."""
    root = os.path.realpath(root)
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        commands = json.load(f)
    found = {}
    for entry in commands:
        source = os.path.realpath(os.path.join(entry["directory"], entry["file"]))
        path = os.path.relpath(source, root)
        if floor_of(path):
            found[path] = os.path.join(entry["directory"], entry["output"])
    return found


def symbols(obj):
    """(name, type letter, section) of each symbol of one object file; type U is undefined."""
    out = subprocess.run(["nm", "--format=sysv", obj], capture_output=True, text=True, check=True).stdout
    found = []
    for line in out.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 7 and cells[0] != "Name":
            found.append((cells[0], cells[2], cells[6]))
    return found


def run(doc, check, cases):
    """The command line of every tool; returns the exit status."""
    if "--self-test" in sys.argv[1:]:
        return _self_test(check, cases)
    args = [a for a in sys.argv[1:] if not a.startswith("-")]
    if len(args) != len(sys.argv) - 1:
        print(doc)
        return 2
    here = os.path.dirname(os.path.abspath(__file__))
    root = args[0] if args else os.path.join(here, "..", "..")
    build = args[1] if len(args) > 1 else os.path.join(root, "build")
    try:
        problems = check(root, build)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        problems = [f"cannot look: {error}"]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def _self_test(check, cases):
    """Each case is (files, wanted): wanted is None for a clean tree, else words that a problem must contain."""
    bad = 0
    for files, wanted in cases:
        with tempfile.TemporaryDirectory() as root:
            for path, content in files.items():
                full = os.path.join(root, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8") as f:
                    f.write(content)
            _compile(root, files)
            with contextlib.redirect_stdout(io.StringIO()):
                problems = check(root, os.path.join(root, "build"))
        good = not problems if wanted is None else any(wanted in p for p in problems)
        if not good:
            bad += 1
            print(f"self-test: {sorted(files)}: wanted {wanted!r}, got {problems}")
    return 1 if bad else 0


def _compile(root, files):
    """Compile a sample's C files into root/build, with the list that objects() reads."""
    build = os.path.join(root, "build")
    os.makedirs(build)
    entries = []
    for path in files:
        if path.endswith(".c") and floor_of(path):
            out = path.replace("/", "_") + ".o"
            command = ["gcc", "-w", "-O2", "-fPIC", "-I", root, "-c", os.path.join(root, path), "-o",
                       os.path.join(build, out)]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                entries.append({"directory": build, "file": os.path.join("..", path), "output": out})
    with open(os.path.join(build, "compile_commands.json"), "w", encoding="utf-8") as f:
        json.dump(entries, f)
