"""Makes sure of the cargo commands that releases are made with; prints where each one is.

    cargo.py cargo-auditable cargo-deny

Each is installed in its pinned version, once, into .cache/tools/.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parent / "controlplane"))

from progress import CACHE, ROOT, SetupError, locked, run_tool, say  # noqa: E402

STORE = CACHE / "tools"
PINS = {"cargo-auditable": "0.7.7", "cargo-deny": "0.20.2"}


def program(name: str) -> Path:
    """The program, after installing it where needed."""
    if name not in PINS:
        raise SetupError(f"tests/tools/cargo.py has no {name}")
    folder = STORE / f"{name}-{PINS[name]}"
    built = folder / "bin" / name
    if not os.access(built, os.X_OK):
        with locked(STORE / f"{name}.lock", f"installing {name}"):
            if not os.access(built, os.X_OK):
                say(f"installing {name} {PINS[name]} (once; a minute or a few)")
                command = [
                    "cargo",
                    "install",
                    "--locked",
                    "--quiet",
                    "--root",
                    str(folder),
                    f"{name}@{PINS[name]}",
                ]
                run_tool(command, f"cargo install {name}", ROOT)
    return built


if __name__ == "__main__":
    try:
        print(*(program(name) for name in sys.argv[1:]), sep="\n")
    except SetupError as error:
        sys.exit(f"tools: {error}")
