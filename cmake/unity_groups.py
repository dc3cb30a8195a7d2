# SPDX-License-Identifier: Apache-2.0
"""Puts source files into groups that can be compiled as one file each.

unity_groups.py types FOLDER...              prints the types that the headers below these folders declare
unity_groups.py groups SIZE TYPES FILE...    prints a line `GROUP FILE` for each that is not compiled alone

Files whose private names (those of anonymous namespaces, and constants) meet are never in one group, nor is a file
that writes the private name of another. A file whose private name is also a type of some header (TYPES: a file of such
names), or that takes in the simulated network's, is compiled alone. Relies on .clang-format: what a namespace
declares begins in the first column.
"""
import pathlib
import re
import sys

OPENS = re.compile(r'^(?:inline )?namespace\b[^;={]*\{')
NAMED = re.compile(r'^(?:template <.*> )?(?:struct|class|enum class|enum|union) (?:\[\[\w+\]\] )?(\w+)')
ALIAS = re.compile(r'^(?:using|namespace) (\w+) = (.*)$')
MACRO = re.compile(r'^#define (\w+)')
# The last word before what follows a name of a function or a variable.
VALUE = re.compile(r'(\w+)\s*(?=\(|\{|=|;|\[)')


def private_names(path):
    """The names that only this file may use, each with what it says where that is short (an alias, else the path)."""
    names = {}
    depth = []  # for each namespace that is open: whether it is anonymous
    with open(path, encoding='utf-8') as source:
        for line in source:
            macro = MACRO.match(line)
            if macro:
                names[macro[1]] = path
                continue
            if OPENS.match(line) and '}' not in line:
                depth.append(not re.match(r'^(?:inline )?namespace\s+\w', line))
                continue
            if line.startswith('}') and not line.startswith('};') and '// namespace' in line and depth:
                depth.pop()
                continue
            if not re.match(r'[A-Za-z_\[]', line):
                continue
            hidden = any(depth) or line.startswith(('static ', 'constexpr ', 'const '))
            alias = ALIAS.match(line)
            if alias:
                names[alias[1]] = alias[2]
            elif hidden:
                # A declaration may go on for lines; a name's line is its first.
                named = NAMED.match(line)
                if named:
                    names[named[1]] = path
                    continue
                text = re.sub(r'\[\[\w+\]\]\s*', '', line)
                value = VALUE.search(re.sub(r'<[^<>]*>', '', re.sub(r'<[^<>]*>', '', text)))
                if value:
                    names[value[1]] = path
                # Several variables of one line.
                for other in re.findall(r', (\w+) = ', text):
                    names[other] = path
    return names


def public_types(folders):
    """The types that headers below these folders declare in a namespace, or in none."""
    found = set()
    for folder in folders:
        for path in pathlib.Path(folder).rglob('*.hpp'):
            for line in path.read_text(encoding='utf-8').splitlines():
                named = NAMED.match(line) or ALIAS.match(line)
                if named:
                    found.add(named[1])
    return sorted(found)


def in_tests(path):
    return '/tests/' in path


def words_of(path):
    """What the file may mean by a name that is private to another: what it calls, in tests every word."""
    # Tests take in the namespace of their helpers beside Dunlin's, where one name may mean two things.
    return set(re.findall(r'\w+' if in_tests(path) else r'\w+(?=\()', pathlib.Path(path).read_text(encoding='utf-8')))


def opens_another(path):
    """Whether the file takes in a namespace that has types of the same names as Dunlin's own."""
    return re.search(r'^using namespace dunlin::simulation;', pathlib.Path(path).read_text(encoding='utf-8'), re.M)


def groups(size, types, paths):
    """(number, path) of every file that shares its group with others, in the order of the paths."""
    found = []  # (names, words, files)
    tests = {path.split('/tests/')[0] + '/tests' for path in paths if in_tests(path)}
    of_helpers_too = types.intersection(public_types(tests))
    for path in paths:
        names, words = private_names(path), words_of(path)
        if not types.isdisjoint(names) or opens_another(path) or not of_helpers_too.isdisjoint(words):
            continue
        for known, said, files in found:
            if len(files) < size and said.isdisjoint(names) and words.isdisjoint(known) and all(
                    known.get(name, text) == text for name, text in names.items()):
                break
        else:
            known, said, files = {}, set(), []
            found.append((known, said, files))
        known.update(names)
        said.update(words)
        files.append(path)
    return [(number, path) for number, (_, _, files) in enumerate(found) if len(files) > 1 for path in files]


if sys.argv[1] == 'types':
    print('\n'.join(public_types(sys.argv[2:])))
else:
    types = set(pathlib.Path(sys.argv[3]).read_text(encoding='utf-8').split())
    for group, file in groups(int(sys.argv[2]), types, sys.argv[4:]):
        print(group, file)
