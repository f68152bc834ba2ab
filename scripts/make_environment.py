"""Write environment.yml (conda, Binder) with the versions of requirements.lock."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
CONDA_NAMES = {"torch": "pytorch", "jupyter-client": "jupyter_client"}  # conda-forge's name where it differs
PIP_ONLY = ("typst",)  # the wheel that carries the compiler and its fonts
PYTHON = "3.11"


def locked() -> dict[str, str]:
    """The version of every package in the lock, for Linux and Python 3.11."""
    environment = default_environment() | {"python_version": PYTHON, "python_full_version": f"{PYTHON}.0"}
    environment |= {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "os_name": "posix",
    }
    versions = {}
    for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines():
        if match := re.match(r"([A-Za-z0-9_.-]+==[^\\]+)", line):
            requirement = Requirement(match.group(1).strip())
            if requirement.marker is None or requirement.marker.evaluate(environment):
                versions[requirement.name] = str(requirement.specifier).removeprefix("==")
    return versions


def environment() -> str:
    """The text of environment.yml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = sorted(Requirement(text).name for text in project["dependencies"])
    versions = locked()
    conda = [f"  - {CONDA_NAMES.get(name, name)}={versions[name]}" for name in names if name not in PIP_ONLY]
    pip = [f"      - {name}=={versions[name]}" for name in names if name in PIP_ONLY]
    head = ["# Made by `make lock` from requirements.lock: the same versions for conda and Binder."]
    head += [
        "name: dlcourse",
        "channels:",
        "  - conda-forge",
        "  - nodefaults",
        "dependencies:",
        f"  - python={PYTHON}",
    ]
    return "\n".join([*head, *conda, "  - bubblewrap", "  - pip", "  - pip:", *pip, "      - --editable .", ""])


if __name__ == "__main__":
    (ROOT / "environment.yml").write_text(environment(), "utf-8")
