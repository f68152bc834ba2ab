"""The exporter for `jupyter nbconvert --to gradescope`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbconvert.exporters import Exporter
from nbformat import NotebookNode
from traitlets import Enum, Float, Int, Unicode, default

from dlcourse.pdf.bounded import Limits, node_to_pdf
from dlcourse.pdf.pages import described


class GradescopeExporter(Exporter):
    """Exports a notebook to a PDF for Gradescope, every question on a page of its own."""

    export_from_notebook = "PDF for Gradescope"
    output_mimetype = "application/pdf"

    student_name = Unicode("", help="Student's name, shown in the page header.").tag(config=True)
    course_name = Unicode("", help="Course's name, shown in the header; default: as released.").tag(config=True)
    assignment_name = Unicode("", help="Assignment's name, shown in the header; default: as released.").tag(config=True)
    pages = Enum(
        ["natural", "template"],
        "natural",
        help="natural: every question as long as it is. template: the pages that the assignment's template allots.",
    ).tag(config=True)
    seconds = Float(60.0, help="Longest time that one PDF may take, in seconds.").tag(config=True)
    memory = Int(2048, help="Most memory that one PDF may take, in MiB of address space.").tag(config=True)

    @default("file_extension")
    def _file_extension_default(self) -> str:
        return ".pdf"

    # The base class says that exporters give a notebook; all those that write a file give text or bytes.
    def from_notebook_node(  # type: ignore[override]
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kwargs: Any
    ) -> tuple[bytes, dict[str, Any]]:
        """The PDF and the resources.

        In these, `gradescope_warnings` lists what is not shown as the notebook has it, and `gradescope_pages` has the
        first and last page of every question.
        """
        nb, resources = super().from_notebook_node(nb, resources, **kwargs)
        metadata = resources.get("metadata", {})
        folder = metadata.get("path")  # missing for a notebook that is no file: no image files then
        pdf, report = node_to_pdf(
            nb,
            Path(folder) if folder is not None else None,
            metadata.get("name") or "Notebook",
            name=self.student_name,
            course=self.course_name,
            assignment=self.assignment_name,
            pages=self.pages,
            limits=Limits(self.seconds, self.memory),
        )
        for warning in report.warnings:
            self.log.warning("%s", warning)
        for line in described(report.pages):
            self.log.info("%s", line)
        resources["gradescope_warnings"] = report.warnings
        resources["gradescope_pages"] = report.pages
        resources["output_extension"] = self.file_extension
        return pdf, resources
