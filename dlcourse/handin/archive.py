"""Read ZIPs that anybody made: every entry is judged by its name and kind, and read within limits."""

from __future__ import annotations

import io
import shutil
import stat
import struct
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from dlcourse.handin.paths import path_problem, shown

MAX_CLASS_ENTRIES = 50_000  # of the download of a class
MAX_ENTRIES = 1_000  # of one learner's ZIP
MAX_FILE = 50 * 2**20  # bytes of one file
MAX_SUBMISSION = 200 * 2**20  # bytes of all files of one learner, and of the ZIP that they come in
_ENCRYPTED, _UTF8 = 0x1, 0x800


class BadArchive(Exception):
    """Something that cannot be taken; the message says why."""


@dataclass(frozen=True)
class Entry:
    """A file in a ZIP or a folder: its path with ``/``, and where to read it."""

    name: str
    size: int  # as stated, which may be a lie
    source: zipfile.ZipFile | Path
    info: zipfile.ZipInfo | None = None

    def copy_to(self, target: IO[bytes], limit: int = MAX_FILE) -> int:
        """Copy the content; return its size in bytes.

        Raises:
            BadArchive: more than ``limit`` bytes come out, or what comes out is damaged.
        """
        copied = 0
        try:
            with self._open() as file:
                while chunk := file.read(min(2**20, limit - copied + 1)):
                    copied += len(chunk)
                    if copied > limit:
                        raise BadArchive(f"more than {limit / 2**20:.0f} MiB come out of it")
                    target.write(chunk)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            ValueError,
            NotImplementedError,
            RuntimeError,
            OSError,
        ) as error:
            raise BadArchive(f"damaged: {str(error)[:100] or type(error).__name__}") from error
        return copied

    def read(self, limit: int = MAX_FILE) -> bytes:
        """The content, as ``copy_to``."""
        buffer = io.BytesIO()
        self.copy_to(buffer, limit)
        return buffer.getvalue()

    def _open(self) -> IO[bytes]:
        if isinstance(self.source, Path):
            return self.source.open("rb")
        assert self.info is not None
        return self.source.open(self.info)


@dataclass(frozen=True)
class Refusal:
    """Something that was not used, and why."""

    name: str
    why: str


@contextmanager
def opened(file: Path | IO[bytes], limit: int) -> Iterator[tuple[list[Entry], list[Refusal]]]:
    """Open a ZIP for reading: its entries that can be taken, and those that are refused by name.

    Args:
        file: the ZIP.
        limit: the most entries that are looked at.

    Raises:
        BadArchive: no ZIP, damaged, or with too many entries.
    """
    with ExitStack() as stack:
        try:
            if _stated(file) > limit:
                raise BadArchive(f"{_stated(file)} entries; at most {limit} are taken")
            archive = stack.enter_context(_lenient(file))
            if len(archive.infolist()) > limit:
                raise BadArchive(f"{len(archive.infolist())} entries; at most {limit} are taken")
            found = _sorted_out(archive)
        except (zipfile.BadZipFile, struct.error, UnicodeError, ValueError, NotImplementedError, EOFError) as error:
            raise BadArchive(f"no ZIP that can be opened: {str(error)[:100]}") from error
        yield found


def _stated(file: Path | IO[bytes]) -> int:
    """The number of entries that a ZIP states at its end, so that a huge directory is not read at all."""
    if isinstance(file, Path):
        with file.open("rb") as stream:
            return _stated(stream)
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 2**16 - 22))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    return int.from_bytes(tail[at + 10 : at + 12], "little") if 0 <= at <= len(tail) - 22 else 0


@contextmanager
def _lenient(file: Path | IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """Open a ZIP; a name that says it is UTF-8 and is not costs that entry alone, not the whole file."""
    try:
        archive = zipfile.ZipFile(file)
    except UnicodeDecodeError:
        with tempfile.TemporaryFile() as copy:
            with file.open("rb") if isinstance(file, Path) else _rewound(file) as original:
                shutil.copyfileobj(original, copy)
            _without_utf8(copy)
            with zipfile.ZipFile(copy) as archive:
                yield archive
        return
    with archive:
        yield archive


@contextmanager
def _rewound(file: IO[bytes]) -> Iterator[IO[bytes]]:
    file.seek(0)
    yield file


def _without_utf8(file: IO[bytes]) -> None:
    """Take the mark "this name is UTF-8" off the directory entries whose names are not."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 2**16 - 22))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    length, start = struct.unpack_from("<LL", tail, end + 12)
    file.seek(start)
    directory = bytearray(file.read(length))
    at = 0
    while directory[at : at + 4] == b"PK\x01\x02":
        flags, (name, extra, comment) = (
            struct.unpack_from("<H", directory, at + 8)[0],
            struct.unpack_from("<HHH", directory, at + 28),
        )
        try:
            directory[at + 46 : at + 46 + name].decode("utf-8")
        except UnicodeDecodeError:
            struct.pack_into("<H", directory, at + 8, flags & ~_UTF8)
        at += 46 + name + extra + comment
    file.seek(start)
    file.write(directory)
    file.seek(0)


def _sorted_out(archive: zipfile.ZipFile) -> tuple[list[Entry], list[Refusal]]:
    entries: list[Entry] = []
    refused: list[Refusal] = []
    seen: dict[str, str] = {}
    for info in archive.infolist():
        if info.orig_filename.endswith("/"):  # a folder; `is_dir` fails for a name of a NUL
            continue
        name, why = _decoded(info)
        why = why or _kind(info) or path_problem(name)
        if why is None and (other := seen.get(name.casefold())):
            why = "stands twice in the ZIP" if other == name else f"differs from {other!r} in case alone"
        if why:
            refused.append(Refusal(shown(name), why))
        else:
            seen[name.casefold()] = name
            entries.append(Entry(name, info.file_size, archive, info))
    return entries, refused


def _decoded(info: zipfile.ZipInfo) -> tuple[str, str | None]:
    """The name of an entry, composed; ZIPs without the mark for UTF-8 hold it all the same, or code page 437."""
    name = info.orig_filename
    if not info.flag_bits & _UTF8:
        raw = name.encode("cp437", "replace")
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            return name, "its name is in an unknown encoding"
    return unicodedata.normalize("NFC", name), None


def _kind(info: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "a link"
    if kind not in (0, stat.S_IFREG):
        return "no regular file"
    if info.flag_bits & _ENCRYPTED:
        return "encrypted"
    return None


def folder_entries(folder: Path) -> tuple[list[Entry], list[Refusal]]:
    """The files of a folder, as if it were a ZIP; links are refused."""
    entries, refused = [], []
    for path in sorted(folder.rglob("*")):
        name = PurePosixPath(path.relative_to(folder)).as_posix()
        if path.is_symlink():
            refused.append(Refusal(shown(name), "a link"))
        elif path.is_file():
            entries.append(Entry(unicodedata.normalize("NFC", name), path.stat().st_size, path))
    return entries, refused
