"""Intake: whatever is handed in, what is run has the release's graded cells, and the learner's answers in them."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode

from dlcourse.grading import reading
from dlcourse.grading.intake import take_in
from dlcourse.grading.reading import Unreadable, read_cells

MEAN = "def mean(x):\n    return x.mean()"
CENTRE = "def centre(x):\n    return x - x.mean()"
WORDS = "It minimises the squared distances."


@pytest.fixture(scope="module")
def release(built: Path) -> NotebookNode:
    """The release of the tiny notebook."""
    return nbformat.read(built / "release" / "tiny" / "sums.ipynb", as_version=4)


@pytest.fixture
def answered(release: NotebookNode) -> dict[str, Any]:
    """A submission as plain JSON: every question answered, nothing else touched."""
    notebook: dict[str, Any] = json.loads(nbformat.writes(release))
    for grade_id, text in {"q1_mean": MEAN, "q2_centre": CENTRE, "q3_words": WORDS}.items():
        cell(notebook, grade_id)["source"] = text
    return notebook


@pytest.fixture
def take(tmp_path: Path, release: NotebookNode) -> Callable[[Any], NotebookNode]:
    """Hand a notebook, as JSON, to intake."""

    def from_json(content: Any) -> NotebookNode:
        path = tmp_path / "sums.ipynb"
        path.write_text(json.dumps(content), "utf-8")
        return take_in(path, release)

    return from_json


def cell(notebook: dict[str, Any], grade_id: str) -> dict[str, Any]:
    """The cell of this name."""
    found = [c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == grade_id]
    assert len(found) == 1
    return found[0]


def code(source: str, **metadata: Any) -> dict[str, Any]:
    """A code cell of the learner's own."""
    return {"cell_type": "code", "source": source, "metadata": metadata, "outputs": [], "execution_count": None}


def hold(result: NotebookNode, release: NotebookNode) -> None:
    """Hold what is true of every notebook that intake lets through."""
    nbformat.validate(result)
    ours = [c for c in release.cells if "nbgrader" in c.metadata]
    theirs = [c for c in result.cells if "nbgrader" in c.metadata]
    assert [c.metadata.nbgrader for c in theirs] == [c.metadata.nbgrader for c in ours]
    assert [c.cell_type for c in theirs] == [c.cell_type for c in ours]
    for got, wanted in zip(theirs, ours, strict=True):
        if wanted.metadata.nbgrader.locked:
            assert got.source == wanted.source
    for one in result.cells:
        assert set(one.metadata) <= {"nbgrader"}
    assert {**result.metadata, "dlcourse": release.metadata.dlcourse} == release.metadata
    assert result.metadata.dlcourse.pages == release.metadata.dlcourse.pages
    ids = [c.id for c in result.cells]
    assert len(set(ids)) == len(ids)


def answers(result: NotebookNode) -> dict[str, str]:
    """The text of the three answer cells."""
    named = {c.metadata.nbgrader.grade_id: c.source for c in result.cells if "nbgrader" in c.metadata}
    return {name: named[name] for name in ("q1_mean", "q2_centre", "q3_words")}


ALL = {"q1_mean": MEAN, "q2_centre": CENTRE, "q3_words": WORDS}


def test_an_untouched_structure_needs_no_repair(take, answered, release) -> None:
    """A well-behaved submission passes through as it is: same cells, same order, nothing to report."""
    result = take(answered)
    hold(result, release)
    assert [c.source for c in result.cells] == [c["source"] for c in map(joined, answered["cells"])]
    carried = {name: release.metadata.dlcourse[name] for name in ("course", "assignment", "pages")}
    assert result.metadata.dlcourse == {**carried, "cause": None, "message": "", "repairs": []}


def joined(one: dict[str, Any]) -> dict[str, Any]:
    """A cell with its source as one text."""
    source = one["source"]
    return {**one, "source": source if isinstance(source, str) else "".join(source)}


def edit(notebook: dict[str, Any]) -> None:
    cell(notebook, "q1_mean_test")["source"] = "check.close('mean of squares', 1.0)"


