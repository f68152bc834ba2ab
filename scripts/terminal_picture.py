"""A picture of a terminal session for the documents: run commands, show them with their output as a PNG.

python scripts/terminal_picture.py PICTURE.png [--in FOLDER] COMMAND [COMMAND …]
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops
from rich.console import Console
from rich.text import Text

WIDTH = 112  # characters
PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #fff; }}
pre {{ margin: 0; padding: 14px 18px; font: 14px/1.35 "DejaVu Sans Mono", monospace; color: #1f2328; }}
{stylesheet}
</style><pre>{code}</pre>"""


def session(commands: list[str], folder: Path) -> str:
    """The HTML of a session: each command after its prompt, then what it prints, colours kept."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "FORCE_COLOR": "1",
        "COLUMNS": str(WIDTH),
        "TERM": "xterm-256color",
    }
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for command in commands:
        console.print(Text(f"$ {command}", style="bold"))
        ended = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        plain = re.sub(r"\x1b\[(\?25[lh]|2K|1A)", "", ended.stdout)  # a progress bar moves the cursor
        lines = [line.rsplit("\r", 1)[-1] for line in plain.split("\n") if not re.search("IPKernelApp|Grading", line)]
        console.print(Text.from_ansi("\n".join(lines).strip("\n") + "\n"))
    return console.export_html(code_format=PAGE)


def picture(html: str, target: Path) -> None:
    """Let Chromium draw the page and cut off what is empty."""
    chromium = shutil.which("chromium")
    assert chromium, "install Debian's chromium"
    with tempfile.TemporaryDirectory() as folder:
        page, drawn = Path(folder, "page.html"), Path(folder, "page.png")
        page.write_text(html, "utf-8")
        size = [f"--screenshot={drawn}", "--window-size=1020,1600", "--force-device-scale-factor=1.5"]
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *size, page.as_uri()]
        subprocess.run(command, check=True, capture_output=True)
        image = Image.open(drawn).convert("RGB")
    box = ImageChops.difference(image, Image.new("RGB", image.size, "white")).getbbox() or (0, 0, *image.size)
    image = image.crop((0, 0, min(image.width, box[2] + 20), min(image.height, box[3] + 20)))
    image.quantize(64, dither=0).save(target, optimize=True)


def main(arguments: list[str]) -> int:
    target, commands, folder = Path(arguments[0]), arguments[1:], Path()
    if commands[0] == "--in":
        folder, commands = Path(commands[1]), commands[2:]
    picture(session(commands, folder), target)
    print(f"{target}: {target.stat().st_size // 1024} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
