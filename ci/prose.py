#!/usr/bin/env python3
"""Finds patterns that CONTRIBUTING's "Language" excludes in comments, messages, Markdown and commit subjects.

    ci/prose.py [PATH...]    files of the repository; without a path, all of them and the newest commits

Each finding is a line `path:line: rule: text`. The check fails if there is one. Text that is right as it stands goes
into EXCEPTIONS.
"""

import re
import subprocess
import sys

LINE_LIMIT = 110  # columns of Rust and Python
SCRIPT_LIMIT = 120  # columns of comments elsewhere
CELL_LIMIT = 140  # columns of a table cell
SUBJECT_LIMIT = 72
SUBJECTS = 20  # commits whose subjects are checked

SENTENCE = r"(?:^|[.:;(] +|\| )"
RULES = [
    # A clause with "who" is no subject: the waiter, the owner, a process that ...
    ("headless who", SENTENCE + r"Who(?:ever|m)?\b(?![^.|]*\?)(?! can do what)", re.MULTILINE),
    ("headless who", r"\b(?:whoever|whomever|by who|for who|to who|of who|than who)\b", re.IGNORECASE),
    ("memory is uncountable", r"\b(?:a|each|every|another|one|this user's) memory(?! \w*(?:map|fence|model|barrier|order|access|"
     r"address|block|region|object|page|limit|leak|format|group|type|operand|management))(?![-\w])", re.IGNORECASE),
    ("memory is uncountable", r"\bmemories\b", re.IGNORECASE),
    ("a process is 'it'", r"\b(?:he|him|his|himself|she|her|hers)\b", 0),
    ("nobody and somebody are people", r"\b(?:nobody|somebody|everybody|nobody's|somebody's)\b", re.IGNORECASE),
    ("'spun', not 'span'", r"\b(?:has|have|had|having) span\b", re.IGNORECASE),
    ("create, not make", r"\b(?:makers?|its maker)\b", re.IGNORECASE),
    ("report, notify, detect", r"\b(?:is|are|was|were|be|been|being|gets?) told\b", re.IGNORECASE),
    ("not idiomatic", r"\b(?:in vain|let go|learnt|mend(?:s|ed)?|gives back|gave back|in the same moment|look again by)\b", re.IGNORECASE),
    ("not idiomatic", r"\b(?:is|are) (?:not )?to be had\b", re.IGNORECASE),
    ("private term", r"\b(?:doze[ds]?|patience|parking)\b", re.IGNORECASE),
]
# (path, fragment of the line): text that is right although a pattern matches.
EXCEPTIONS = [
    ("ci/prose.py", ""),
    ("ci/msvc-stub/i686.rs", ""),  # symbols of the C runtime
    ("CONTRIBUTING.md", ""),  # its table quotes what to avoid
]


def prose(path, lines):
    """Yields the parts of a file that are English: (line number, text)."""
    fenced = False
    for number, line in enumerate(lines, 1):
        if path.endswith(".md"):
            if line.lstrip().startswith("```"):
                fenced = not fenced
            elif not fenced:
                yield number, re.sub(r"`[^`]*`", "`", line)
        elif path.endswith((".rs", ".toml", ".yml")):
            start = "//" if path.endswith(".rs") else "#"
            comment = re.search(r"(?:^|[^:\"'\w])" + start + r"[/!]?(?!\!\[)(.*)", line)
            if comment:
                yield number, re.sub(r"`[^`]*`", "`", comment.group(1).strip())
                line = line[: comment.start()]
            for text in re.findall(r'"((?:[^"\\]|\\.)*)"', line):
                if " " in text:
                    yield number, re.sub(r"`[^`]*`", "`", text)
        else:
            comment = re.match(r"\s*#(?!!)(.*)", line)
            if comment:
                yield number, comment.group(1).strip()


def check(path):
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines, 1):
        limit = LINE_LIMIT if path.endswith((".rs", ".py")) else SCRIPT_LIMIT
        counts = path.endswith((".rs", ".py")) or (re.match(r"\s*# ", line) and not path.endswith(".md"))
        if counts and len(line) > limit and "://" not in line and not re.match(r"\s*//[/!] \|", line):
            yield number, f"longer than {limit} columns", f"{len(line)}"
        if path.endswith(".md") and line.startswith("|"):
            for cell in re.split(r"(?<!\\)\|", line)[1:-1]:
                if len(cell.strip()) > CELL_LIMIT:
                    yield number, f"a cell longer than {CELL_LIMIT} columns", cell.strip()[:60]
    for number, text in prose(path, lines):
        for name, pattern, flags in RULES:
            found = re.search(pattern, text, flags)
            if found:
                yield number, name, text.strip()[:100]


def subjects():
    log = subprocess.run(["git", "log", f"-{SUBJECTS}", "--no-merges", "--format=%h %s"], capture_output=True, text=True)
    for line in log.stdout.splitlines():  # (there are none without a history)
        commit, _, subject = line.partition(" ")
        if len(subject) > SUBJECT_LIMIT or not re.match(r"[a-z0-9_/ ,.-]+: [a-z`*:]", subject) or subject.endswith("."):
            yield commit, "`area: imperative verb and object`, at most 72 characters, without a full stop", subject


def main():
    paths = sys.argv[1:]
    if not paths:
        tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.split()
        paths = [p for p in tracked if p.endswith((".rs", ".md", ".sh", ".toml", ".yml", ".py")) or p == ".ci/run"]
    found = 0
    for path in paths:
        for number, rule, text in check(path):
            if any(path == at and (fragment == "" or fragment in text) for at, fragment in EXCEPTIONS):
                continue
            print(f"{path}:{number}: {rule}: {text}")
            found += 1
    if not sys.argv[1:]:
        for commit, rule, text in subjects():
            print(f"{commit}: {rule}: {text}")
            found += 1
    if found:
        sys.exit(f"{found} findings: CONTRIBUTING.md, \"Language\", has the rules")


main()
