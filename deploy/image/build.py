"""Builds the container image, target/image/registry-sts.oci.tar; prints its digest.

    build.py [--arch amd64] [--arch arm64] [--out FOLDER] [--allow-glibc]

For each architecture it builds a static binary that carries the list of its crates, and lays
out target/image/ARCH/rootfs: all that the image has. The same commit gives the same bytes,
with the same Rust and C compilers. The binary is built once; a second run only lays out.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[1:1] = [str(ROOT / "tests" / "tools"), str(ROOT / "tests" / "controlplane")]

import cargo as cargo_tools  # noqa: E402
import documents  # noqa: E402
import oci  # noqa: E402
import venv  # noqa: E402
from documents import Other  # noqa: E402
from progress import CACHE, SetupError, locked, say  # noqa: E402

NAME = "quay.io/registry-sts/registry-sts"
OUT = ROOT / "target" / "image"
# A folder of its own, so that neither build waits for the other's lock.
BUILD = ROOT / "target" / "image-build"
PASSWD = """\
root:x:0:0:root:/:/sbin/nologin
nonroot:x:65532:65532:nonroot:/:/sbin/nologin
"""
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}

# All of the environment that a build sees: what else is set, also by a cargo that runs this,
# would make ring's build script run anew, or change what is built.
KEPT = {"HOME", "PATH", "TMPDIR", "SSL_CERT_DIR", "SSL_CERT_FILE"}
KEPT |= {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}
KEPT_PREFIXES = ("RUSTUP_", "CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_")


def image(architectures: list[str], out: Path, allows_glibc: bool) -> str:
    """Builds and lays out; the digest of the image's index."""
    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    version = package["version"]
    revision, created = _commit()
    certificates, certifi = _certificates()
    images = []
    for architecture in architectures:
        target = _target(architecture, allows_glibc)
        binary = _binary(architecture, target)
        metadata = _metadata(target)
        crates = documents.crates(binary, metadata)
        others = [*_libraries(target), certifi]
        files = {
            "registry-sts": binary.read_bytes(),
            "etc/passwd": PASSWD.encode(),
            "etc/group": b"root:x:0:\nnonroot:x:65532:\n",
            "etc/ssl/certs/ca-certificates.crt": certificates,
        }
        texts = {
            "LICENSE": (ROOT / "LICENSE").read_bytes(),
            "THIRD-PARTY.txt": documents.notices(crates, metadata, others),
            "sbom.cdx.json": documents.sbom(crates, metadata, others, created),
        }
        files |= {f"usr/share/doc/registry-sts/{name}": content for name, content in texts.items()}
        rootfs = out / architecture / "rootfs"
        _lay_out(rootfs, files, created)
        images.append(oci.Image(architecture, rootfs))
    labels = {
        "title": package["name"],
        "description": package["description"],
        "licenses": package["license"],
        "version": version,
        "revision": revision,
        "created": oci.timestamp(created),
    }
    labels = {f"org.opencontainers.image.{key}": value for key, value in labels.items()}
    return oci.write(out / "registry-sts.oci.tar", f"{NAME}:{version}", labels, created, images)


def _commit() -> tuple[str, int]:
    """Which commit it is, and when it was made."""
    revision = _printed("git", "rev-parse", "HEAD").strip()
    if _printed("git", "status", "--porcelain"):
        revision += "-dirty"
    return revision, int(_printed("git", "log", "-1", "--format=%ct"))


def _printed(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SetupError(f"{' '.join(command)} failed (exit {done.returncode})")
    return done.stdout


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k in KEPT or k.startswith(KEPT_PREFIXES)}


def _target(architecture: str, allows_glibc: bool) -> str:
    """Rust's name of it, after installing its standard library where needed."""
    machine = ARCHITECTURES[architecture]
    musl, glibc = f"{machine}-unknown-linux-musl", f"{machine}-unknown-linux-gnu"
    if _installed(musl).is_dir():
        return musl
    try:
        _printed("rustup", "target", "add", musl)
    except (SetupError, FileNotFoundError) as problem:
        if not allows_glibc or platform.machine() != machine or not _installed(glibc).is_dir():
            raise SetupError(f"there is no {musl} to be had: {problem}") from problem
        say(f"there is no {musl} to be had, so the binary has glibc in it instead of musl")
        return glibc
    return musl


def _compiler(architecture: str) -> str:
    """The C compiler: ring has C and assembly in it, and it links."""
    machine = ARCHITECTURES[architecture]
    named = f"{machine}-linux-gnu-gcc"
    if shutil.which(named):
        return named
    if platform.machine() == machine and shutil.which("gcc"):
        return "gcc"
    package = f"gcc-{machine.replace('_', '-')}-linux-gnu"
    raise SetupError(f"there is no {named}; on Debian and Ubuntu: apt-get install {package}")


