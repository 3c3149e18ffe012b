"""Writes what of docs/ is made from something else.

    python3 docs/generate.py           writes docs/api.md and docs/pictures/*.svg
    python3 docs/generate.py --check   writes nothing; exit code 1 if one of them is stale

docs/api.md is made from the definitions of crds/, in the order of its kustomization. A picture is drawn by Graphviz's `dot`
(Debian package graphviz), and says in its first lines of which source it was drawn; where
dot is not installed, only a stale picture is an error.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

if __name__ == "__main__" and sys.prefix == sys.base_prefix:
    # The packages are in .venv.
    made = [sys.executable, str(ROOT / "tests" / "controlplane" / "venv.py")]
    python = subprocess.run(made, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    os.execv(python, [python, *sys.orig_argv[1:]])

import yaml  # noqa: E402
from reference import page  # noqa: E402

CRDS = ROOT / "crds"
API = HERE / "api.md"
PICTURES = HERE / "pictures"


def reference() -> str:
    listed = yaml.safe_load((CRDS / "kustomization.yaml").read_text())["resources"]
    return page([yaml.safe_load((CRDS / name).read_text()) for name in listed])


def mark(source: Path) -> str:
    """The line of a picture that says what it was drawn from."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    return f"<!-- drawn from {source.name}, sha256 {digest} -->"


def is_current(source: Path) -> bool:
    picture = source.with_suffix(".svg")
    return picture.is_file() and mark(source) in picture.read_text()


def draw(source: Path) -> str:
    drawn = subprocess.run(["dot", "-Tsvg", source], stdout=subprocess.PIPE, text=True, check=True).stdout
    # Graphviz's own head has its version in it.
    svg = drawn[drawn.index("<svg") :]
    svg = re.sub(r"<title>[^<]*</title>\n", "", svg)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{mark(source)}\n{svg}'


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    stale = [] if API.is_file() and API.read_text() == reference() else [API]
    sources = sorted(PICTURES.glob("*.dot"))
    stale += [source.with_suffix(".svg") for source in sources if not is_current(source)]
    if check:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run python3 docs/generate.py", file=sys.stderr)
        return 1 if stale else 0
    API.write_text(reference())
    for source in sources:
        if not is_current(source):
            if not shutil.which("dot"):
                sys.exit(f"{source.relative_to(ROOT)} is to be drawn anew: apt-get install graphviz")
            source.with_suffix(".svg").write_text(draw(source))
    return 0


if __name__ == "__main__":
    sys.exit(main())
