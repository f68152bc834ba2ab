"""Commands for learners: check, pdf."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dlcourse.cli import console, errors, main


@main.command()
@click.argument("notebook", type=click.Path(path_type=Path))
def check(notebook: Path) -> None:
    """Run NOTEBOOK from top to bottom and say, question by question, what its visible checks find."""
    from dlcourse.validate import validate

    with console.status(f"Running {notebook.name} in a fresh kernel …"):
        validation = validate(notebook)
    for name in validation.changed:
        errors.print(f"✗ {name}: this cell is locked but was changed; grading puts it back", style="red", markup=False)
    for answer in validation.answers:
        title = f"{answer.question} ({answer.grade_id})"
        if answer.by_hand:
            state = "no answer yet" if answer.open else "answered; graded by hand"
            console.print(f"{'✗' if answer.open else '·'} {title}: {state}", markup=False, highlight=False)
        elif answer.problems:
            console.print(f"✗ {title}", style="red", markup=False, highlight=False)
            for problem in answer.problems:
                console.print(f"    {problem}", markup=False, highlight=False, soft_wrap=True)
        else:
            console.print(f"✓ {title}", style="green", markup=False, highlight=False)
    if not validation.in_order:
        sys.exit(1)
    console.print("Every visible check passes. Grading also calls your functions with other inputs.")


@main.command()
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The PDF; default: beside the notebook.")
@click.option("--name", help="Your name, for the page header.")
def pdf(notebook: Path, output: Path | None, name: str | None) -> None:
    """Print NOTEBOOK as a PDF."""
    from dlcourse.pdf import notebook_to_pdf

    target = output or notebook.with_suffix(".pdf")
    for warning in notebook_to_pdf(notebook, target, name=name):
        errors.print(f"Warning: {warning}", style="yellow", markup=False, highlight=False)
    console.print(str(target), highlight=False)
