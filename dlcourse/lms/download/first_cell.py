# Run this cell first. It installs the course's package where it is missing, and otherwise does nothing.
def _install(wheel: str = "$wheel") -> None:
    import importlib
    import subprocess
    import sys
    from importlib import metadata, util
    from pathlib import Path

    def number(version: str) -> list[int]:
        return [int(part) for part in version.split("+")[0].split(".") if part.isdigit()]

    found = util.find_spec("dlcourse")
    there = found is not None and found.origin is not None  # a folder of that name has no origin
    if there and number(metadata.version("dlcourse")) >= number(wheel.split("-")[1]):
        return
    if not Path(wheel).is_file():
        raise FileNotFoundError(
            f"Put {wheel} beside this notebook and run this cell again: it came with the notebook, in the same ZIP. "
            "In Colab, open the folder on the left and drop the file there."
        )
    colab = ["--no-deps"] if "google.colab" in sys.modules else []  # Colab has the rest, and keeps its versions
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *colab, wheel]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(
            f"{wheel} was not installed. Without a network, install it once where there is one: see README.md, which "
            f"came with the notebook.\n{ended.stderr[-2000:]}"
        )
    importlib.invalidate_caches()
    print(f"Installed {wheel}." + (" Restart the kernel now." if there else ""))


_install()
del _install
