"""What runs in Gradescope's container, as root: ``python -m dlcourse.lms.autograder.container /autograder``.

A submission is graded as ``course grade`` grades it, with another user in the place of bubblewrap. Every notebook runs
twice: first without its hidden checks, for what learners see at once, then with them, for the points. Nothing that the
second run says in words of its own is shown, so that code cannot carry a hidden check out.
"""

from __future__ import annotations

import copy
import json
import os
import pwd
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from dlcourse.errors import CourseError
from dlcourse.grading.intake import blank, take_in
from dlcourse.grading.key import AnswerKey
from dlcourse.grading.run import Transcript, rehearse
from dlcourse.grading.verdict import judge_notebook
from dlcourse.lms.autograder.package import FOLDER, read_key
from dlcourse.lms.autograder.results import results
from dlcourse.lms.autograder.submission import find_notebooks, take_out
from dlcourse.lms.headings import question_headings

LEARNER = "learner"
SECONDS = 560.0  # for everything; Gradescope stops an autograder after ten minutes
PUBLIC_SHARE = 0.35  # of the time, for the run without hidden checks
# Half a processor: three times what `course grade` allows.
CELL_SECONDS, NOTEBOOK_SECONDS = 60.0, 360.0


def grade_submission(root: Path, user: int, deadline: float) -> dict[str, Any]:
    """Grade what lies in ``root/submission``.

    Args:
        root: the container's folder, with ``source`` and ``submission`` in it.
        user: the number of the user that learners' code runs as.
        deadline: when it has to be done, in seconds of the monotonic clock.

    Returns:
        The content of results.json.
    """
    begin = time.monotonic()
    grading = root / "source" / FOLDER
    releases = {path.stem: nbformat.read(path, as_version=4) for path in sorted(grading.glob("*.ipynb"))}
    headings = {
        (name, grade_id): title
        for name, release in releases.items()
        for grade_id, title in question_headings(release).items()
    }
    graded = {}
    with tempfile.TemporaryDirectory(prefix="submission-") as folder:
        files = Path(folder)
        if (grading / "data").is_dir():
            shutil.copytree(grading / "data", files, dirs_exist_ok=True)
        notes = take_out(root / "submission", files)
        found, strangers = find_notebooks(files, releases)
        for position, (name, release) in enumerate(releases.items()):
            key = read_key(grading / f"{name}.json")
            left = (deadline - time.monotonic()) / (len(releases) - position)
            notebook = take_in(found[name], release) if name in found else _nothing(release)
            graded[name] = _grade(notebook, key, files, user, left)
    first = next(iter(graded.values()))[1]
    first.metadata.dlcourse.repairs = [*notes, *strangers, *first.metadata.dlcourse.repairs]
    return results(graded, headings, time.monotonic() - begin)


def _nothing(release: NotebookNode) -> NotebookNode:
    return blank(release, "not_submitted", "no such notebook was handed in")


def _grade(
    notebook: NotebookNode, key: AnswerKey, files: Path, user: int, seconds: float
) -> tuple[NotebookNode, NotebookNode]:
    """The notebook judged without its hidden checks, and with all of them."""
    begin = time.monotonic()
    visible = replace(
        key,
        statements={g: [s for s in cell if not s.hidden] for g, cell in key.statements.items()},
        references={g: {k: r for k, r in cell.items() if not r.hidden} for g, cell in key.references.items()},
    )
    public, scored = copy.deepcopy(notebook), notebook
    # First the run that knows no secret: whatever it leaves lying about tells the second one nothing new.
    _run(public, visible, files, user, seconds * PUBLIC_SHARE)
    _run(scored, key, files, user, seconds - (time.monotonic() - begin))
    return public, scored


def _run(notebook: NotebookNode, key: AnswerKey, files: Path, user: int, seconds: float) -> None:
    transcript = Transcript()
    if not notebook.metadata.dlcourse.cause:
        limit = min(NOTEBOOK_SECONDS, max(seconds - 20, 10))  # a kernel that hangs takes time to end
        transcript = rehearse(notebook, key.statements, files, CELL_SECONDS, limit, mode="emit", user=user)
    judge_notebook(notebook, key, transcript)


def main(arguments: list[str]) -> int:
    """Grade and write results.json; what went wrong is printed for the instructor."""
    begin = time.monotonic()
    root = Path(arguments[0])
    try:
        user = int(arguments[2]) if arguments[1:2] == ["--user"] else pwd.getpwnam(LEARNER).pw_uid
        if os.geteuid() != 0 or user == 0:
            raise CourseError("The autograder runs as root, learners' code as another user.")
        content = grade_submission(root, user, begin + SECONDS)
    except (CourseError, KeyError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    target = root / "results" / "results.json"
    temporary = target.with_name("results.json.part")
    temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1), "utf-8")
    temporary.replace(target)
    total = sum(test["score"] for test in content["tests"])
    print(f"{total:g} of {sum(t['max_score'] for t in content['tests']):g} points in {time.monotonic() - begin:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
