"""nbconvert's notebook exporter with our intake in the place of nbformat's reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode

from dlcourse.grading.intake import take_in
from dlcourse.grading.reading import is_foreign


class SubmissionExporter(NotebookExporter):
    """Reads what a student handed in through intake, and everything else as nbconvert does."""

    def from_filename(self, filename: str, resources: Any = None, **kw: Any) -> tuple[Any, Any]:
        converter: Any = self.parent
        if resources is None or not getattr(converter, "_sanitizing", False):
            return super().from_filename(filename, resources, **kw)
        named = resources["nbgrader"]
        if notebook := getattr(converter, "judged", {}).get(named["notebook"]):  # a worker took it in
            return self._as_exported(notebook, Path(filename), resources, **kw)
        course = converter.coursedir
        copied = Path(course.format_path(course.autograded_directory, named["student"], named["assignment"]))
        _drop_links(Path(filename).parent, copied)
        folder = Path(course.format_path(course.release_directory, ".", named["assignment"]))
        release = nbformat.read(folder / f"{named['notebook']}.ipynb", as_version=4)
        return self._as_exported(take_in(Path(filename), release), Path(filename), resources, **kw)

    def _as_exported(self, notebook: NotebookNode, path: Path, resources: Any, **kw: Any) -> tuple[Any, Any]:
        with_names = ResourcesDict()
        with_names.update(resources)
        with_names["metadata"] = ResourcesDict()
        with_names["metadata"].update(name=path.stem, path=str(path.parent))
        return self.from_notebook_node(notebook, with_names, **kw)


def _drop_links(submission: Path, copied: Path) -> None:
    """Delete what nbgrader copied by following a link in the submission: it is not the student's to show."""
    for path in submission.rglob("*"):
        copy = copied / path.relative_to(submission)
        if is_foreign(path) and copy.is_file():
            copy.unlink()
