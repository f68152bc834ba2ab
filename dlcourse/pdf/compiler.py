"""The Typst compiler, shut in one private folder: no system fonts, no packages, no files from elsewhere."""

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

import typst

# Named one by one: matplotlib's folder also holds a "last resort" font, whose boxes would hide every missing glyph.
_FONT_FILES = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSans-Oblique.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSansMono-Bold.ttf",
    "DejaVuSansMono-Oblique.ttf",
)


class CompileError(Exception):
    """Typst refused a source."""


@dataclass
class Block:
    """One part of the document that can fail alone.

    Attributes:
        source: Typst markup.
        fallback: Typst markup that shows the same thing plainly, from escaped strings only.
        where: for warnings, such as "cell 3".
    """

    source: str
    fallback: str
    where: str


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
        self._fonts = typst.Fonts(include_system_fonts=False, font_paths=[str(fonts)])

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

    def problem(self, source: str) -> str | None:
        """Typst's message on `source`, or None if it compiles."""
        try:
            self.pdf(source)
        except CompileError as error:
            return str(error)
        return None

    def document(self, preamble: str, blocks: list[Block]) -> tuple[bytes, list[str]]:
        """The PDF of all blocks; a block that Typst refuses is replaced by its fallback, never the whole lost.

        Returns:
            The PDF, and a warning for each replaced block.
        """
        warnings: list[str] = []
        try:
            return self.pdf(preamble + "".join(block.source for block in blocks)), warnings
        except CompileError:
            culprits = self._culprits(preamble, blocks)
        replaced = list(blocks)
        for index, message in culprits:
            block = blocks[index]
            plain = block.fallback if self.problem(preamble + block.fallback) is None else '#note("not shown");\n'
            replaced[index] = Block(plain, plain, block.where)
            warnings.append(f"{block.where}: could not be typeset, shown as its source ({message})")
        return self.pdf(preamble + "".join(block.source for block in replaced)), warnings

    def _culprits(self, preamble: str, blocks: list[Block], start: int = 0) -> list[tuple[int, str]]:
        """(index, message) of the blocks that fail, found by halving."""
        message = self.problem(preamble + "".join(block.source for block in blocks))
        if message is None or not blocks:
            return []
        if len(blocks) == 1:
            return [(start, message)]
        middle = len(blocks) // 2
        left = self._culprits(preamble, blocks[:middle], start)
        return left + self._culprits(preamble, blocks[middle:], start + middle)
