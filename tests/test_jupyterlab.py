"""A learner's first quarter of an hour, walked in a real JupyterLab with a real browser.

Open the released notebook, answer a question wrongly, run it, read the diagnosis, press Validate, mend the answer.
``DLCOURSE_SCREENSHOTS=1`` also renews the pictures in docs/img.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "release" / "ps6_rnn" / "rnn.ipynb"
TOKEN = "a-token-for-this-test"
PATIENCE = 120.0  # seconds for any one step: a busy machine is slow
QUIET = [  # as root there is no sandbox; no graphics card is needed; nothing is fetched from elsewhere
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    """Environment variables of somebody who has never started Jupyter: no settings, history or kernels of theirs."""
    home = tmp_path / "home"
    settings = home / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    # JupyterLab would ask, over the notebook, whether it may fetch its news.
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    own = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "DLCOURSE", "IPYTHON", "XDG_"))}
    places = {"CONFIG": "config", "DATA": "data", "RUNTIME": "runtime"}
    return own | {"HOME": str(home)} | {f"JUPYTER_{k}_DIR": str(home / v) for k, v in places.items()}


@pytest.fixture
def lab(tmp_path: Path, surroundings: dict[str, str]) -> Iterator[str]:
    """The address of a JupyterLab whose only file is the released notebook."""
    if not NOTEBOOK.exists():
        pytest.fail(f"{NOTEBOOK.relative_to(ROOT)} is missing: make build", pytrace=False)
    desk = tmp_path / "desk"
    desk.mkdir()
    shutil.copy(NOTEBOOK, desk)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.root_dir={desk}"]
    command += ["--ServerApp.port=0", f"--IdentityProvider.token={TOKEN}", "--LabApp.extension_manager=readonly"]
    log = tmp_path / "server.log"
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            command, cwd=desk, env=surroundings, stdout=sink, stderr=sink, start_new_session=True
        ) as server,
    ):
        try:
            yield _address(server, Path(surroundings["JUPYTER_RUNTIME_DIR"]))
        finally:
            _stop(server)
            print(log.read_text("utf-8", "replace")[-5000:])  # pytest shows it where the test failed


def _address(server: subprocess.Popen[bytes], runtime: Path) -> str:
    """Wait until the server has written down its address, which it does once it listens."""
    card = runtime / f"jpserver-{server.pid}.json"
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            return str(json.loads(card.read_text())["url"])
        except (FileNotFoundError, json.JSONDecodeError):  # not yet, or half written
            time.sleep(0.1)
    pytest.fail("JupyterLab did not start: see its log below", pytrace=False)


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Ask the server to end its kernels and itself; a kernel that is left alone ends by itself."""
    server.terminate()
    try:
        server.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)


