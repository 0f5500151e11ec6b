#!/usr/bin/python3
"""The pure floors call nothing but what is listed here, and no floor keeps a mutable global.

nm of the objects of slirp/base, slirp/wire, slirp and policy: each undefined symbol is a function of a floor that may
be used, or matches ALLOWED. A clock, a log line, a descriptor, the environment or abort() fails.
nm of all floors: a symbol in .data or .bss fails; tables of constants (.rodata, .data.rel.ro) are fine. Two gateways
in one process must not know of each other. (G_DEFINE_QUARK keeps a static: return g_quark_from_static_string().)
"""

import re
import sys

import common

PURE = ["base", "wire", "slirp", "policy"]
ALLOWED = re.compile("^(" + "|".join([
    # bytes and text in memory; strtok keeps a global, strdup allocates outside GLib
    "mem(cpy|move|set|cmp|chr|rchr|mem|pcpy)|bcmp|explicit_bzero",
    "str(len|nlen|cmp|ncmp|casecmp|ncasecmp|chr|rchr|chrnul|str|cspn|spn|pbrk|cpy|ncpy|cat|ncat|sep|tok_r)|stpn?cpy",
    "strto(l|ul|ll|ull|imax|umax)|__errno_location|__ctype_(b|tolower|toupper)_loc|tolower|toupper",
    "v?snprintf|inet_(pton|ntop)|bsearch|qsort",
    # allocation, through GLib only
    r"g_(try_)?(malloc0?|realloc)(_n)?|g_(free|clear_pointer|memdup2)|g_free_sized|g_slice_\w+|g_aligned_\w+",
    # text and errors as values
    r"g_str\w+|g_string_\w+|g_v?snprintf|g_ascii_\w+|g_utf8_\w+|g_unichar_\w+|g_quark_from_static_string",
    r"g_set_error(_literal)?|g_error_\w+|g_clear_error|g_propagate(_prefixed)?_error|g_prefix_error(_literal)?",
    # containers, for control paths
    r"g_(ptr_|byte_)?array_\w+|g_bytes_\w+|g_hash_table_\w+|g_s?list_\w+|g_queue_\w+|g_(direct|int|int64)_(hash|equal)",
    # what the compiler adds
    "__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|sanitizer|gcov)_.*|__popcountdi2",
]) + ")$")
BANNED = re.compile("^g_(strerror|strsignal|string_chunk.*|slice_(debug|set|get).*|error_domain_register.*)$")
# What instances do share, and why.
SHARED = {
    # slirp_set_debug() names no instance; only what is said depends on it
    "gateway/doors/libslirp_debug.c": {"debug_flags", "debug_once"},
}
CONSTANT = re.compile(r"^\.(rodata|data\.rel\.ro)")


def check(root, build):
    problems = []
    undefined, defined = [], {}
    for path, obj in sorted(common.objects(root, build).items()):
        floor = common.floor_of(path)
        for name, kind, section in common.symbols(obj):
            if kind in "Uw":
                undefined.append((path, floor, name))
            elif kind.isupper():
                defined[name] = floor
            if kind in "bBdDcCsSgG" and not CONSTANT.match(section) and name not in SHARED.get(path, ()):
                problems.append(f"{path}: {name} is a mutable global (section {section})")
    for path, floor, name in undefined:
        if floor not in PURE or defined.get(name) in common.MAY_USE[floor]:
            continue
        plain = re.sub(r"^__(\w+)_chk$", r"\1", name)
        if not (ALLOWED.match(plain) or ALLOWED.match(name)) or BANNED.match(plain):
            problems.append(f"{path}: {floor} is pure and may not call {name}()")
    return problems


CASES = [
    ({"slirp/base/a.c": "#include <string.h>\nvoid *g_malloc0(long);\nint a_x(const char *s) { return strlen(s); }\n"
                        "void *a_y(void) { return g_malloc0(8); }\n",
      "slirp/b.c": "int a_x(const char *s);\nint b_x(void) { return a_x(\"b\"); }\n",
      "policy/t.c": "static const char *const t[] = {\"a\", \"b\"};\nconst char *t_x(int i) { return t[i]; }\n",
      "gateway/c.c": "#include <time.h>\nlong c_x(void) { return time(0); }\n"}, None),
    ({"slirp/a.c": "#include <time.h>\nint a_x(struct timespec *t) { return clock_gettime(1, t); }\n"}, "clock_gettime"),
    ({"slirp/a.c": "#include <stdio.h>\nvoid a_x(int i) { printf(\"%d\", i); }\n"}, "may not call printf"),
    ({"slirp/wire/a.c": "#include <stdlib.h>\nchar *a_x(void) { return getenv(\"A\"); }\n"}, "getenv"),
    ({"policy/a.c": "#include <assert.h>\nvoid a_x(int i) { assert(i); }\n"}, "__assert_fail"),
    ({"slirp/base/a.c": "#include <stdlib.h>\nvoid *a_x(int i) { return malloc(i); }\n"}, "malloc"),
    ({"slirp/base/a.c": "void g_log(const char *);\nvoid a_x(void) { g_log(\"a\"); }\n"}, "g_log"),
    ({"slirp/b.c": "int b_x(void) { return 1; }\n",
      "slirp/base/a.c": "int b_x(void);\nint a_x(void) { return b_x(); }\n"}, "base is pure and may not call b_x"),
    ({"slirp/a.c": "static int n;\nint a_x(void) { return ++n; }\n"}, "mutable global"),
    ({"gateway/a.c": "int a_n = 3;\nint a_x(void) { return ++a_n; }\n"}, "mutable global"),
]

if __name__ == "__main__":
    sys.exit(common.run(__doc__, check, CASES))
