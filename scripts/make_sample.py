"""Make the sample class: submitted/ from the release, then autograded/, feedback/ and gradebook.db by grading it.

Each submission is named for what it shows. Its expected score stands in SAMPLE, written by hand from the weights of the
checks, and a test holds the grader to it.
"""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).resolve().parent.parent
ASSIGNMENT, NOTEBOOK = "ps6_rnn", "rnn"
WORDS = "q7_interpretation"
Notebook = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """One submission: what it shows, the score (of 30, without the 2 points that are graded by hand), the cause."""

    name: str
    shows: str
    score: float
    cause: str | None
    make: Callable[[Notebook], Notebook | str]


def cells(notebook: Notebook) -> dict[str, dict[str, Any]]:
    """The cells with a grade_id."""
    return {c["metadata"]["nbgrader"]["grade_id"]: c for c in notebook["cells"] if "nbgrader" in c["metadata"]}


def solutions() -> dict[str, str]:
    """The solution of every answer cell, markers left out."""
    source = json.loads((ROOT / "source" / ASSIGNMENT / f"{NOTEBOOK}.ipynb").read_text("utf-8"))
    texts = {}
    for grade_id, cell in cells(source).items():
        if cell["metadata"]["nbgrader"]["solution"]:
            lines = "".join(cell["source"]).split("\n")
            texts[grade_id] = "\n".join(line for line in lines if "### BEGIN" not in line and "### END" not in line)
    return texts


def audited(kind: str) -> dict[str, dict[str, Any]]:
    """The wrong or right answers that the grader is audited with, by name."""
    path = ROOT / "tests" / "audit" / ASSIGNMENT / f"{NOTEBOOK}.toml"
    return {entry["name"]: entry for entry in tomllib.loads(path.read_text("utf-8"))[kind]}


def answer(notebook: Notebook, texts: dict[str, str]) -> Notebook:
    """Fill in answer cells."""
    for grade_id, text in texts.items():
        cells(notebook)[grade_id]["source"] = text
    return notebook


def changed(notebook: Notebook, kind: str, names: list[str]) -> Notebook:
    """The solution, with some answers replaced by audited ones."""
    texts = solutions()
    for name in names:
        entry = audited(kind)[name]
        text = entry.get("source", texts[entry["grade_id"]])
        for old, new in entry.get("replace", []):
            text = text.replace(old, new)
        texts[entry["grade_id"]] = text
    return answer(notebook, texts)


def full_marks(notebook: Notebook) -> Notebook:
    return answer(notebook, solutions())


def different_but_right(notebook: Notebook) -> Notebook:
    first: dict[str, str] = {}
    for name, entry in audited("right").items():
        first.setdefault(entry["grade_id"], name)
    return changed(notebook, "right", list(first.values()))


def typical_mistakes(notebook: Notebook) -> Notebook:
    names = ["softmax_axis_1", "adam_no_correction", "forward_zero_start", "back_dWaa_a_next", "bptt_no_running"]
    return changed(notebook, "wrong", names)


def half_done(notebook: Notebook) -> Notebook:
    done = ("q1_softmax", "q1_sigmoid", "q2_initialize_adam", "q2_update_adam", "q3_cell_forward")
    return answer(notebook, {grade_id: text for grade_id, text in solutions().items() if grade_id in done})


def blank(notebook: Notebook) -> Notebook:
    return notebook


def crashes(notebook: Notebook) -> Notebook:
    texts = solutions()
    head = texts["q4_forward"].split('    """')[0]
    texts["q4_forward"] = (
        head + "    import ctypes\n\n    return ctypes.string_at(0)  # reads address 0: the process dies\n"
    )
    return answer(notebook, texts)


def never_ends(notebook: Notebook) -> Notebook:
    texts = solutions()
    head = texts["q6_backward"].split('    """')[0]
    loop = "    t = caches[1].shape[2] - 1\n    while t >= 0:  # t never gets smaller\n"
    body = "        gradients = rnn_cell_backward(da[:, :, t], caches[0][t])\n    return gradients\n"
    texts["q6_backward"] = head + loop + body
    return answer(notebook, texts)


def tampered(notebook: Notebook) -> Notebook:
    """Everything that a learner must not do to locked cells; only Question 1 and 3 are really solved."""
    solved = solutions()
    answer(notebook, {grade_id: solved[grade_id] for grade_id in ("q1_softmax", "q1_sigmoid", "q3_cell_forward")})
    found = cells(notebook)
    found["q2_update_adam_test"]["source"] = "pass"
    found["q4_forward_test"]["source"] = "100"
    found["q4_forward_test"]["metadata"]["nbgrader"]["points"] = 100
    found["q5_cell_backward_test"]["metadata"]["tags"] = ["skip-execution", "raises-exception"]
    found["q6_backward_test"]["cell_type"] = "markdown"
    for key in ("outputs", "execution_count"):
        del found["q6_backward_test"][key]
    found["setup"]["source"] = "".join(found["setup"]["source"]) + "\ncheck.close = lambda *a, **k: None"
    notebook["cells"].remove(found["q1_sigmoid_test"])
    return notebook


