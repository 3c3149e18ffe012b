"""Copies into the chart what is not to be written twice: the CRDs, the rights, the policies, the alerts.

    generate.py            writes deploy/helm/registry-sts/files/
    generate.py --check    writes nothing; exit code 1 if a file there is stale, missing or left over

Templates read these files and put the release's namespace and account into them.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "deploy" / "helm" / "registry-sts" / "files"


def listed(folder: Path) -> list[Path]:
    """The files that a folder's kustomization.yaml delivers."""
    names = re.findall(r"^  - (\S+\.yaml)$", (folder / "kustomization.yaml").read_text(), re.MULTILINE)
    return [folder / name for name in names]


def sources() -> list[Path]:
    return [
        *listed(ROOT / "crds"),
        ROOT / "deploy" / "manager" / "leader.yaml",
        ROOT / "deploy" / "monitoring" / "rules.yaml",
        ROOT / "deploy" / "monitoring" / "service-monitor.yaml",
        *listed(ROOT / "deploy" / "overlays" / "identities"),
        *listed(ROOT / "deploy" / "rbac"),
    ]


def wanted() -> dict[Path, str]:
    def copied(source: Path) -> str:
        head = f"# Written by deploy/helm/generate.py from {source.relative_to(ROOT)}: change it there.\n"
        return head + source.read_text()

    return {FILES / source.parent.name / source.name: copied(source) for source in sources()}


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    texts = wanted()
    found = {file: file.read_text() for file in sorted(FILES.rglob("*")) if file.is_file()}
    stale = sorted(file for file in texts.keys() | found.keys() if texts.get(file) != found.get(file))
    for file in stale:
        print(file.relative_to(ROOT))
    if arguments:
        return 1 if stale else 0
    for file in stale:
        if file in texts:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(texts[file])
        else:
            file.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
