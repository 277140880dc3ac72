#!/usr/bin/env python3
"""Lists circles of imports between the files of crates/mmf/src, and fails if one is not named below.

An import is a `use` or `pub use` line that leads to another file of the crate. Imports that only tests make
do not count, nor do imports between a module and the modules inside it: a parent re-exports its children,
and they use what it shares among them. Files that import each other, directly or through others, form one
circle.

With -v, it also prints the imports of each circle.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "crates" / "mmf" / "src"

# The circles that are allowed. docs/design.md gives the reasons.
ALLOWED = [
    ["sys/unix/chain.rs", "sys/unix/fault.rs"],
]


def module_of(path):
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[-1] == "mod":
        parts.pop()
    return () if parts == ["lib"] else tuple(parts)


def related(one, other):
    """Whether one is the other, or inside it, or the root of the crate."""
    return one[: len(other)] == other or other[: len(one)] == one


def without_tests(text):
    """Drops comments, and blocks that are compiled for tests alone."""
    text = re.sub(r"//[^\n]*", "", text)
    match = re.search(r"#\[cfg\((?:all\()?test\b[^\n]*\]\s*(?:#\[[^\n]*\]\s*)*(?:pub\S* )?mod \w+ \{", text)
    return text[: match.start()] if match else text


def paths(tree):
    """The paths of a `use` tree, without its braces."""
    depth, start, heads = 0, 0, []
    for at, char in enumerate(tree + ","):
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
        elif char == "," and depth == 0:
            heads.append(tree[start:at].strip())
            start = at + 1
    for head in filter(None, heads):
        if "{" in head:
            prefix, rest = head.split("{", 1)
            for path in paths(rest.rsplit("}", 1)[0]):
                yield prefix + path
        else:
            yield head.split(" as ")[0]


def imports(path, files, aliases):
    here = module_of(path)
    uses = re.compile(r"^\s*(?:pub(?:\([^)]*\))?\s+)?use\s+([^;]+);", re.M)
    for match in uses.finditer(without_tests(path.read_text())):
        for name in paths(" ".join(match.group(1).split())):
            parts = name.replace(" ", "").split("::")
            base = here
            if parts[0] == "crate":
                base, parts = (), parts[1:]
            elif parts[0] == "self":
                parts = parts[1:]
            elif parts[0] == "super":
                while parts and parts[0] == "super":
                    base, parts = base[:-1], parts[1:]
            elif here + (parts[0],) not in files and here + (parts[0],) not in aliases:
                continue
            target = base
            for part in parts:
                deeper = aliases.get(target + (part,), target + (part,))
                if deeper not in files:
                    break
                target = deeper
            if target in files and not related(target, here):
                yield target


def groups(graph):
    """Strongly connected groups of more than one file (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in graph[node]:
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            at = stack.index(node)
            group = stack[at:]
            del stack[at:]
            if len(group) > 1:
                found.append(group)

    for node in graph:
        if node not in index:
            visit(node)
    return found


def main():
    sys.setrecursionlimit(10_000)
    files = {module_of(path): path for path in sorted(ROOT.rglob("*.rs")) if not path.stem.endswith("tests")}
    # Modules whose file has another name (`#[path]`), such as `system` in security and handoff.
    aliases = {}
    for module, path in files.items():
        for file, name in re.findall(r'#\[path = "([^"]+)"\]\s*(?:pub\S* )?mod (\w+)', path.read_text()):
            target = (path.parent / file).resolve()
            if target.exists() and target.suffix == ".rs":
                aliases.setdefault(module + (name,), module_of(target))
    graph = {module: sorted(set(imports(path, files, aliases))) for module, path in files.items()}
    found = [sorted(str(files[module].relative_to(ROOT)) for module in group) for group in groups(graph)]
    if "-v" in sys.argv[1:]:
        for group in groups(graph):
            for module in sorted(group):
                inside = [str(files[t].relative_to(ROOT)) for t in graph[module] if t in group]
                print(f"  {files[module].relative_to(ROOT)}: {' '.join(inside)}")
            print()
    unknown = [group for group in found if not any(set(group) <= set(allowed) for allowed in ALLOWED)]
    print(f"{len(found)} circles of imports")
    for group in found:
        print(f"  {' '.join(group)}{' (not allowed)' if group in unknown else ''}")
    sys.exit(1 if unknown else 0)


main()
