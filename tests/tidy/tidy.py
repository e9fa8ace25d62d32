#!/usr/bin/env python3
"""Rules of the tree that no compiler checks (docs: style guide and architecture).

    tidy.py [--root DIR]     checks the tree, prints file:line: rule: message, fails on any
    tidy.py --self-test      shows that each rule can fail and that clean code passes

A line may carry an exception for one rule, with its reason:  /* tidy: RULE: why */
"""
import argparse
import os
import re
import sys

LAYERS = {'base': 0, 'wire': 1, 'crypto': 2, 'conn': 3, 'svc': 4, 'engine': 5, 'rt': 6, 'sim': 6}
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 900
SKIP_DIRS = {'.git', 'build', 'node_modules', '__pycache__', '.pytest_cache', 'target', 'dist'}
SKIP_DIR_PREFIXES = ('build-', 'cmake-build')
C_EXT = ('.c', '.h')
CODE_EXT = ('.c', '.h', '.cc', '.hpp', '.py', '.sh', '.go', '.js', '.mjs', '.ts', '.pyx', '.pyi')
TEXT_EXT = CODE_EXT + ('.md', '.txt', '.cmake', '.toml', '.yml', '.yaml', '.in', '.map', '.proto')

RULES = {}  # name -> function(tree) that yields (path, line, message)


def rule(name):
    def add(function):
        RULES[name] = function
        return function
    return add


# --- the tree ---------------------------------------------------------------------------------


def blank_comments_and_strings(text, keep_strings=False):
    """The same text with comments (and the insides of literals) as spaces; lines stay lines."""
    def spaces(match):
        found = match.group(0)
        if found[0] in '"\'':
            if keep_strings:
                return found
            return found[0] + ' ' * (len(found) - 2) + found[-1]
        return re.sub(r'[^\n]', ' ', found)
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', spaces, text,
                  flags=re.S)


class Tree:
    """Paths to texts; `code` has comments and literals blanked, computed once per file."""

    def __init__(self, files):
        self.files = files
        self._code = {}

    def code(self, path):
        if path not in self._code:
            self._code[path] = blank_comments_and_strings(self.files[path])
        return self._code[path]

    def within(self, tops, ext=C_EXT):
        return [p for p in sorted(self.files)
                if p.endswith(ext) and any(p.startswith(t + '/') for t in tops)]

    def excused(self, path, line, name):
        return re.search(r'/\* tidy: %s: (?!\*/)\S' % re.escape(name),
                         self.files[path].split('\n')[line - 1]) is not None


def read_tree(root):
    files = {}
    for where, dirs, names in os.walk(root):
        dirs[:] = sorted(d for d in dirs
                         if d not in SKIP_DIRS and not d.startswith(SKIP_DIR_PREFIXES))
        for name in sorted(names):
            path = os.path.relpath(os.path.join(where, name), root)
            bare = '.' not in name and (path.startswith('scripts/') or name == 'run')
            if name.endswith(TEXT_EXT) or bare:
                with open(os.path.join(where, name), encoding='utf-8', newline='') as f:
                    files[path] = f.read()
    return Tree(files)


def matches(tree, paths, pattern, message, raw=False):
    """(path, line, message) for each match in the code (raw: in the text as it stands)."""
    wanted = re.compile(pattern)
    for path in paths:
        text = tree.files[path] if raw else tree.code(path)
        for number, line in enumerate(text.split('\n'), 1):
            for found in wanted.finditer(line):
                yield path, number, message % {'what': found.group(0).strip()}


def calls(names):
    """A call of one of these functions, not of a member or of a longer name."""
    return r'(?<![\w.>])(?:%s)\s*\(' % '|'.join(names)


# --- layers -----------------------------------------------------------------------------------


def layer_of(path):
    parts = path.split('/')
    if parts[0] == 'core' and len(parts) > 2:
        return parts[1]
    return None