def resaved_elsewhere(notebook: Notebook) -> Notebook:
    """The right answers as Colab and VS Code leave a file: other ids and metadata, two cells without nbgrader's."""
    answer(notebook, solutions())
    notebook["nbformat_minor"] = 0
    notebook["metadata"] = {"colab": {"provenance": [], "toc_visible": True}, "language_info": {"name": "python"}}
    for number, cell in enumerate(notebook["cells"]):
        cell["metadata"]["id"] = f"c0lab{number:04d}"
        del cell["id"]
        if cell["cell_type"] == "code":
            cell["metadata"]["vscode"] = {"languageId": "python"}
            cell["metadata"]["executionInfo"] = {"status": "ok", "elapsed": 12, "user_tz": -60}
            cell["execution_count"] = number
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["an old output\n"]}]
    for grade_id in ("q3_cell_forward", "q5_cell_backward_test"):
        del cells(notebook)[grade_id]["metadata"]["nbgrader"]
    return notebook


def unreadable(notebook: Notebook) -> str:
    text = json.dumps(full_marks(notebook), indent=1)
    return text[: len(text) // 2]


SAMPLE = [
    Sample("full_marks", "the model solution", 28, None, full_marks),
    Sample("different_but_right", "every question solved in another way", 28, None, different_but_right),
    # 0 + 2, 1 + 3·3.5/10.5, 5, 4·1.75/9.25, 6·5.75/7 and 5·1.5/7.75
    Sample("typical_mistakes", "a common mistake in five of the six questions", 15.65, "wrong", typical_mistakes),
    Sample("half_done", "Questions 1 to 3, the rest untouched", 13, "error", half_done),
    Sample("blank", "the release as it was handed out", 0, "error", blank),
    Sample("crashes", "Question 4 ends the process: what came before counts", 13, "kernel_died", crashes),
    Sample("never_ends", "an endless loop in Question 6", 23, "timeout", never_ends),
    Sample("tampered", "locked cells edited, deleted, tagged and revalued", 9, "error", tampered),
    Sample("resaved_elsewhere", "right answers, metadata as other editors leave it", 28, None, resaved_elsewhere),
    Sample("unreadable", "half a file", 0, "unreadable", unreadable),
]


def write_submissions(root: Path, release: Path) -> None:
    """Write ``submitted/`` below ``root``, and the manifest by which the grader knows its own sample class."""
    blank_release = json.loads(release.read_text("utf-8"))
    shutil.rmtree(root / "submitted", ignore_errors=True)
    digests = []
    rows = ["| submission | shows | points | cause |", "| --- | --- | --- | --- |"]
    for sample in SAMPLE:
        made = sample.make(copy.deepcopy(blank_release))
        text = made if isinstance(made, str) else json.dumps(made, indent=1, ensure_ascii=False) + "\n"
        path = root / "submitted" / sample.name / ASSIGNMENT / f"{NOTEBOOK}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(text, "utf-8")
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
        rows.append(f"| `{sample.name}` | {sample.shows} | {sample.score:g} | {sample.cause or ''} |")
    readme = (
        "# The sample class\n\nMade-up submissions to `ps6_rnn`, named for what they show, written by `make sample`.\n"
    )
    readme += "Two more points wait for grading by hand.\n\n" + "\n".join(rows) + "\n"
    (root / "submitted" / "README.md").write_text(readme, "utf-8")
    (root / "dlcourse").mkdir(exist_ok=True)
    (root / "dlcourse" / "sample.json").write_text(json.dumps({"sha256": sorted(digests)}, indent=1) + "\n", "utf-8")


def main() -> int:
    """Build, write and grade the sample class in the repository."""
    from dlcourse.build import build
    from dlcourse.course import Course
    from dlcourse.grading.grade import grade

    for made in (Path("release", ASSIGNMENT), "autograded", "feedback"):
        shutil.rmtree(ROOT / made, ignore_errors=True)
    (ROOT / "gradebook.db").unlink(missing_ok=True)
    course = Course(ROOT)
    build(course, ASSIGNMENT)
    release = ROOT / "release" / ASSIGNMENT / f"{NOTEBOOK}.ipynb"
    nbformat.validate(nbformat.read(release, as_version=4))
    write_submissions(ROOT, release)
    result = grade(
        course,
        ASSIGNMENT,
        say=lambda one, done, total: print(f"{done}/{total}", one.student if one else "", flush=True),
    )
    expected = {sample.name: (sample.score, sample.cause) for sample in SAMPLE}
    wrong = [
        f"{one.student}: {one.score:g} points, cause {one.cause}; expected {expected[one.student]}"
        for one in result.submissions
        if (round(one.score or 0, 2), one.cause) != expected[one.student]
    ]
    wrong += [f"{name}: {reason}" for name, reason in result.failed.items()]
    print("\n".join(wrong) or "The sample class is graded as expected.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
