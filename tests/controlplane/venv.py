"""Makes the Python environment that the AWS peer runs in; prints its python.

Everything is pinned with hashes in requirements.txt. Regenerate that file with
`pip-compile --generate-hashes --strip-extras --no-emit-find-links --no-emit-index-url
requirements.in` (pip-tools).
"""

import hashlib
import subprocess
import sys
from pathlib import Path

from progress import CACHE, HERE, ROOT, SetupError, locked, run_tool, say

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


def ensure(requirements: str = "requirements.txt") -> Path:
    """Installs one requirements file into .venv, once; returns .venv's python."""
    listing = HERE / requirements
    stamp = VENV / f".{requirements}.sha256"
    wanted = hashlib.sha256(listing.read_bytes()).hexdigest()
    if _installed(stamp, wanted):
        return PYTHON
    with locked(CACHE / "venv.lock", "installing Python packages"):
        if _installed(stamp, wanted):  # the one we waited for did it
            return PYTHON
        if not _works():
            _create()
        say(f"installing {requirements} into {VENV}")
        command = [
            str(PYTHON), "-I", "-m", "pip", "install", "--quiet",
            "--disable-pip-version-check", "--require-hashes", "-r", str(listing),
        ]  # fmt: skip
        run_tool(command, f"pip install -r {requirements}", ROOT)
        stamp.write_text(wanted)
    return PYTHON


def _installed(stamp: Path, wanted: str) -> bool:
    return PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted


def _works() -> bool:
    """Whether .venv is there with a pip: its base Python may have been removed."""
    if not PYTHON.exists():
        return False
    probe = [str(PYTHON), "-I", "-c", "import pip, sys; assert sys.version_info >= (3, 11)"]
    return subprocess.run(probe, capture_output=True).returncode == 0


def _create() -> None:
    probe = [sys.executable, "-I", "-c", "import venv, ensurepip"]
    if subprocess.run(probe, capture_output=True).returncode != 0:
        minor = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SetupError(
            f"{sys.executable} cannot make virtual environments; on Debian and Ubuntu: "
            f"apt-get install python3-venv (or python{minor}-venv)"
        )
    # -I keeps this file, which is called venv too, from being taken for the module.
    run_tool(
        [sys.executable, "-I", "-m", "venv", "--clear", str(VENV)], f"python3 -m venv {VENV}", ROOT
    )


if __name__ == "__main__":
    try:
        print(ensure())
    except SetupError as error:
        sys.exit(f"controlplane: {error}")
