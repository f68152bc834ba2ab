"""System calls that no notebook needs and that would reach past a sandbox's namespaces and limits: refused.

Namespaces leave some things of the machine in common: keyrings, sockets to a hypervisor, kernel interfaces with a
history of holes. Others hold memory that no limit counts. Python has no call for a filter, so it is written here, in
the classic BPF of https://docs.kernel.org/userspace-api/seccomp_filter.html.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct

# Numbers on x86_64 and on aarch64, from the kernel's tables.
CALLS: dict[str, tuple[int, int]] = {
    "add_key": (248, 217),  # keyrings are those of whoever started the grader
    "keyctl": (250, 219),
    "request_key": (249, 218),
    "memfd_create": (319, 279),  # memory that belongs to no process and to no folder of limited size
    "memfd_secret": (447, 447),
    "msgget": (68, 186),
    "semget": (64, 190),
    "shmget": (29, 194),
    "bpf": (321, 280),  # parts of the kernel that a notebook has no business with
    "io_uring_setup": (425, 425),
    "kexec_load": (246, 104),
    "perf_event_open": (298, 241),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "syslog": (103, 116),
    "userfaultfd": (323, 282),
    "chroot": (161, 51),  # other walls, other privileges
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "pivot_root": (155, 41),
    "setns": (308, 268),
    "umount2": (166, 39),
    "unshare": (272, 97),
}
_CLONE, _CLONE3, _MMAP, _SOCKET = (56, 220), (435, 435), (9, 222), (41, 198)
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # the column above, and AUDIT_ARCH_*
_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)  # each network namespace has its own
_CLONE_NEWUSER = 0x10000000
_SHARED_ANONYMOUS = 0x21  # MAP_SHARED | MAP_ANONYMOUS
_X32 = 0x40000000  # x86_64's second set of numbers
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _AND, _EQUAL, _ANY_BIT, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x45, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2


def supported() -> bool:
    """Whether the numbers of this machine's system calls are known."""
    return platform.machine() in _MACHINES


def confine() -> None:
    """Refuse the calls above to this process and to all that it starts, for good; needs no_new_privs.

    Refused, too, are sockets of families that a network namespace does not contain, user namespaces, and anonymous
    shared memory (``/dev/shm`` is there, and counted).

    Raises:
        OSError: the kernel does not take the filter.
    """
    program = b"".join(_program(platform.machine()))
    buffer = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    filtered = Program(len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filtered), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")


def _program(machine: str) -> list[bytes]:
    column, architecture = _MACHINES[machine]
    refuse, unknown = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
    steps = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, architecture, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":
        steps += [_step(_AT_LEAST, _X32, 0, 1), _step(_RETURN, unknown)]
    steps += [
        _step(_EQUAL, _CLONE3[column], 0, 1),
        _step(_RETURN, unknown),
    ]  # libc then uses clone
    for numbers in CALLS.values():
        steps += [_step(_EQUAL, numbers[column], 0, 1), _step(_RETURN, refuse)]
    steps += [
        _step(_EQUAL, _CLONE[column], 0, 4),
        _argument(0),
        _step(_ANY_BIT, _CLONE_NEWUSER, 0, 1),
        _step(_RETURN, refuse),
        _step(_RETURN, _ALLOW),
        _step(_EQUAL, _MMAP[column], 0, 5),
        _argument(3),
        _step(_AND, _SHARED_ANONYMOUS),
        _step(_EQUAL, _SHARED_ANONYMOUS, 0, 1),
        _step(_RETURN, refuse),
        _step(_RETURN, _ALLOW),
        _step(_EQUAL, _SOCKET[column], 0, len(_FAMILIES) + 2),
        _argument(0),
    ]
    steps += [_step(_EQUAL, family, len(_FAMILIES) - n, 0) for n, family in enumerate(_FAMILIES)]
    return [*steps, _step(_RETURN, _ERRNO | errno.EAFNOSUPPORT), _step(_RETURN, _ALLOW)]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction: the jumps count the instructions that are passed over."""
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _argument(position: int) -> bytes:
    """Load the lower half of an argument, on a little-endian machine."""
    return _step(_LOAD, _ARGUMENTS + 8 * position)