@pytest.fixture
def page(surroundings: dict[str, str]) -> Iterator[Page]:
    """An empty page of Debian's Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail(
            "this test drives Debian's Chromium, which is not installed: apt-get install chromium", pytrace=False
        )
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET, env=dict(surroundings))
        try:
            page = browser.new_page(viewport={"width": 1200, "height": 800}, device_scale_factor=1.5)
            page.set_default_timeout(PATIENCE * 1000)
            yield page
        finally:
            browser.close()


class Learner:
    """What a learner does with the notebook: mouse and keys only. Cells go by their number."""

    def __init__(self, page: Page, pictures: Path) -> None:
        self.page, self.pictures = page, pictures
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        self.cells = len(notebook.cells)
        names = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells]
        self.number = {name: position for position, name in enumerate(names) if name}

    def cell(self, number: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number)

    def outputs(self, number: int) -> Locator:
        return self.cell(number).locator(".jp-OutputArea-output")

    def open_notebook(self, address: str) -> None:
        """Open the notebook from the list of files and wait until it is complete and its kernel idle."""
        self.page.goto(f"{address}lab?token={TOKEN}")
        self.page.locator(".jp-DirListing-item", has_text=NOTEBOOK.name).dblclick()
        expect(self.page.locator(".jp-Notebook .jp-Cell")).to_have_count(self.cells)
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text("(ipykernel) | Idle")
        self.page.keyboard.press("Control+b")  # folds the list of files away
        expect(self.page.locator("#jp-left-stack")).to_be_hidden()

    def select(self, number: int) -> None:
        self.cell(number).locator(".jp-InputPrompt").click()
        expect(self.cell(number)).to_have_class(re.compile("jp-mod-active"))

    def run(self, first: int, last: int) -> None:
        """Shift and Enter, from cell to cell."""
        expect(self.cell(first)).to_have_class(re.compile("jp-mod-active"))
        for number in range(first, last + 1):
            self.page.keyboard.press("Shift+Enter")
            expect(self.cell(number + 1)).to_have_class(re.compile("jp-mod-active"))

    def rewrite(self, number: int, old: str, *new: str) -> None:
        """Replace the line that contains ``old``; the editor indents."""
        lines = self.cell(number).locator(".cm-line")
        lines.filter(has_text=old).click()
        self.page.keyboard.press("Home")
        self.page.keyboard.press("Shift+End")
        for position, line in enumerate(new):
            if position:
                self.page.keyboard.press("Enter")
            self.page.keyboard.insert_text(line)
        for line in new:
            expect(lines.filter(has_text=line)).to_have_count(1)
        expect(lines.filter(has_text=old)).to_have_count(0)

    def picture(self, name: str) -> None:
        path = self.pictures / name
        self.page.screenshot(path=path, animations="disabled")
        if os.environ.get("DLCOURSE_SCREENSHOTS") == "1":
            shutil.copy(path, ROOT / "docs" / "img")


@pytest.mark.browser
def test_a_learner_reads_the_diagnosis_and_mends_the_answer(lab: str, page: Page, tmp_path: Path) -> None:
    learner = Learner(page, tmp_path)
    answer, check = learner.number["q1_softmax"], learner.number["q1_softmax_test"]

    learner.open_notebook(lab)
    heading = learner.cell(answer - 1)
    heading.evaluate("cell => cell.scrollIntoView({block: 'start'})")
    expect(heading.locator("strong")).to_have_text("Solution to Problem 1 Part (a)")
    expect(heading.locator("strong")).to_have_css("color", "rgb(255, 0, 0)")
    learner.picture("heading.png")
    learner.select(learner.number["setup"])
    learner.run(learner.number["setup"], answer - 1)
    expect(learner.cell(learner.number["setup"]).locator(".jp-InputPrompt")).to_have_text("[1]:")

    # The sum runs along the wrong axis.
    wrong = "return exponentials / np.sum(exponentials, axis=1, keepdims=True)"
    learner.rewrite(answer, "raise NotImplementedError", "exponentials = np.exp(x)", wrong)
    learner.run(answer, check)

    # One tick, then the diagnosis: what, where, expected and got, and a hint. Nothing of Python's machinery.
    expect(learner.outputs(check)).to_have_count(2)
    expect(learner.outputs(check).first).to_have_text("✓ shape")
    headline, detail, hint = learner.outputs(check).last.inner_text().strip().split("\n")
    assert headline.startswith("✗ column 0: wrong value") and "3 of 3" in headline
    assert "[1] expected 0.375, got 0.75" in detail
    assert hint.strip() == "hint: divide by the sum over axis 0"
    learner.cell(answer).evaluate("cell => cell.scrollIntoView({block: 'start'})")
    expect(learner.outputs(check).last).to_be_in_viewport(ratio=1)
    learner.picture("learner.png")

    # Validate saves the notebook and runs all of it in a fresh kernel.
    page.locator(".validate-button").get_by_text("Validate", exact=True).click()
    dialog = page.locator(".jp-Dialog")
    expect(dialog).to_contain_text("Validation Results")
    shown = dialog.locator("#validation-message pre")
    expect(shown.nth(0)).to_contain_text("# Logits that are logarithms")
    expect(shown.nth(1)).to_have_text(f"{headline}\n{detail}\n{hint}")
    expect(dialog).to_contain_text("NotImplementedError: Question 2: Adam")  # what is not answered yet, by name
    assert "check.py" not in dialog.inner_text()  # a learner's own lines only
    learner.picture("validate.png")
    dialog.get_by_role("button", name="Ok").click()
    expect(dialog).to_have_count(0)

    learner.rewrite(answer, "axis=1", wrong.replace("axis=1", "axis=0"))
    learner.run(answer, check)
    expect(learner.outputs(check)).to_have_text(["✓ shape ✓ column 0 ✓ column 1"])
