"""The Typst compiler, shut in one private folder: no packages, no files from elsewhere."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import typst

# Fonts of the usual systems for what the shipped ones lack. Named, because some systems have a font of mere boxes for
# every character, which would hide that a character cannot be read.
_SYSTEM_FONTS = (
    "Noto Sans CJK SC", "Noto Serif CJK SC", "Noto Sans SC", "PingFang SC", "Hiragino Sans",
    "Microsoft YaHei", "SimSun",    "Source Han Sans SC", "WenQuanYi Micro Hei", "Droid Sans Fallback", "Malgun Gothic",
    "Apple SD Gothic Neo",
    "Noto Sans", "Arial Unicode MS", "Noto Sans Devanagari", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Thai",
    "Segoe UI", "Noto Color Emoji", "Apple Color Emoji", "Segoe UI Emoji", "Noto Emoji",
)  # fmt: skip

# Named one by one: matplotlib's folder also holds a "last resort" font, whose boxes would hide every missing glyph.
_FONT_FILES = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSans-Oblique.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSansMono-Bold.ttf",
    "DejaVuSansMono-Oblique.ttf",
)


SYNTAX = "python.sublime-syntax"


class CompileError(Exception):
    """Typst refused a source."""


@dataclass
class Block:
    """One part of the document that can fail alone.

    Attributes:
        source: Typst markup.
        fallback: Typst markup that shows the same thing plainly, from escaped strings only.
        where: for warnings, such as "cell 3".
        question: the title of the question that begins here, or an empty string.
    """

    source: str
    fallback: str
    where: str
    question: str = ""


@dataclass(frozen=True)
class Mark:
    """Where a section begins or ends: its page, from 1, and the height there in points from the paper's top."""

    title: str
    end: bool
    page: int
    y: float


def dejavu_folder() -> Path:
    """The folder of the DejaVu fonts that matplotlib ships; matplotlib itself is not imported."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("matplotlib is not installed: its fonts are needed")
    return Path(spec.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"


class Compiler:
    """Compiles Typst sources that may read files of `root` only.

    Args:
        root: a private, empty folder; images are put there.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        fonts = root / "fonts"
        fonts.mkdir()
        for name in _FONT_FILES:
            shutil.copyfile(dejavu_folder() / name, fonts / name)
        shutil.copyfile(Path(__file__).with_name(SYNTAX), root / SYNTAX)
        self._fonts = typst.Fonts(include_system_fonts=False, font_paths=[str(fonts)])
        self._typst: typst.Compiler | None = None

    def use_system_fonts(self) -> list[str]:
        """Let the machine's own fonts be used too; return the families that may help."""
        fonts = typst.Fonts(include_system_fonts=True, font_paths=[str(self.root / "fonts")])
        found = set(fonts.families())
        families = [name for name in _SYSTEM_FONTS if name in found]
        if families:
            self._fonts = fonts
        return families

    def pdf(self, source: str, archival: bool = False) -> bytes:
        """The PDF of `source`, the same bytes for the same source.

        Args:
            source: Typst markup.
            archival: hold to PDF/A, which refuses characters without a glyph.

        Raises:
            CompileError: with Typst's message.
        """
        main = self.root / "main.typ"
        main.write_text(source, encoding="utf-8")
        nowhere = str(self.root / "packages")
        try:
            compiler = typst.Compiler(
                str(main), root=str(self.root), font_paths=self._fonts, package_path=nowhere, package_cache_path=nowhere
            )
            self._typst = compiler
            data = compiler.compile(format="pdf", pdf_standards=["a-2b"] if archival else [], timestamp=0)
        except typst.TypstError as error:
            raise CompileError(str(error.message)) from error
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # a crash inside the compiler is no Exception
                raise
            raise CompileError(f"the compiler crashed: {error}") from error
        if not isinstance(data, bytes):
            raise CompileError("no single PDF came out")
        return data

    def marks(self) -> list[Mark]:
        """The section marks of the PDF that was made last."""
        assert self._typst is not None
        found = json.loads(self._typst.query("<section>", field="value"))
        return [Mark(one["title"], one["end"], one["page"], one["y"]) for one in found]

    def problem(self, source: str) -> str | None:
        """Typst's message on `source`, or None if it compiles."""
        try:
            self.pdf(source)
        except CompileError as error:
            return str(error)
        return None

    def mended(self, preamble: str, blocks: list[Block]) -> tuple[list[Block], list[str]]:
        """The blocks, those that Typst refuses replaced by their fallback, and a warning for each of these."""
        warnings: list[str] = []
        mended = list(blocks)
        for index, message in self.culprits(preamble, [block.source for block in blocks]):
            block = blocks[index]
            plain = block.fallback if self.problem(preamble + block.fallback) is None else '#note("not shown");\n'
            mended[index] = Block(plain, plain, block.where, block.question)
            warnings.append(f"{block.where}: could not be typeset, shown as its source ({message})")
        return mended, warnings

    def culprits(self, preamble: str, sources: list[str], start: int = 0) -> list[tuple[int, str]]:
        """(index, message) of the sources that fail, found by halving."""
        message = self.problem(preamble + "".join(sources))
        if message is None or not sources:
            return []
        if len(sources) == 1:
            return [(start, message)]
        middle = len(sources) // 2
        left = self.culprits(preamble, sources[:middle], start)
        return left + self.culprits(preamble, sources[middle:], start + middle)
