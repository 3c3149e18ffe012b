"""Makes sure of the programs that read YAML; prints how to start them, as one line of JSON.

PyYAML comes from the environment of tests/controlplane. The Go program is built from the
versions that go.mod and go.sum pin, once for each of its texts, into .cache/readers/.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# How Go and Python are found is told there.
sys.path.insert(0, str(HERE.parent / "controlplane"))

import build  # noqa: E402
import venv  # noqa: E402
from progress import CACHE, SetupError, locked, run_tool  # noqa: E402

STORE = CACHE / "readers"
SOURCES = ("go.mod", "go.sum", "main.go")


def program() -> Path:
    """The Go program, after building it where needed."""
    key = hashlib.sha256(b"\0".join((HERE / name).read_bytes() for name in SOURCES)).hexdigest()
    built = STORE / key[:16] / "readers"
    if not os.access(built, os.X_OK):
        with locked(STORE / "lock", "building the YAML readers"):
            if not os.access(built, os.X_OK):
                _build(built)
    return built


def _build(built: Path) -> None:
    # Only the holder of the lock builds, so whatever is here is older or unfinished.
    for old in STORE.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    unfinished = built.parent.with_name("unfinished")
    command = [
        build.go_command(), "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w",
        "-o", str(unfinished / built.name), ".",
    ]  # fmt: skip
    run_tool(command, "go build tests/readers", HERE, build.go_environment())
    unfinished.rename(built.parent)


def main() -> None:
    go = str(program())
    commands = {
        "PyYAML": [str(venv.ensure()), "-I", str(HERE / "reader.py")],
        "config-tool": [go, "config-tool"],
        "operator": [go, "operator"],
    }
    print(json.dumps(commands))


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit(f"readers: {error}")
