"""Makes sure of the programs that the packaging is tested with; prints where each one is.

    build.py helm kustomize

A program on PATH is taken as it is. What is not there is built from the versions that
tests/tools/NAME/go.mod and go.sum pin, once, into .cache/tools/. A folder with Go files is a
program of this repository: whatever PATH has is not it. What no user has at hand
(the validators of the operator framework) is always built.
"""

import hashlib
import os
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "controlplane"))

import build as controlplane  # noqa: E402
from progress import CACHE, SetupError, locked, run_tool, say  # noqa: E402

STORE = CACHE / "tools"


def program(name: str) -> Path:
    """The program, after building it where needed."""
    module = HERE / name
    if not (module / "go.mod").is_file():
        raise SetupError(f"tests/tools has no {name}")
    own = sorted(module.glob("*.go"))
    found = None if own else shutil.which(name)
    if found:
        return Path(found)
    pins = b"".join(file.read_bytes() for file in [module / "go.mod", module / "go.sum", *own])
    built = STORE / f"{name}-{hashlib.sha256(pins).hexdigest()[:16]}" / name
    if not os.access(built, os.X_OK):
        with locked(STORE / f"{name}.lock", f"building {name}"):
            if not os.access(built, os.X_OK):
                _build(name, built)
    return built


def _build(name: str, built: Path) -> None:
    module = HERE / name
    go_mod = (module / "go.mod").read_text()
    package = re.search(r"^tool (\S+)", go_mod, re.MULTILINE)
    if not package:
        raise SetupError(f"{module}/go.mod names no tool")
    say(f"building {name} (once; a minute or a few)")
    built.parent.mkdir(parents=True, exist_ok=True)
    # Only the holder of the lock builds, so what is unfinished here is nobody's.
    unfinished = built.with_suffix(".unfinished")
    command = [controlplane.go_command(), "build", "-trimpath", "-ldflags=-s -w"]
    tags = re.search(r"^// build tags: (\S+)", go_mod, re.MULTILINE)
    command += ["-tags", tags[1]] if tags else []
    command += ["-o", str(unfinished), package[1]]
    run_tool(command, f"go build {package[1]}", module, controlplane.go_environment())
    unfinished.rename(built)


if __name__ == "__main__":
    try:
        print(*(program(name) for name in sys.argv[1:]), sep="\n")
    except SetupError as error:
        sys.exit(f"tools: {error}")
