"""Commands for what other systems take: export."""

from __future__ import annotations

from pathlib import Path

import click

from dlcourse.cli import console, main, open_course


@main.group()
def export() -> None:
    """Write what other systems take: grades, templates, packages."""


@export.command()
@click.argument("assignment")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for the PDFs; default: pdf/ASSIGNMENT.")
@click.pass_obj
def template(directory: Path, assignment: str, output: Path | None) -> None:
    """Make the blank PDF of ASSIGNMENT's page template, to upload to Gradescope."""
    from dlcourse.pdf.batch import release_template
    from dlcourse.pdf.blank import blank_pdf
    from dlcourse.pdf.bounded import write_whole
    from dlcourse.pdf.pages import described, template_map

    course = open_course(directory)
    folder = output or course.root / "pdf" / assignment
    pages = {name: release_template(course, assignment, name) for name in course.notebooks(assignment)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, allotted in pages.items():
        target = folder / f"{name}-template.pdf"
        made = blank_pdf(allotted, title=name, course=course.directory().course_id, assignment=assignment)
        write_whole(target, made)
        console.print(f"{target}: {sum(allotted.values())} pages", highlight=False, soft_wrap=True)
        for line in described(template_map(allotted)):
            console.print(f"  {line}", markup=False, highlight=False)
