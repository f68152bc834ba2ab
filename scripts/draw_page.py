"""Draw docs/img/reading.png: a page with its boxes and what was read, as the notebook of ps3_recognition shows it.

python scripts/draw_page.py TEXT_EXTRACTION      # the notebook, executed
"""

from __future__ import annotations

import sys
from pathlib import Path

from draw_generative import ROOT, picture


def main() -> None:
    page = picture(Path(sys.argv[1]), "q5_show")
    page.quantize(128).save(ROOT / "docs" / "img" / "reading.png", optimize=True)


if __name__ == "__main__":
    main()