def _binary(architecture: str, target: str) -> Path:
    compiler = _compiler(architecture)
    cargo_home = os.environ.get("CARGO_HOME") or str(Path.home() / ".cargo")
    # Where it was built is nobody's business, and no part of the bytes.
    flags = [
        f"--remap-path-prefix={cargo_home}=/cargo",
        f"--remap-path-prefix={ROOT}=/registry-sts",
    ]
    if target.endswith("-gnu"):
        flags.append("-Ctarget-feature=+crt-static")
    key = target.replace("-", "_")
    environment = _environment() | {
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags),
        f"CARGO_TARGET_{key.upper()}_LINKER": compiler,
        f"CC_{key}": compiler,
    }
    command = [
        cargo_tools.program("cargo-auditable"),
        *"auditable build --release --locked".split(),
    ]
    command += ["--bin", "registry-sts", "--target", target, "--target-dir", BUILD]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr)
    if done.returncode != 0:
        raise SetupError(f"cargo auditable build for {target} failed (exit {done.returncode})")
    return BUILD / target / "release" / "registry-sts"


def _metadata(target: str) -> dict:
    command = "cargo metadata --locked --format-version 1 --filter-platform"
    return json.loads(_printed(*command.split(), target))


def _installed(target: str) -> Path:
    """Where Rust has its libraries for a target."""
    sysroot = Path(_printed("rustc", "--print", "sysroot").strip())
    return sysroot / "lib" / "rustlib" / target / "lib"


def _libraries(target: str) -> list[Other]:
    """What Rust itself puts into every binary."""
    rust = _printed("rustc", "--version").split()[1]
    # With LLVM's libunwind.
    terms = "(MIT OR Apache-2.0) AND (Apache-2.0 WITH LLVM-exception)"
    std = Other("library", "generic", "rust-std", rust, terms, "by the Rust and LLVM projects")
    if target.endswith("-gnu"):
        version = _printed("ldd", "--version").split("\n")[0].split()[-1]
        by = "Copyright © Free Software Foundation, Inc."
        return [std, Other("library", "generic", "glibc", version, "LGPL-2.1-or-later", by)]
    libc = (_installed(target) / "self-contained" / "libc.a").read_bytes()
    [musl] = re.findall(rb"\0(\d+\.\d+\.\d+)\0", libc)
    by = "Copyright © 2005-2020 Rich Felker, et al."
    return [std, Other("library", "generic", "musl", musl.decode(), "MIT", by)]


def _certificates() -> tuple[bytes, Other]:
    """Mozilla's authorities as certifi has them, and which certifi it is.

    Not those of the machine: somebody may have added their own to these.
    """
    pins = HERE / "requirements.txt"
    folder = CACHE / "image" / hashlib.sha256(pins.read_bytes()).hexdigest()[:16]
    if not list(folder.glob("*.whl")):
        command = [
            str(venv.ensure()),
            *"-I -m pip download --quiet --disable-pip-version-check".split(),
        ]
        command += "--no-deps --require-hashes --only-binary=:all:".split()
        command += ["-d", str(folder), "-r", str(pins)]
        if subprocess.run(command, stdout=sys.stderr).returncode != 0:
            raise SetupError("pip cannot get certifi")
    [wheel] = folder.glob("certifi-*.whl")
    certifi = Other("data", "pypi", "certifi", wheel.name.split("-")[1], "MPL-2.0", "from Mozilla")
    return zipfile.ZipFile(wheel).read("certifi/cacert.pem"), certifi


def _lay_out(rootfs: Path, files: dict[str, bytes], created: int) -> None:
    shutil.rmtree(rootfs, ignore_errors=True)
    rootfs.mkdir(parents=True)
    for name, content in files.items():
        path = rootfs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if name == "registry-sts" else 0o644)
    for path in sorted(rootfs.rglob("*"), reverse=True):
        if path.is_dir():
            path.chmod(0o755)
        os.utime(path, (created, created))


def main() -> None:
    parser = argparse.ArgumentParser(description="Builds target/image/registry-sts.oci.tar.")
    parser.add_argument(
        "--arch",
        action="append",
        choices=sorted(ARCHITECTURES),
        help="repeat it for several [this machine's]",
    )
    parser.add_argument(
        "--allow-glibc", action="store_true", help="where Rust has no musl, link glibc: for tests, not for releases"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="where it all goes [target/image]")
    given = parser.parse_args()
    mine = [name for name, machine in ARCHITECTURES.items() if machine == platform.machine()]
    with locked(BUILD / "lock", "building the image"):
        print(image(sorted(set(given.arch or mine)), given.out, given.allow_glibc))


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit(f"image: {error}")
