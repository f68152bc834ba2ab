"""The repository keeps its promises: versions, names, notebooks without outputs, documents that name real commands."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import make_environment
import nbformat
import pytest
import yaml
from click.testing import CliRunner

from dlcourse.build.lint import leaks, lint
from dlcourse.cli import main

ROOT = Path(__file__).resolve().parent.parent

SOURCES = sorted((ROOT / "source").glob("*/*.ipynb"))
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").glob("*.md"))]

OUTLINE = {  # the parts of the course's outline that a notebook covers, as its headings name them
    "theory": "CMU-1.1 CMU-1.2.1 CMU-1.2.2 CMU-1.2.3 CMU-1.3 CMU-1.4 CMU-1.5 CMU-1.6.1 CMU-1.6.2 CMU-1.6.3 CMU-1.6.4",
    "backprop_by_hand": "NN-3",
    "output_sizes": "NN-4",
    "he_initialization": "WPI-1.1 WPI-1.2 WPI-1.3a WPI-1.3b WPI-1.3c WPI-1.3d WPI-1.3e CMU-2.1.1 CMU-2.1.3",
    "network": "CMU-2.1.1 CMU-2.1.2 CMU-2.1.3 CMU-2.2.1 CMU-2.2.2 CMU-2.2.3 CMU-2.3 CMU-2.4",
    "training": "CMU-3.1 CMU-3.2 CMU-3.3 CMU-3.4",
    "text_extraction": "CMU-5.1 CMU-5.2 CMU-5.3 CMU-5.4",
    "fashion_mlp": "WPI-2.1 WPI-2.2 WPI-2.3 WPI-2.4",
    "loss_landscape": "WPI-3.1 WPI-3.2",
    "cnn_confusion": "NN-4.2",
    "numpy_autoencoder": "FunML-3a FunML-3b FunML-3c FunML-3d",
    "momentum_autoencoder": "CMU-4.1 CMU-4.2.1 CMU-4.2.2 CMU-4.3.1 CMU-4.3.2",
    "dense_autoencoder": "WPI-4-T1 WPI-4-T2 WPI-4-T3 WPI-4-T4",
    "convolutional_autoencoder": "NN-5.1 NN-5.2 NN-5.3 NN-5.4 NN-6 NN-6c",
    "rnn": "",
    "gradcam": "FunML-1a FunML-1b FunML-1c FunML-1d FunML-1e FunML-1f",
    "contrastcam": "FunML-2a FunML-2b FunML-2c FunML-2d FunML-2e",
    "rbm": "DGM-1",
    "vae": "DGM-2",
    "conv_vae": "DGM-3",
    "gan": "DGM-4",
}


def tracked() -> list[Path]:
    """Every file that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_environment_equals_lock() -> None:
    """environment.yml names every runtime dependency with the lock's version."""
    text = (ROOT / "environment.yml").read_text("utf-8")
    assert text == make_environment.environment(), "run `make lock`"
    entries = yaml.safe_load(text)["dependencies"]
    versions = make_environment.locked()
    assert f"pytorch={versions['torch']}" in entries
    assert f"nbgrader={versions['nbgrader']}" in entries


def test_environment_is_what_binder_takes() -> None:
    """repo2docker finds a valid environment.yml: one Python, every dependency once, pip's part last and from here."""
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    content = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    assert set(content) == {"name", "channels", "dependencies"}
    *conda, pip = content["dependencies"]
    assert set(pip) == {"pip"}
    assert pip["pip"][-1] == "--editable ."
    assert all(re.fullmatch(r"[a-z0-9_.-]+(=[0-9][A-Za-z0-9.]*)?", entry) for entry in conda), conda
    pins = dict(
        entry.split("=", 1) for entry in [*conda, *(one.replace("==", "=") for one in pip["pip"])] if "=" in entry
    )
    assert project["requires-python"] == ">=3.11" and pins.pop("python") == "3.11"
    theirs = {ours: theirs for theirs, ours in make_environment.CONDA_NAMES.items()}
    found = {theirs.get(name, name): version for name, version in pins.items()}
    wanted = [Requirement(text) for text in project["dependencies"]]
    assert set(found) == {requirement.name for requirement in wanted}
    assert all(requirement.specifier.contains(found[requirement.name]) for requirement in wanted)


def test_lock_has_hashes_and_no_addresses() -> None:
    """The lock pins with hashes, the agreed versions, and names no host."""
    text = (ROOT / "requirements.lock").read_text("utf-8")
    assert "://" not in text
    pins = re.findall(r"^([A-Za-z0-9_.-]+)==.*\n((?:    .*\n)+)", text, re.MULTILINE)
    assert len(pins) > 100
    assert all("--hash=sha256:" in rest for _, rest in pins)
    versions = make_environment.locked()
    assert (versions["torch"], versions["torchvision"], versions["nbgrader"]) == ("2.13.0", "0.28.0", "0.9.6")