def includes(tree, path):
    for number, line in enumerate(tree.files[path].split('\n'), 1):
        found = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if found:
            yield number, found.group(1), found.group(2)


def core_include_fault(path, target):
    """Why a file of core/ may not include this, or None."""
    own, other = layer_of(path), target.split('/')[0]
    if '/' not in target or other not in LAYERS:
        return 'includes are relative to core/: "%s"' % target
    if own is None or own not in LAYERS:
        return 'a layer that tidy does not know'
    if LAYERS[other] > LAYERS[own]:
        return '%s may not include %s: it is above' % (own, target)
    if LAYERS[other] == LAYERS[own] and other != own:
        return '%s may not include %s: it is beside' % (own, target)
    service, wanted = path.split('/')[2:3], target.split('/')[1:2]
    if own == other == 'svc':
        for a, b in (('gossipsub', 'kad'), ('kad', 'gossipsub')):
            if service == [a] and wanted == [b]:
                return 'services may not include each other: %s' % target
    return None


@rule('layers')
def check_layers(tree):
    for path in tree.within(['core']):
        for number, kind, target in includes(tree, path):
            fault = core_include_fault(path, target) if kind == '"' else None
            if fault:
                yield path, number, fault


@rule('cli-layer')
def check_cli(tree):
    """The command stands on the public ABI alone; its simulator part may reach into the core."""
    own = {p.split('/', 1)[1] for p in tree.files if p.startswith('cli/')}
    for path in tree.within(['cli']):
        if os.path.basename(path).startswith('sim'):
            continue
        for number, kind, target in includes(tree, path):
            if kind == '"' and target != 'karakp2p.h' and target not in own:
                yield path, number, 'cli may include karakp2p.h and its own headers: %s' % target


def only_in(tree, headers, allowed, message):
    for path in tree.within(['core', 'abi', 'cli']):
        if path.startswith(allowed):
            continue
        for number, _, target in includes(tree, path):
            if target in headers:
                yield path, number, message % target


@rule('threads')
def check_threads(tree):
    yield from only_in(tree, {'pthread.h', 'semaphore.h', 'threads.h'},
                       ('core/rt/', 'abi/'), '<%s> belongs to core/rt and abi')
    yield from only_in(tree, {'stdatomic.h'}, ('core/rt/', 'abi/', 'cli/'),
                       '<%s>: the core uses the __atomic builtins')


@rule('loop-libraries')
def check_loop_libraries(tree):
    yield from only_in(tree, {'uv.h', 'ares.h'}, ('core/rt/',), '<%s> belongs to core/rt')


@rule('uthash')
def check_uthash(tree):
    yield from only_in(tree, {'uthash.h', 'utlist.h', 'utarray.h'}, ('core/base/map.h',),
                       '<%s> is included by core/base/map.h alone')


# --- calls ------------------------------------------------------------------------------------


@rule('clock')
def check_clock(tree):
    paths = [p for p in tree.within(['core', 'abi']) if not p.startswith('core/rt/')]
    names = ['time', 'clock_gettime', 'clock', 'gettimeofday', 'uv_hrtime', 'uv_now', 'nanosleep',
             'usleep', 'sleep']
    yield from matches(tree, paths, calls(names),
                       '%(what)s…): time is an argument, only core/rt reads a clock')


@rule('random')
def check_random(tree):
    paths = tree.within(['core', 'abi', 'cli'])
    names = ['rand', 'srand', 'rand_r', 'random', 'srandom', 'drand48', 'arc4random', 'getrandom',
             'RAND_bytes', 'RAND_priv_bytes', 'uv_random', 'randombytes_buf']
    paths = [p for p in paths if not p.startswith('core/rt/')]
    yield from matches(tree, paths, calls(names), '%(what)s…): chance comes from a seed')


