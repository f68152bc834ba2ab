"""Start the IPython kernel of one submission: one thread, the same arithmetic on every machine, nothing inherited."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import zmq
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from numpy._core._multiarray_umath import __cpu_dispatch__

from dlcourse.check import MODE_VARIABLE
from dlcourse.grading import sandbox

MAX_MESSAGE = 64 * 2**20  # bytes of one message that a kernel may send; a larger one closes its connection
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# One instruction set, so that references are recorded bit for bit and a grade does not depend on the processor.
# NumPy's exp and log, OpenBLAS and PyTorch all differ in the last bit between AVX2 and AVX-512.
ARITHMETIC = {
    "NPY_DISABLE_CPU_FEATURES": " ".join(f for f in __cpu_dispatch__ if f.startswith(("AVX512", "X86_V4"))),
    "OPENBLAS_CORETYPE": "Haswell",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # float32 convolutions
}
# Modules of a submission load from its own folder, but only after the installed packages.
START = "import sys; sys.path = [p for p in sys.path if p] + ['']"


def environment(scratch: Path, mode: str, threads: int = 1, figures: bool = True) -> dict[str, str]:
    """The kernel's whole environment; of the grader's own only the search path is kept."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "IPYTHONDIR": str(scratch / ".ipython"),
        "MPLCONFIGDIR": str(scratch / ".matplotlib"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline" if figures else "agg",
        "PYTHONSAFEPATH": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        MODE_VARIABLE: mode,
        **dict.fromkeys(THREADS, str(threads)),
        **ARITHMETIC,
    }


def manager(scratch: Path, mode: str, sandboxed: bool, threads: int = 1) -> AsyncKernelManager:
    """Return a manager, not yet started, whose kernel works in ``scratch`` and talks over sockets that lie in it."""
    _lend_font_list(scratch)
    command = [sys.executable, "-P", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    command += ["--InteractiveShellApp.ignore_cwd=True", f"--InteractiveShellApp.exec_lines={START}"]
    command += ["--HistoryManager.enabled=False"]
    spec = KernelSpec(
        argv=sandbox.wrap(command, scratch) if sandboxed else command,
        language="python",
        display_name="grading",
        interrupt_mode="message",
    )
    context = zmq.asyncio.Context()
    context.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
    made = AsyncKernelManager(
        context=context,
        transport="ipc",
        ip=str(scratch / ".kernel"),
        connection_file=str(scratch / ".kernel.json"),
        shutdown_wait_time=1.0,
    )
    made._kernel_spec = spec
    return made


def _lend_font_list(scratch: Path) -> None:
    """Copy matplotlib's list of fonts, which takes seconds to make."""
    import matplotlib.font_manager

    target = scratch / ".matplotlib"
    target.mkdir()
    for cached in Path(matplotlib.get_cachedir()).glob("fontlist-*.json"):
        shutil.copy(cached, target)
