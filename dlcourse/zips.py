"""ZIP archives with the same bytes for the same content, on any day."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

from dlcourse.errors import CourseError

_DAY = (1980, 1, 1, 0, 0, 0)  # the first that the format knows


def zip_bytes(files: Mapping[str, bytes], executable: Collection[str] = (), *, compressed: bool = True) -> bytes:
    """Pack files by their names in the archive, those of ``executable`` with the right to be run.

    Compressors differ from one version to the next: without one, the bytes depend on names and content alone.
    """
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method, compresslevel=9) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _DAY)
            entry.create_system = 3  # Unix, whose rights the next line gives
            entry.external_attr = (0o100755 if name in executable else 0o100644) << 16
            entry.compress_type = method
            archive.writestr(entry, content)
    return buffer.getvalue()


def write_zip(path: Path, files: Mapping[str, bytes], executable: Collection[str] = ()) -> None:
    """Write an archive at once.

    Raises:
        CourseError: it cannot be written.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_bytes(zip_bytes(files, executable))
        temporary.replace(path)
    except OSError as error:
        raise CourseError(f"{path} cannot be written: {error.strerror}.") from error
