"""The exporter for `jupyter nbconvert --to gradescope`."""

from pathlib import Path
from typing import Any

from nbconvert.exporters import Exporter
from nbformat import NotebookNode
from traitlets import Unicode, default

from dlcourse.pdf.document import notebook_node_to_pdf


class GradescopeExporter(Exporter):
    """Exports a notebook to a PDF for Gradescope, every question on a page of its own."""

    export_from_notebook = "PDF for Gradescope"
    output_mimetype = "application/pdf"

    student_name = Unicode("", help="Student's name, shown in the page header.").tag(config=True)
    course_name = Unicode("", help="Course's name, shown in the page header.").tag(config=True)

    @default("file_extension")
    def _file_extension_default(self) -> str:
        return ".pdf"

    # The base class says that exporters give a notebook; all those that write a file give text or bytes.
    def from_notebook_node(  # type: ignore[override]
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kwargs: Any
    ) -> tuple[bytes, dict[str, Any]]:
        """The PDF and the resources, in which `gradescope_warnings` lists what is not shown as the notebook has it."""
        nb, resources = super().from_notebook_node(nb, resources, **kwargs)
        metadata = resources.get("metadata", {})
        folder = metadata.get("path")  # missing for a notebook that is no file: no image files then
        pdf, warnings = notebook_node_to_pdf(
            nb,
            name=metadata.get("name") or "Notebook",
            folder=Path(folder) if folder is not None else None,
            student=self.student_name,
            course=self.course_name,
        )
        for warning in warnings:
            self.log.warning("%s", warning)
        resources["gradescope_warnings"] = warnings
        resources["output_extension"] = self.file_extension
        return pdf, resources
