#!/usr/bin/env python3
"""Builds the fuzz targets and runs each for a bounded time; see README.md.

Nothing is needed but the stable toolchain and a C++ compiler: libFuzzer comes with
libfuzzer-sys, and LLVM's coverage pass with rustc.
"""

import argparse
import contextlib
import ctypes
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit(f"fuzz: Python 3.11 or newer is needed, this is {sys.version.split()[0]}")

import tomllib

HERE = Path(__file__).resolve().parent
WORK = HERE / ".work"
BUILD = WORK / "target"
TARGETS = ("edit", "role_arn")

# What makes rustc count edges and watch comparisons, as libFuzzer wants it.
COVERAGE = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Cforce-frame-pointers=yes",
    "--cfg=fuzzing",
]
# Bounds of one input; every run of a target has them, a repeated one too.
BOUNDS = ["-timeout=10", "-rss_limit_mb=2048"]

PULSE = re.compile(r"^#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)/(\S+).* exec/s: (\d+)")
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Failure(Exception):
    """What the person who runs this has to know, in plain words."""


def say(message: str) -> None:
    print(f"fuzz: {message}", file=sys.stderr, flush=True)


def main() -> None:
    args = arguments()
    check_versions()
    build()
    if args.input:
        reproduce(args.target, args.input)
        return
    failures = []
    for target in [args.target] if args.target else TARGETS:
        try:
            fuzz(target, args.seconds)
        except Failure as failure:
            say(str(failure))
            failures.append(target)
    if failures:
        raise Failure(f"failed: {', '.join(failures)}")
    say("no crash")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fuzz for a bounded time, or repeat one input.")
    parser.add_argument("target", nargs="?", choices=TARGETS, help="one target instead of all")
    parser.add_argument("input", nargs="?", type=Path, help="run just this input")
    parser.add_argument(
        "--seconds",
        type=int,
        default=os.environ.get("FUZZ_SECONDS", "60"),
        help="how long each target runs (FUZZ_SECONDS, or 60)",
    )
    args = parser.parse_args()
    if args.seconds < 1:
        parser.error("a target runs for one second or more")
    if args.input and not args.input.is_file():
        parser.error(f"no such file: {args.input}")
    return args


def check_versions() -> None:
    """Another version of the YAML parser would be another program that is fuzzed."""
    fuzzed, real = (_locked(path) for path in (HERE / "Cargo.lock", HERE.parent / "Cargo.lock"))
    manifest = tomllib.loads((HERE / "Cargo.toml").read_text())
    for name, given in manifest["dependencies"].items():
        package = given.get("package", name) if isinstance(given, dict) else name
        if package != "libfuzzer-sys" and not fuzzed[package] <= real.get(package, set()):
            raise Failure(
                f"{package} is {_list(fuzzed[package])} here and {_list(real.get(package))} in the"
                " project: cp Cargo.lock fuzz/Cargo.lock, then cargo metadata in fuzz/"
            )


def _locked(path: Path) -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for package in tomllib.loads(path.read_text())["package"]:
        versions.setdefault(package["name"], set()).add(package["version"])
    return versions


def _list(versions: set[str] | None) -> str:
    return " and ".join(sorted(versions or {"missing"}))


def build() -> None:
    began = time.monotonic()
    say("building (a minute or two at the first time)")
    # With --target, build scripts and macros are built without the coverage pass.
    command = ["cargo", "build", "--release", "--locked", "--bins", "--target", _host()]
    flags = {"CARGO_ENCODED_RUSTFLAGS": "\x1f".join(COVERAGE)}
    done = subprocess.run([*command, "--target-dir", BUILD], cwd=HERE, env=os.environ | flags)
    if done.returncode != 0:
        raise Failure("the build failed")
    say(f"built in {time.monotonic() - began:.0f} s")


def _host() -> str:
    try:
        told = subprocess.run(["rustc", "-vV"], cwd=HERE, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failure(f"rustc does not tell its host: {error}") from error
    return next(line for line in told.stdout.splitlines() if line.startswith("host: "))[6:]


def binary(target: str) -> Path:
    return BUILD / _host() / "release" / target


def fuzz(target: str, seconds: int) -> None:
    """Runs one target. What it finds is kept in .work/ and taken up by the next run."""
    work = WORK / target
    found, crashes, log, last = (work / name for name in ("corpus", "crashes", "log", "last"))
    for directory in (found, crashes):
        directory.mkdir(parents=True, exist_ok=True)
    began = time.time()
    command = [
        binary(target),
        found,
        HERE / "corpus" / target,
        f"-dict={HERE / target}.dict",
        f"-max_total_time={seconds}",
        "-max_len=4096",
        "-print_final_stats=1",
        f"-artifact_prefix={crashes}/",
        *BOUNDS,
    ]
    say(f"{target}: {seconds} s; its output is in {log}")
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            cwd=work,
            env=os.environ | {"FUZZ_LAST_INPUT": str(last)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            preexec_fn=_die_with_parent,
        )
        try:
            status = _watch(target, process, log)
        finally:
            process.kill()
            process.wait()
    if status != 0:
        _tell(target, status, began, work)
    say(f"{target}: {_figures(log)}")


def _watch(target: str, process: subprocess.Popen, log: Path) -> int:
    """Shows every ten seconds how far it is, until it ends."""
    while True:
        try:
            return process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            say(f"{target}: {_figures(log)}")


def _figures(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    pulse = next(filter(None, map(PULSE.match, reversed(lines))), None)
    if not pulse:
        return "reading its corpus"
    runs, edges, features, inputs, size, speed = pulse.groups()
    return f"{runs} runs, {speed}/s; {edges} edges, {features} features; corpus {inputs} ({size})"


def _tell(target: str, status: int, began: float, work: Path) -> None:
    """Fails with the input that did it, and how to run it again."""
    lines = (work / "log").read_text(errors="replace").splitlines()
    sys.stderr.write("\n".join(lines[-40:]) + "\n")
    saved = [path for path in (work / "crashes").iterdir() if path.stat().st_mtime >= began - 1]
    saved = [path for path in saved if not path.name.startswith("slow-unit-")]
    found = max(saved, key=lambda path: path.stat().st_mtime) if saved else _last_input(work)
    again = f"python3 {sys.argv[0]} {target} {found}"
    raise Failure(f"{target}: ended with {status} on {found}\nfuzz: repeat it with: {again}")


def _last_input(work: Path) -> Path:
    """The input that was being run, where an overflow of the stack kept libFuzzer from saving it."""
    noted = (work / "last").read_bytes()
    data = noted[8 : 8 + int.from_bytes(noted[:8], "little")]
    path = work / "crashes" / f"crash-{hashlib.sha1(data).hexdigest()}"
    path.write_bytes(data)
    return path


def reproduce(target: str, path: Path) -> None:
    done = subprocess.run([binary(target), *BOUNDS, path.resolve()], cwd=WORK)
    if done.returncode != 0:
        raise Failure(f"{target}: fails on {path}")
    say(f"{target}: {path} passes")


def _die_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        try:
            main()
        except Failure as failure:
            sys.exit(f"fuzz: {failure}")
        sys.exit(0)
    sys.exit("fuzz: interrupted")