def test_lock_covers_dependencies() -> None:
    """Every dependency of pyproject.toml, the developers' too, is in the lock in an allowed version."""
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    versions = make_environment.locked()
    for text in [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(versions[requirement.name]), text


def test_config_is_short() -> None:
    """nbgrader_config.py stays under 40 lines."""
    assert len((ROOT / "nbgrader_config.py").read_text("utf-8").splitlines()) < 40


def test_readme_is_short() -> None:
    """The README stays under 120 lines and its pictures exist."""
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) < 120
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_documents_name_real_things(document: Path) -> None:
    """Every `course …` and `make …` in a document exists and has help text; every relative link leads somewhere."""
    text = document.read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for name in set(re.findall(r"\bcourse (?!director)([a-z]+)\b", "\n".join(_code(text)))):
        assert name in main.commands, f"{document.name}: course {name}"
        assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0
        assert main.commands[name].help
    for name in set(re.findall(r"\bmake ([a-z-]+)\b", "\n".join(_code(text)))):
        assert re.search(rf"^{name}:.*##", makefile, re.MULTILINE), f"{document.name}: make {name}"
    for link in re.findall(r"\]\((?!https?://|#)([^)#]+)\)", text):
        assert (document.parent / link).exists(), f"{document.name}: {link}"


def _code(text: str) -> list[str]:
    return re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL) + re.findall(r"`([^`\n]+)`", text)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_source_is_in_order(path: Path) -> None:
    """Every source notebook passes the build's own lint, is valid and has readable, stable cell ids."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert lint(notebook) == []
    assert all(re.match(r"[a-z][a-z0-9_-]*\Z", cell.id) for cell in notebook.cells)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_points_and_outline(path: Path) -> None:
    """The points are those of the README, bonus apart; headings place every part of the course's outline."""
    notebook = nbformat.read(path, as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    headings = "\n".join(re.findall(r"^#.*$", text, re.M))
    stated = re.findall(r"^## Question \d+: .+ \[(\d+) (bonus )?points?\]$", headings, re.M)
    points, bonus = (sum(int(n) for n, extra in stated if bool(extra) == kind) for kind in (False, True))
    placed = sum(cell.metadata.get("nbgrader", {}).get("points", 0) for cell in notebook.cells)
    assert placed == points + bonus  # nothing stands above the first question
    row = next(line for line in README.read_text("utf-8").split("\n") if f"| `{path.stem}` |" in line)
    assert row.split(" | ")[3] == (f"{points} + {bonus}" if bonus else f"{points}")
    missing = [part for part in OUTLINE[path.stem].split() if not re.search(rf"{re.escape(part)}(?![.\w])", headings)]
    assert missing == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_release_has_no_secrets(path: Path) -> None:
    """No solution line, hidden test, rubric, output or reference stands in a release."""
    release = ROOT / "release" / path.parent.name / path.name
    assert leaks(nbformat.read(path, as_version=4), nbformat.read(release, as_version=4)) == []
    assert not list((ROOT / "release").rglob("reference*"))


def test_leaks_are_found() -> None:
    """The search for leaks is no formality: the source itself is full of them."""
    source = nbformat.read(SOURCES[0], as_version=4)
    found = "\n".join(leaks(source, source))
    assert "BEGIN SOLUTION" in found
    assert "BEGIN HIDDEN TESTS" in found


def test_project_speaks_of_itself() -> None:
    """Nothing names a person's machine, its paths or a package registry's host."""
    hosts = [r"py(?:pi|thonhosted)\.org", r"ana(?:conda)\.org"]
    folders = [r"/(?:root|home/\w+)/", r"\.py(?:env)\b", *(re.escape(str(p)) for p in (ROOT, Path(sys.base_prefix)))]
    forbidden = re.compile("|".join(hosts + folders), re.IGNORECASE)
    for path in tracked():
        if path.suffix in (".png", ".db", ".pdf"):
            continue
        found = forbidden.search(path.read_text("utf-8", "replace"))
        assert not found, f"{path.relative_to(ROOT)}: {found and found.group(0)}"


def test_style() -> None:
    """ruff finds nothing, in code and in notebooks, and the format is ruff's."""
    for arguments in (["check", "."], ["format", "--check", "."]):
        ended = subprocess.run([sys.executable, "-m", "ruff", *arguments], cwd=ROOT, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout


def test_spelling() -> None:
    """codespell finds nothing."""
    ended = subprocess.run([str(Path(sys.executable).with_name("codespell"))], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout


def test_types() -> None:
    """mypy finds nothing in the package."""
    ended = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout
