#!/bin/sh
# venv.sh PYTHON FOLDER: make a virtual environment that can build mnist_c (pip, setuptools and NumPy).
#
# NumPy comes from pip's index. Where pip reaches none, the Python's own NumPy and setuptools do, if they are new enough.
set -u
python=$1
venv=$2

rm -rf "$venv"
echo "making $venv with $("$python" --version) ..."
"$python" -m venv "$venv" || exit 1
errors=$("$venv/bin/python" -m pip install --quiet --disable-pip-version-check --retries 2 --upgrade \
    'pip>=25.1' 'setuptools>=77.0.3' 'numpy>=2.0' 2>&1) && exit 0

"$python" -m venv --clear --system-site-packages "$venv" || exit 1
# Before Python 3.12, venv brings an old setuptools, which would hide a newer one.
"$venv/bin/python" -m pip uninstall --quiet --yes setuptools >/dev/null 2>&1
if "$venv/bin/python" - 2>/dev/null <<'CHECK'
import numpy, setuptools, sys
sys.exit(int(numpy.__version__.split(".")[0]) < 2 or int(setuptools.__version__.split(".")[0]) < 77)
CHECK
then
    echo "pip reached no package index: using the NumPy and setuptools of $python"
    exit 0
fi

rm -rf "$venv"
printf '%s\n' "$errors" | tail -n 3 >&2
echo "NumPy could not be installed: pip must reach a package index once (PIP_INDEX_URL names another than its usual one)" >&2
exit 1
