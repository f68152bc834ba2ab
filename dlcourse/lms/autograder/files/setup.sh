#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image: Python, the pinned packages, the course's package, and
# a user without rights for learners' code.
set -euo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$source")
export DEBIAN_FRONTEND=noninteractive

new_enough() { command -v "$1" >/dev/null && "$1" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
pick() { for python in python3.12 python3.11 python3.13 python3; do if new_enough "$python"; then return 0; fi; done; return 1; }

if ! pick; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends python3 python3-venv ca-certificates
    # Ubuntu 22.04 has Python 3.10, and a 3.11 beside it.
    pick || apt-get install -y -qq --no-install-recommends python3.11 python3.11-venv
    pick || { echo "Python 3.11 or later is needed: choose a newer base image, such as Ubuntu 24.04." >&2; exit 1; }
fi
"$python" -m venv "$root/venv"
pip=("$root/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir)
"${pip[@]}" --require-hashes -r "$source/requirements.lock"
"${pip[@]}" --no-deps "$source"/dlcourse-*.whl

id learner >/dev/null 2>&1 || useradd --system --user-group --no-create-home --shell /usr/sbin/nologin learner
# matplotlib's list of fonts takes seconds to make: made once
MPLCONFIGDIR="$root/fonts" "$root/venv/bin/python" -c 'import matplotlib.font_manager'
chmod -R go= "$source"
