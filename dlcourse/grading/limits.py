"""What one submission may use, and what is said when it uses more."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """What one submission may use; its kernel starts with the imported packages, which are not counted.

    Attributes:
        memory: bytes, of all its processes and its files together.
        disk: bytes of files in its folder; /tmp and /dev/shm get a quarter of that each.
        processes: processes and threads.
        open_files: of one process.
        inodes: files and folders, in all.
    """

    memory: int = 2048 * MIB
    disk: int = 256 * MIB
    processes: int = 256
    open_files: int = 1024
    inodes: int = 50_000


DEFAULT = Limits()


@dataclass(frozen=True)
class Breach:
    """A limit that was crossed: the cause of the points that are lost, and what happened."""

    cause: str
    why: str
