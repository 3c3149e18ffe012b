"""Where the programs of this folder find PyYAML."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(1, str(ROOT / "tests" / "controlplane"))

import venv  # noqa: E402
from progress import SetupError  # noqa: E402


def enter() -> None:
    """Runs this same command with .venv's Python, after making it where needed."""
    try:
        python = venv.ensure()
    except SetupError as error:
        sys.exit(f"deploy/olm: {error}")
    if Path(sys.prefix).resolve() != venv.VENV.resolve():
        sys.stdout.flush()
        os.execv(python, [str(python), *sys.orig_argv[1:]])