@rule('malloc')
def check_malloc(tree):
    paths = [p for p in tree.within(['core', 'abi']) if p != 'core/base/mem.c']
    names = ['malloc', 'calloc', 'realloc', 'reallocarray', 'free', 'strdup', 'strndup',
             'aligned_alloc', 'posix_memalign']
    yield from matches(tree, paths, calls(names), '%(what)s…): memory comes from base/mem.h')


@rule('uv-pool')
def check_uv_pool(tree):
    yield from matches(tree, tree.within(['core', 'abi', 'cli']),
                       r'\b(?:uv_queue_work|uv_getaddrinfo|uv_getnameinfo|uv_fs_\w+)\b',
                       '%(what)s uses the pool of the whole process')


@rule('unsafe')
def check_unsafe(tree):
    paths = tree.within(['core', 'abi', 'cli', 'tests', 'bench', 'bindings'], ('.c', '.h', '.cc'))
    yield from matches(tree, paths,
                       calls(['gets', 'strcpy', 'strcat', 'sprintf', 'vsprintf', 'alloca',
                              'strtok']),
                       '%(what)s…) is banned')


# --- files and functions ----------------------------------------------------------------------


def functions(code):
    """(first line, line count) of each function of clang-formatted code: braces in column 0."""
    lines = code.split('\n')
    start = None
    for number, line in enumerate(lines, 1):
        if line.rstrip() == '{':
            start = number
            while start > 1 and re.match(r'[\w\s*]', lines[start - 2]) and \
                    lines[start - 2].strip() and not lines[start - 2].rstrip().endswith(';'):
                start -= 1
        elif line.startswith('}') and start is not None:
            yield start, number - start + 1
            start = None


@rule('function-length')
def check_function_length(tree):
    for path in tree.within(['core', 'abi', 'cli']):
        for start, count in functions(tree.code(path)):
            if count > FUNCTION_LINES_MAX:
                yield path, start, 'function of %d lines, at most %d' % (count, FUNCTION_LINES_MAX)


@rule('file-length')
def check_file_length(tree):
    for path in tree.within(['core', 'abi', 'cli', 'tests', 'bench', 'bindings'], CODE_EXT):
        count = tree.files[path].count('\n')
        if count > FILE_LINES_MAX:
            yield path, FILE_LINES_MAX, 'file of %d lines, at most %d' % (count, FILE_LINES_MAX)


@rule('header-keywords')
def check_header_keywords(tree):
    yield from matches(tree, tree.within(['core', 'abi'], ('.h',)), r'\brestrict\b|\b_Atomic\b',
                       '%(what)s: headers compile as C++17 too')


# --- names ------------------------------------------------------------------------------------


def file_scope_names(code):
    """(line, name) of what a .c file defines for itself: statics, tags, typedefs, macros."""
    undone = set(re.findall(r'^\s*#\s*undef\s+(\w+)', code, re.M))
    lines = code.split('\n')
    for number, line in enumerate(lines, 1):
        found = re.match(r'\s*#\s*define\s+(\w+)', line)
        if found and found.group(1) not in undone:
            yield number, found.group(1)
        found = re.match(r'(?:typedef |static |const )*(?:struct|union|enum) (\w+) \{', line)
        if found:
            yield number, found.group(1)
        found = re.match(r'\} (\w+);', line)
        if found:
            yield number, found.group(1)
        found = re.match(r'typedef [^{}]*?(?:\(\*(\w+)\)\(|\b(\w+);$)', line)
        if found:
            yield number, found.group(1) or found.group(2)
        if line.startswith('static ') and not line.startswith('static inline '):
            # what is declared: the last word before a parenthesis, bracket, = or ;
            rest = re.split(r'[\[=;{]', re.sub(r'__attribute__\s*\(\(.*?\)\)', '', line), 1)[0]
            found = re.search(r'\(\*(?:const )?(\w+)', rest) or re.search(r'(\w+)\s*\(', rest) or \
                re.search(r'(\w+)\s*$', rest)
            if found and found.group(1) != 'static':
                yield number, found.group(1)