def delete(notebook: dict[str, Any]) -> None:
    notebook["cells"].remove(cell(notebook, "q1_mean_test"))


def reorder(notebook: dict[str, Any]) -> None:
    notebook["cells"].reverse()


def to_markdown(notebook: dict[str, Any]) -> None:
    cell(notebook, "q1_mean_test").update(cell_type="markdown")


def to_raw(notebook: dict[str, Any]) -> None:
    cell(notebook, "setup").update(cell_type="raw")


def retype_answer(notebook: dict[str, Any]) -> None:
    cell(notebook, "q2_centre").update(cell_type="markdown")


def rename(notebook: dict[str, Any]) -> None:
    cell(notebook, "q1_mean")["metadata"]["nbgrader"]["grade_id"] = "my_mean"


def swap(notebook: dict[str, Any]) -> None:
    one, other = cell(notebook, "q1_mean")["metadata"]["nbgrader"], cell(notebook, "q2_centre")["metadata"]["nbgrader"]
    one["grade_id"], other["grade_id"] = other["grade_id"], one["grade_id"]


def swap_with_test(notebook: dict[str, Any]) -> None:
    one, other = cell(notebook, "q1_mean")["metadata"], cell(notebook, "q1_mean_test")["metadata"]
    one["nbgrader"], other["nbgrader"] = other["nbgrader"], one["nbgrader"]


def same_name(notebook: dict[str, Any]) -> None:
    for one in notebook["cells"]:
        one["metadata"].get("nbgrader", {}).update(grade_id="q")


def same_id(notebook: dict[str, Any]) -> None:
    for one in notebook["cells"]:
        one["id"] = "same"


DAMAGE = {
    edit: "q1_mean_test: locked but edited",
    delete: "q1_mean_test: deleted",
    reorder: "out of order",
    to_markdown: "q1_mean_test: locked but edited",
    to_raw: "setup: locked but edited",
    retype_answer: "q2_centre: turned into a markdown cell",
    rename: "q1_mean: found by its cell id",
    swap: "q1_mean and q2_centre: had each other's names",
    swap_with_test: "q1_mean and q1_mean_test: had each other's names",
    same_name: "found by its cell id",
    same_id: "cells shared an id",
}


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_damage_is_repaired_and_written_down(damage, take, answered, release) -> None:
    """No damage to the frame of a notebook costs an answer, and each repair is told."""
    damage(answered)
    result = take(answered)
    hold(result, release)
    assert answers(result) == ALL
    assert any(DAMAGE[damage] in text for text in result.metadata.dlcourse.repairs), result.metadata.dlcourse.repairs


def as_colab_leaves_it(notebook: dict[str, Any]) -> None:
    """Colab: ids in the metadata, minor version 0, its own metadata, all else gone."""
    for number, one in enumerate(notebook["cells"]):
        one.pop("id", None)
        one["metadata"] = {"id": f"c0lab{number}", "colab": {"base_uri": "https://localhost:8080/"}}
    notebook.update(nbformat_minor=0)
    notebook["metadata"] = {"colab": {"provenance": []}, "kernelspec": {"name": "python3", "display_name": "Python 3"}}


def as_vscode_leaves_it(notebook: dict[str, Any]) -> None:
    """VS Code: new ids, language tags, source as lists of lines, no nbgrader metadata."""
    for number, one in enumerate(notebook["cells"]):
        one.update(id=f"{number:08x}", metadata={"vscode": {"languageId": "python"}})
        one["source"] = joined(one)["source"].splitlines(keepends=True)
    notebook["metadata"]["kernelspec"] = {"name": ".venv", "display_name": ".venv", "language": "python"}


@pytest.mark.parametrize("damage", [as_colab_leaves_it, as_vscode_leaves_it], ids=lambda damage: damage.__name__)
def test_lost_metadata_is_made_good_by_function_text_and_place(damage, take, answered, release) -> None:
    """Answers are found without any metadata: functions by name, words below their question."""
    damage(answered)
    result = take(answered)
    hold(result, release)
    assert answers(result) == ALL
    assert result.cells[0].source.startswith("# Sums")


