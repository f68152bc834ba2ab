# What an attacker's cell tries against the walls. Each function returns what it got hold of, or raises.
# HOST is replaced by what is on the grader's machine: paths, ports, names.
import ctypes
import fcntl
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys

HOST = {}
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(function, *arguments):
    if function(*arguments) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return True


def connect(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as made:
        made.settimeout(2)
        made.connect(address)
        return True


def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        return made.sendto(b"out", ("127.0.0.1", HOST["udp"])) and HOST["udp_heard"]


def from_open_files():
    reached = []
    for number in os.listdir("/proc/self/fd"):
        for path in ("..", "../" * 20 + HOST["course"]):
            try:
                reached.append(os.open(path, os.O_RDONLY, dir_fd=int(number)))
            except OSError:
                continue
        try:
            os.fchdir(int(number))
            reached.append(number)
        except OSError:
            continue
    os.chdir("/scratch")
    return reached


def other_processes():
    reached = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        if int(process.name) in (os.getpid(),):
            continue
        for name in ("environ", "mem", "root/" + HOST["course"], "cwd/" + HOST["course"]):
            try:
                with (process / name).open("rb") as file:
                    text = file.read(4096)
            except OSError:
                continue
            if b"s3cret" in text:
                reached.append(f"{process.name}/{name}")
    return reached


def environment():
    texts = [pathlib.Path("/proc/self/environ").read_text(), json.dumps(dict(os.environ))]
    return [text for text in texts if "s3cret" in text]


def notebooks():
    found = subprocess.run(
        ["find", "/", "-xdev", "-name", "*.ipynb", "-newer", sys.executable, "-not", "-path", "*/site-packages/*"],
        capture_output=True,
        text=True,
    )
    return [line for line in found.stdout.splitlines() if "site-packages" not in line]


def writable():
    places = (
        "/",
        "/usr",
        "/etc",
        "/dev",
        "/proc/sys/kernel",
        sys.prefix,
        os.path.dirname(HOST["package"]),
        HOST["tmp"],
    )
    made = []
    for place in places:
        try:
            pathlib.Path(place, "here").write_text("x")
            made.append(place)
        except OSError:
            continue
    return made


def machine_settings():
    """Root without capabilities still owns these; they are opened, and never written to."""
    opened = []
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger", "/proc/kcore"):
        try:
            os.close(os.open(path, os.O_WRONLY))
            opened.append(path)
        except OSError:
            continue
    return opened


def status():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return {name: text.strip() for name, _, text in (line.partition(":") for line in lines)}


def more_than_the_limits():
    raised = []
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE):
        try:
            resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            raised.append(kind)
        except (OSError, ValueError):
            continue
    return raised


REFUSED = {
    "tcp": lambda: connect(socket.AF_INET, ("127.0.0.1", HOST["tcp"])),
    "dns": lambda: socket.getaddrinfo("localhost.example", 80),
    "unix socket": lambda: connect(socket.AF_UNIX, HOST["unix"]),
    "abstract socket": lambda: connect(socket.AF_UNIX, "\0" + HOST["abstract"]),
    "hypervisor": lambda: socket.socket(40, socket.SOCK_STREAM),
    "raw packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "bluetooth": lambda: socket.socket(31, socket.SOCK_RAW),
    "course": lambda: os.listdir(HOST["course"]),
    "gradebook": lambda: open(HOST["course"] + "/gradebook.db"),
    "source": lambda: open(HOST["course"] + "/source/tiny/sums.ipynb"),
    "answer key": lambda: open(HOST["course"] + "/source/tiny/reference/sums.json"),
    "another student": lambda: os.listdir(HOST["course"] + "/submitted"),
    "home": lambda: os.listdir(os.path.expanduser("~root") + "/.ssh"),
    "grader's folder": lambda: os.listdir(HOST["tmp"]),
    "user namespace": lambda: call(libc.unshare, 0x10000000),
    "user namespace by clone": lambda: call(libc.syscall, {"x86_64": 56}.get(os.uname().machine, 220), 0x10000011, 0, 0, 0, 0),
    "user namespace by a program": lambda: subprocess.run(["unshare", "-r", "true"], check=True),
    "mount": lambda: call(libc.mount, b"x", b"/scratch", b"tmpfs", 0, None),
    "unmount": lambda: call(libc.umount2, b"/usr", 2),
    "chroot": lambda: os.chroot("/scratch"),
    "another namespace": lambda: call(libc.setns, os.open("/proc/1/ns/mnt", os.O_RDONLY), 0),
    "device": lambda: os.mknod("/scratch/disk", 0o60666, os.makedev(254, 0)),
    "chmod of a device": lambda: os.chmod("/dev/null", 0o666),
    "ptrace": lambda: call(libc.ptrace, 16, 1, None, None),
    "keyring": lambda: call(libc.syscall, {"x86_64": 250}.get(os.uname().machine, 219), 0, -3, 0),
    "memory in no file": lambda: os.memfd_create("x"),
    "anonymous shared memory": lambda: __import__("mmap").mmap(-1, 4096),
    "shared memory of a device": lambda: __import__("mmap").mmap(os.open("/dev/zero", os.O_RDWR), 4096),
    "System V memory": lambda: call(libc.shmget, 0, 4096, 0o1600),
    "terminal": lambda: fcntl.ioctl(os.open("/dev/tty", os.O_RDWR), 0x5412, b"x"),
    "uid 0": lambda: os.setuid(0),
    "installed packages": lambda: open(sys.prefix + "/lib/here", "w"),
    "realtime": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)),
    "nice": lambda: os.nice(-5),
}
EMPTY = {
    "open files lead out": from_open_files,
    "other processes": other_processes,
    "environment": environment,
    "notebooks on a disk": notebooks,
    "writable": writable,
    "machine": machine_settings,
    "limits": more_than_the_limits,
}
got = {}
got["files"] = [
    os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")
]
for name, attempt in REFUSED.items():
    try:
        attempt()
        got[name] = "DONE"
    except BaseException as error:
        got[name] = type(error).__name__
for name, attempt in EMPTY.items():
    try:
        got[name] = attempt()
    except BaseException as error:
        got[name] = repr(error)
got["status"] = {
    k: v
    for k, v in status().items()
    if k in ("CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
}
got["id"] = [os.getuid(), os.geteuid()]
try:
    datagram()
except OSError:
    pass
print("PROBED", json.dumps(got))