@rule('unique-names')
def check_unique_names(tree):
    """An amalgamation joins the .c files, so what one of them calls its own must be its alone."""
    first = {}
    for path in tree.within(['core', 'abi'], ('.c',)):
        for number, name in file_scope_names(tree.code(path)):
            where = first.setdefault(name, (path, number))
            if where[0] != path:
                yield path, number, '%s is also in %s:%d' % (name, where[0], where[1])


# --- text -------------------------------------------------------------------------------------


@rule('todo')
def check_todo(tree):
    words = 'TO' + 'DO|FIX' + 'ME|XX' + 'X'
    yield from matches(tree, sorted(tree.files), r'\b(?:%s)\b(?! ?\(?#\d+)' % words,
                       '%(what)s without an issue number', raw=True)


@rule('white-space')
def check_white_space(tree):
    for path in sorted(tree.files):
        text = tree.files[path]
        for number, line in enumerate(text.split('\n'), 1):
            if line != line.rstrip():
                yield path, number, 'white space at the end of the line'
        if text and not text.endswith('\n'):
            yield path, text.count('\n') + 1, 'no newline at the end'
        elif text.endswith('\n\n'):
            yield path, text.count('\n'), 'empty line at the end'


@rule('machine-paths')
def check_machine_paths(tree):
    places = r'(?<![\w/.])/(?:ho' + r'me/\w|Us' + r'ers/\w|ro' + r'ot/|wo' + r'rk/(?:main|shared|\.))'
    yield from matches(tree, sorted(tree.files), places, '%(what)s is a path of one machine',
                       raw=True)


def check(tree):
    out = []
    for name, function in RULES.items():
        for path, line, message in function(tree):
            if not tree.excused(path, line, name):
                out.append('%s:%d: %s: %s' % (path, line, name, message))
    return sorted(set(out), key=lambda m: (m.split(':')[0], int(m.split(':')[1]), m))


# --- self-test --------------------------------------------------------------------------------

CLEAN = {
    'core/base/mem.c': '#include "base/mem.h"\nvoid *kp_mem_alloc(void)\n{\n\treturn malloc(1);\n}\n',
    'core/base/map.h': '#include <uthash.h>\n',
    'core/conn/a.c': ('#include "base/mem.h"\n#include "conn/a.h"\n#include <string.h>\n'
                      '/* time( and malloc( and alloca( in a comment */\n'
                      'static const char *const a_text = "rand( strcpy(";\n'
                      'static int a_run(struct c *c)\n{\n\treturn c->ops->free(c) + c->time(1);\n}\n'),
    'core/conn/b.c': 'static int b_run(int c_time)\n{\n\treturn kp_time(c_time);\n}\n',
    'core/rt/loop.c': '#include <pthread.h>\n#include <uv.h>\n#include "engine/port.h"\n'
                      'void kp_x(void)\n{\n\tclock_gettime(0, 0);\n}\n',
    'core/rt/job.c': 'void kp_y(void)\n{\n\tfree(0); /* tidy: malloc: c-ares gave it */\n}\n',
    'core/sim/world.c': '#include "engine/port.h"\n',
    'core/svc/gossipsub/gs.c': '#include "svc/svc.h"\n#include "svc/gossipsub/gs.h"\n',
    'cli/main.c': '#include "karakp2p.h"\n#include "cli.h"\n',
    'cli/cli.h': '',
    'cli/sim.c': '#include "sim/world.h"\n',
    'docs/x.md': 'TO' + 'DO(#12): later, see /unix/ho' + 'me/x\n',
}


def function_of(count):
    return 'void kp_long(void)\n{\n' + '\tkp_x();\n' * (count - 3) + '}\n'