def test_an_answer_in_words_that_was_deleted_is_not_taken_from_elsewhere(take, answered, release) -> None:
    """Without metadata the cell below a question may be the next question's text: it is no answer."""
    at = answered["cells"].index(cell(answered, "q1_mean"))
    words = cell(answered, "q3_words")
    answered["cells"].remove(words)
    text = answered["cells"].pop()  # Question 3's text, moved up before Question 1's
    answered["cells"].insert(at - 1, text)
    as_vscode_leaves_it(answered)
    result = take(answered)
    hold(result, release)
    stub = next(
        c.source
        for c in release.cells
        if c.id == "q3_words" or c.metadata.get("nbgrader", {}).get("grade_id") == "q3_words"
    )
    assert answers(result) == {**ALL, "q3_words": stub}
    assert sum("Question 1" in c.source for c in result.cells) == 1


def test_points_and_locks_in_metadata_are_the_releases(take, answered, release) -> None:
    """A raised number of points, an unlocked test, a cell that says it is graded: none of it survives."""
    cell(answered, "q1_mean_test")["metadata"]["nbgrader"].update(points=300, locked=False, solution=True)
    invented = {
        "grade_id": "bonus",
        "grade": True,
        "points": 10,
        "locked": True,
        "solution": False,
        "schema_version": 3,
    }
    answered["cells"].append(code("1 + 1", nbgrader=invented))
    result = take(answered)
    hold(result, release)
    assert any("a name that the assignment does not have" in text for text in result.metadata.dlcourse.repairs)


def test_own_cells_stay_in_place_and_are_never_graded(take, answered, release) -> None:
    """A learner's own cells run where they stood, as plain cells; tags such as skip-execution are dropped."""
    at = answered["cells"].index(cell(answered, "q1_mean"))
    copied = copy.deepcopy(cell(answered, "q1_mean_test"))
    copied["metadata"] = {"tags": ["skip-execution"]}
    answered["cells"].insert(at, code("first = 1", tags=["skip-execution"]))
    answered["cells"].insert(at + 2, copied)
    answered["cells"].append({"cell_type": "raw", "source": "last", "metadata": {}})
    cell(answered, "q1_mean_test")["metadata"]["tags"] = ["skip-execution"]
    result = take(answered)
    hold(result, release)
    sources = [c.source for c in result.cells]
    assert sources[at : at + 3] == ["first = 1", MEAN, joined(copied)["source"]]
    assert sources[-1] == "last"


def test_of_two_copies_the_worked_on_one_counts(take, answered, release) -> None:
    """A duplicated answer cell: an untouched copy of the stub never displaces the work, and is dropped."""
    stub = next(c.source for c in release.cells if c.metadata.get("nbgrader", {}).get("grade_id") == "q1_mean")
    untouched = {**copy.deepcopy(cell(answered, "q1_mean")), "source": stub}
    answered["cells"].append(untouched)
    result = take(answered)
    hold(result, release)
    assert answers(result) == ALL
    assert stub not in [c.source for c in result.cells]
    assert "q1_mean: 2 cells with this id, the last edited one counts" in result.metadata.dlcourse.repairs


def test_of_two_answers_the_last_counts(take, answered, release) -> None:
    """Two edited copies of one answer cell: the last one counts and the other stays a cell of the learner's own."""
    better = {**copy.deepcopy(cell(answered, "q1_mean")), "source": MEAN + " + 0"}
    answered["cells"].insert(answered["cells"].index(cell(answered, "q1_mean")) + 1, better)
    result = take(answered)
    hold(result, release)
    sources = [c.source for c in result.cells]
    assert answers(result)["q1_mean"] == MEAN + " + 0"
    assert sources.index(MEAN) < sources.index(MEAN + " + 0")


