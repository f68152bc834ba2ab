#!/bin/sh
# Make the virtual environment $1 from requirements.lock, with hashes. Needs Python 3.11 or later and nothing else.
set -eu
venv=$1
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or later is needed; $python is $("$python" --version 2>&1). Name another: make PYTHON=python3.12" >&2
    exit 1
}
if ! command -v uv >/dev/null 2>&1; then
    # uv in a folder of its own: the machine's Python is left alone
    if "$python" -m venv "$venv-uv" 2>/dev/null; then
        "$venv-uv/bin/pip" install --quiet --disable-pip-version-check uv
    elif ! "$python" -m pip install --quiet --target "$venv-uv" uv; then
        echo "$python has neither venv nor pip; on Debian and Ubuntu: sudo apt-get install python3-venv" >&2
        exit 1
    fi
    PATH="$(cd "$venv-uv/bin" && pwd):$PATH"
fi
[ -x "$venv/bin/python" ] || uv venv --quiet --python "$python" "$venv"
uv pip sync --quiet --compile-bytecode --require-hashes --python "$venv/bin/python" requirements.lock
uv pip install --quiet --no-deps --python "$venv/bin/python" --editable .