# rule, path, text that must fail, and what must be said; None: must pass
FIXTURES = [
    ('layers', 'core/base/x.c', '#include "wire/pb.h"\n', 'above'),
    ('layers', 'core/conn/x.c', '#include "svc/svc.h"\n', 'above'),
    ('layers', 'core/sim/x.c', '#include "rt/loop.h"\n', 'beside'),
    ('layers', 'core/rt/x.c', '#include "sim/world.h"\n', 'beside'),
    ('layers', 'core/svc/kad/x.c', '#include "svc/gossipsub/gs.h"\n', 'each other'),
    ('layers', 'core/svc/gossipsub/x.c', '#include "svc/kad/kad.h"\n', 'each other'),
    ('layers', 'core/base/x.c', '#include "mem.h"\n', 'relative'),
    ('layers', 'core/base/x.c', '#include "../base/mem.h"\n', 'relative'),
    ('layers', 'core/rt/x.c', '#include "abi/x.h"\n', 'relative'),
    ('cli-layer', 'cli/x.c', '#include "engine/port.h"\n', 'karakp2p.h'),
    ('threads', 'core/conn/x.c', '#include <pthread.h>\n', 'pthread.h'),
    ('threads', 'cli/x.c', '#include <semaphore.h>\n', 'semaphore.h'),
    ('threads', 'core/base/x.c', '#include <stdatomic.h>\n', 'builtins'),
    ('loop-libraries', 'abi/x.c', '#include <uv.h>\n', 'uv.h'),
    ('uthash', 'core/base/x.h', '#include <uthash.h>\n', 'map.h'),
    ('uthash', 'core/rt/x.c', '#include "uthash.h"\n', 'map.h'),
    ('clock', 'core/svc/x.c', 'int kp_x = time(NULL);\n', 'time('),
    ('clock', 'abi/x.c', 'int kp_x = clock_gettime (0, &t);\n', 'clock_gettime'),
    ('clock', 'core/svc/x.c', 'int kp_x = e->time(NULL) + my_time(1);\n', None),
    ('random', 'core/svc/x.c', 'int kp_x = rand();\n', 'rand('),
    ('random', 'core/svc/x.c', 'int kp_x = ops->random(c, out, 3);\n', None),
    ('malloc', 'core/wire/x.c', 'void *kp_x = malloc(3);\n', 'malloc('),
    ('malloc', 'core/rt/x.c', 'void *kp_x = calloc(3, 3);\n', 'calloc('),
    ('malloc', 'abi/x.c', 'int kp_x = (free(p), 1);\n', 'free('),
    ('malloc', 'core/wire/x.c', 'int kp_x = kp_free(p) + o.free(p) + OPENSSL_free(p);\n', None),
    ('malloc', 'core/wire/x.c', 'int kp_x = free(p); /* tidy: malloc: */\n', 'free('),
    ('uv-pool', 'core/rt/x.c', 'int kp_x = uv_queue_work(l, r, f, g);\n', 'uv_queue_work'),
    ('uv-pool', 'core/rt/x.c', 'int kp_x = uv_fs_open(l, r);\n', 'uv_fs_open'),
    ('unsafe', 'core/rt/x.c', 'int kp_x = strcpy(a, b);\n', 'strcpy'),
    ('unsafe', 'cli/x.c', 'int kp_x = sprintf(a, b);\n', 'sprintf'),
    ('unsafe', 'tests/unit/x.cc', 'int kp_x = alloca(3);\n', 'alloca'),
    ('unsafe', 'core/rt/x.c', 'char *kp_x = gets(a);\n', 'gets'),
    ('unsafe', 'core/rt/x.c', 'int kp_x = snprintf(a, 3, b) + fgets(a, 3, f);\n', None),
    ('function-length', 'core/rt/x.c', function_of(71), '71 lines'),
    ('function-length', 'core/rt/x.c', function_of(70), None),
    ('function-length', 'cli/x.c', function_of(71).replace('(void)', '(int a,\n\t\tint b)', 1),
     '72 lines'),
    ('file-length', 'core/rt/x.c', 'int kp_x;\n' * 901, '901 lines'),
    ('file-length', 'core/rt/x.c', 'int kp_x;\n' * 900, None),
    ('header-keywords', 'core/rt/x.h', 'void kp_x(char *restrict p);\n', 'restrict'),
    ('header-keywords', 'core/rt/x.h', '_Atomic int kp_x;\n', '_Atomic'),
    ('header-keywords', 'core/rt/x.c', 'void kp_x(char *restrict p);\n', None),
    ('unique-names', 'core/rt/x.c', 'static int a_run(void)\n{\n\treturn 0;\n}\n', 'a_run'),
    ('unique-names', 'core/rt/x.c', 'static const char a_text[] = {1};\n', 'a_text'),
    ('unique-names', 'core/rt/x.c', 'static struct b_tag *(*a_run)(int);\n', 'a_run'),
    ('unique-names', 'core/rt/x.c', 'static int other(int a_run)\n{\n\treturn a_text;\n}\n', None),
    ('todo', 'core/rt/x.c', '/* TO' + 'DO: later */\n', 'issue'),
    ('todo', 'scripts/x.py', '# FIX' + 'ME\n', 'issue'),
    ('white-space', 'docs/y.md', 'a \nb\n', 'end of the line'),
    ('white-space', 'docs/y.md', 'a\r\nb\r\n', 'end of the line'),
    ('white-space', 'docs/y.md', 'a', 'newline'),
    ('white-space', 'docs/y.md', 'a\n\n', 'empty line'),
    ('machine-paths', 'docs/y.md', 'see /ho' + 'me/ann/x\n', 'one machine'),
    ('machine-paths', 'scripts/x.py', 'open("/wo' + 'rk/main/x")\n', 'one machine'),
]