def test_pictures_in_an_answer_are_kept(take, answered, release) -> None:
    """A photographed derivation in an answer in words reaches the grader; other attachments do not."""
    picture = {"image/png": "aGk="}
    bundle = {**picture, "text/html": "<script>"}
    cell(answered, "q3_words")["attachments"] = {"a.png": bundle, "b": {"text/html": "x"}, "c": 3}
    result = take(answered)
    hold(result, release)
    words = next(c for c in result.cells if c.metadata.get("nbgrader", {}).get("grade_id") == "q3_words")
    assert words.attachments == {"a.png": picture}


def test_a_release_without_cell_ids_matches_no_cell_by_the_missing_id(tmp_path, answered, release) -> None:
    """A notebook of minor version 4 has no ids: that two cells have none does not make them one."""
    old = copy.deepcopy(release)
    for one in old.cells:
        del one["id"]
    old.nbformat_minor = 4
    for one in answered["cells"]:
        one.pop("id", None)
        one["metadata"] = {}
    path = tmp_path / "sums.ipynb"
    path.write_text(json.dumps({**answered, "nbformat_minor": 4}), "utf-8")
    assert answers(take_in(path, old)) == ALL


def worksheets(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook in the format of 2013."""
    cells = []
    for one in map(joined, notebook["cells"]):
        if one["cell_type"] == "code":
            new = {"cell_type": "code", "input": one["source"], "language": "python", "outputs": [], "collapsed": False}
        else:
            new = {"cell_type": one["cell_type"], "source": one["source"]}
        cells.append({**new, "metadata": one["metadata"]})
    return {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [{"cells": cells, "metadata": {}}],
    }


def test_an_old_format_is_converted(take, answered, release) -> None:
    """Format 3 is read, with a repair."""
    result = take(worksheets(answered))
    hold(result, release)
    assert answers(result) == ALL
    assert "converted from an old notebook format" in result.metadata.dlcourse.repairs


@pytest.mark.parametrize(
    ("kernelspec", "said"),
    [
        (None, "kernel metadata was missing"),
        ({"name": "ir", "language": "R"}, "kernel 'ir' replaced by Python"),
        ([1], "kernel metadata was missing"),
        ({"name": "\ud800", "language": 7}, "replaced by Python"),
    ],
)
def test_the_kernel_is_the_releases(kernelspec, said, take, answered, release) -> None:
    """No kernel, or another language's, does not matter: the release's runs."""
    answered["metadata"] = {"kernelspec": kernelspec}
    result = take(answered)
    hold(result, release)
    assert any(said in text for text in result.metadata.dlcourse.repairs)


def test_malformed_cells_are_left_out(take, answered, release) -> None:
    """Cells that are none are counted in one repair and cost no other cell."""
    broken = [
        None,
        3,
        {},
        {"cell_type": []},
        {"cell_type": "html"},
        {"cell_type": "code", "source": [1]},
        {"cell_type": 4},
    ]
    answered["cells"] = (
        broken * 10 + answered["cells"] + [{"cell_type": "code", "source": "x", "metadata": [], "id": {}}]
    )
    answered["cells"].append(
        {"cell_type": "markdown", "source": "a\ud800b", "metadata": {"nbgrader": 3}, "attachments": []}
    )
    result = take(answered)
    hold(result, release)
    assert answers(result) == ALL
    assert [c.source for c in result.cells[-2:]] == ["x", "a?b"]
    malformed = [text for text in result.metadata.dlcourse.repairs if "malformed" in text]
    assert malformed == ["malformed and left out: cell 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 … (from 0)"]


CONTENT = {
    "nothing": (b"", "not JSON"),
    "half": (b'{"cells": [', "not JSON"),
    "list": (b"[1, 2]", "no JSON object"),
    "no cells": (b'{"nbformat": 4}', "no list of cells"),
    "cells are a number": (b'{"cells": 3, "nbformat": 4}', "no list of cells"),
    "deep": (b"[" * 100_000, "not JSON"),
    "binary": (bytes(range(256)), "not JSON"),
    "number too long": (b'{"cells": ' + b"9" * 5000 + b"}", "not JSON"),
    "broken old format": (b'{"nbformat": 3, "worksheets": 7, "metadata": {}}', "old format 3"),
    "too many cells": (b'{"cells": [' + b"{}," * 2000 + b"{}]}", "2001 cells; at most 2000"),
}


@pytest.mark.parametrize("name", CONTENT)
def test_what_is_no_notebook_is_unreadable(name: str, tmp_path: Path, release: NotebookNode) -> None:
    """A file that cannot be read as a notebook becomes the untouched release, with the cause and the reason."""
    content, said = CONTENT[name]
    path = tmp_path / "sums.ipynb"
    path.write_bytes(content)
    result = take_in(path, release)
    hold(result, release)
    assert result.metadata.dlcourse.cause == "unreadable"
    assert said in result.metadata.dlcourse.message


@pytest.mark.timeout(20)
def test_what_is_no_file_is_unreadable(tmp_path: Path) -> None:
    """Links, pipes, folders and files that are too large are refused without being read."""
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 200 * 2**20)
    said = {"link": "not a regular file", "pipe": "not a regular file", "folder": "not a regular file"}
    for name, reason in {**said, "huge": "200 MiB; at most 50 MiB", "absent": "cannot be opened"}.items():
        with pytest.raises(Unreadable, match=reason):
            read_cells(tmp_path / name)


@pytest.mark.timeout(60)
def test_long_cells_cost_no_time(tmp_path: Path, release: NotebookNode, answered: dict[str, Any]) -> None:
    """A notebook of the largest size and the longest cells is aligned in seconds although nothing has a name."""
    as_vscode_leaves_it(answered)
    cells = [code(f"{number}" + "x = 1\n" * (reading.MAX_SOURCE // 7)) for number in range(40)]
    path = tmp_path / "sums.ipynb"
    path.write_text(json.dumps({**answered, "cells": cells + answered["cells"]}), "utf-8")
    assert answers(take_in(path, release)) == ALL


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["q1_mean", "setup", "code", "markdown"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
KEYS = ["cell_type", "source", "metadata", "id", "outputs", "attachments"]


@st.composite
def mutated(draw: st.DrawFn, notebook: dict[str, Any]) -> Any:
    """The notebook after a few random changes: cells copied, moved, dropped, their parts replaced by anything."""
    changed = copy.deepcopy(notebook)
    cells = changed["cells"]
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(cells) - 1)) if cells else 0
        match draw(st.sampled_from(["drop", "copy", "swap", "part", "name", "any", "top", "text"])):
            case "drop" if cells:
                del cells[at]
            case "copy" if cells:
                cells.insert(draw(st.integers(0, len(cells))), copy.deepcopy(cells[at]))
            case "swap" if cells:
                other = draw(st.integers(0, len(cells) - 1))
                cells[at], cells[other] = cells[other], cells[at]
            case "part" if cells and isinstance(cells[at], dict):
                cells[at][draw(st.sampled_from(KEYS))] = draw(plain)
            case "name" if cells and isinstance(cells[at], dict):
                cells[at]["metadata"] = {"nbgrader": draw(plain | st.just({"grade_id": "q2_centre", "points": 99}))}
            case "text" if cells and isinstance(cells[at], dict):
                cells[at]["source"] = draw(
                    st.sampled_from(["def mean(x): 0", "def centre(x): 0", "", "\ud800", "\r\n"])
                )
            case "any":
                cells.insert(at, draw(plain))
            case "top":
                changed[draw(st.sampled_from(["metadata", "nbformat", "nbformat_minor"]))] = draw(plain)
    return changed


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_notebook_comes_out_whole(data: st.DataObject, take, answered, release) -> None:
    """However a notebook was mangled: no exception, every graded cell once and in order, locked text, a valid file."""
    result = take(data.draw(mutated(answered)))
    hold(result, release)
    nbformat.writes(result).encode("utf-8")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=plain | st.fixed_dictionaries({"cells": st.lists(plain), "nbformat": st.integers(0, 6), "metadata": plain})
)
def test_every_json_comes_out_whole(content: Any, take, release) -> None:
    """Any JSON at all gives a notebook that can be graded."""
    hold(take(content), release)
