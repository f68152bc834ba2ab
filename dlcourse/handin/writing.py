"""What a learner wrote: leftovers, comments, headings, names of people. Texts in, findings in words out."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from dlcourse.handin.sheet import COLLABORATORS_HOLDER, TEAM_HOLDER

KEEP = re.compile(r"\s*#\s*keep\b", re.IGNORECASE)
_STUBS = ("YOUR CODE HERE", "YOUR ANSWER HERE", COLLABORATORS_HOLDER, TEAM_HOLDER)
_TODO = re.compile(r"\b(?:TODO|FIXME|XXX)\b")
_STUB_ERROR = re.compile(r"raise NotImplementedError\((?:\"|')(?:Question \w+:|your code here)")
_RED = re.compile(r"color\s*[:=]\s*[\"']?\s*(?:red\b|#f00\b|#ff0000\b|rgb\(\s*255\s*,\s*0\s*,\s*0\s*\))", re.IGNORECASE)
_BOLD = re.compile(
    r"\*\*|__|<b\b|<strong\b|^\s{0,3}#{1,6}\s|font-weight\s*:\s*(?:bold|[6-9]00)", re.IGNORECASE | re.MULTILINE
)
_MOST_NAMES = 5_000  # characters of the cell that names people
_TAG = re.compile(r"<[^<>]{0,300}>")
_SOLUTION = re.compile(r"\bsolution\b", re.IGNORECASE)


def one_line(text: object, limit: int = 120) -> str:
    """A text of anybody's as one line without control characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def leftovers(source: str, code: bool) -> list[str]:
    """What stands for an answer that is missing, once each. In code, TODO counts in comments alone."""
    found = [stub for stub in _STUBS if stub in source]
    if code and (stub := _STUB_ERROR.search(source)):
        found.append(stub.group().split("(")[0])
    texts = comments(source) if code else [source]
    found += [todo for text in texts for todo in _TODO.findall(text)]
    return list(dict.fromkeys(found))


def comments(source: str) -> list[str]:
    """The comments of a code cell, without the stub's own. What is no Python is read line by line."""
    found = []
    try:
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        found = [token.string for token in tokens if token.type == tokenize.COMMENT]
    except (tokenize.TokenError, SyntaxError, ValueError):
        found = [line[line.index("#") :] for line in source.split("\n") if "#" in line]
    return [text for text in found if "YOUR CODE HERE" not in text and text.strip("# \t")]


def code_lines(source: str) -> int:
    """How many lines of a cell a learner had to write: without definitions' heads, docstrings, comments, blanks."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return sum(1 for line in source.split("\n") if line.strip() and not line.lstrip().startswith("#"))
    lines: set[int] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not docstring:
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    blank = {n for n, line in enumerate(source.split("\n"), 1) if not line.strip() or line.lstrip().startswith("#")}
    return len(lines - blank)


def heading_problem(texts: list[str], expected: str) -> str | None:
    """What is wrong with the heading of an answer, searched in the texts above it; None if it is there.

    It counts when a line holds the expected words in their order, bold and red in any of the ways that Markdown and
    HTML have.
    """
    words = _words(expected)
    lines = [line for text in texts for line in text.split("\n") if _SOLUTION.search(line)]
    here = [line for line in lines if _words(line)[: len(words)] == words]
    if not here:
        said = f"; found: {one_line(_TAG.sub('', lines[-1]), 60)!r}" if lines else ""
        return f"the heading {expected!r} is missing above the answer{said}"
    if not any(_RED.search(line) and _BOLD.search(line) for line in here):
        missing = "red" if any(_BOLD.search(line) for line in here) else "bold"
        return f"the heading {expected!r} is not {missing}"
    return None


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", _TAG.sub(" ", text).casefold())


def collaborator_problems(source: str, team: int) -> Iterator[tuple[str, str]]:
    """What is missing in the cell that names collaborators, each with how to mend it."""
    source = source[:_MOST_NAMES]
    if team > 1:
        members = _people(source, "Team")
        if not members or TEAM_HOLDER in source:
            yield "the team is not filled in", "Name everybody who hands this in, yourself too"
        elif len(members) > team:
            yield f"the team has {len(members)} members, at most {team} are allowed", "Hand in smaller teams"
    if COLLABORATORS_HOLDER in source or not _people(source, "Collaborators"):
        yield "the collaborators are not filled in", "Name whom you discussed the questions with, or write none"


def _people(source: str, title: str) -> list[str]:
    """The names after ``**Title** (…):`` up to the next such title."""
    found = re.search(
        rf"\*\*{title}\*\*(?:[ \t]*\([^()]*\))?[ \t]*:?(.*?)(?=^\s*\*\*|\Z)", source, re.DOTALL | re.MULTILINE
    )
    if not found:
        return []
    names = re.split(r"[,;\n&]|\band\b", found[1])
    return [name for name in (n.strip(" \t*-.:") for n in names) if name]