# Two files that must not share a name, for the kinds that one fixture beside CLEAN cannot show.
PAIRS = [
    'struct tag_x {\n\tint a;\n};\n',
    'typedef struct {\n\tint a;\n} type_x;\n',
    'typedef int type_y;\n',
    'typedef int (*type_z)(void);\n',
    '#define MACRO_X 1\n',
    'enum tag_y { A };\n',
    'static _Thread_local char static_x;\n',
    'static uint8_t static_y[3][4] = {{0}};\n',
    'static kp_err long_named_function(struct very_long_type *first,\n\t\t\t int b)\n{\n}\n',
]


def self_test():
    faults = []
    found = check(Tree(dict(CLEAN)))
    if found:
        faults.append('clean code is refused: %s' % found)
    for name, path, text, want in FIXTURES:
        files = dict(CLEAN)
        files[path] = text
        found = [m for m in check(Tree(files)) if m.split(': ')[1] == name and path in m]
        if want is None and found:
            faults.append('%s refuses %r: %s' % (name, text[:60], found))
        if want is not None and not any(want in m for m in found):
            faults.append('%s misses %r (said %s)' % (name, text[:60], found))
    for text in PAIRS:
        if not check(Tree({'core/rt/p.c': text, 'core/rt/q.c': text})):
            faults.append('unique-names misses %r' % text)
    both = '#define MACRO_Y 1\n#undef MACRO_Y\n'
    if check(Tree({'core/rt/p.c': both, 'core/rt/q.c': both})):
        faults.append('unique-names refuses a macro that is undone')
    for name in RULES:
        if not any(f[0] == name and f[3] is not None for f in FIXTURES):
            faults.append('rule %s has no fixture that fails' % name)
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--self-test', action='store_true')
    parser.add_argument('--root', default=os.path.join(os.path.dirname(__file__), '..', '..'))
    args = parser.parse_args()
    if args.self_test:
        found = self_test()
        print('\n'.join(found) or 'tidy: %d rules can fail (%d fixtures)' %
              (len(RULES), len(FIXTURES) + len(PAIRS)))
    else:
        tree = read_tree(args.root)
        found = check(tree)
        print('\n'.join(found) or 'tidy: %d files are clean' % len(tree.files))
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
