"""What the slow steps share: progress lines, a file lock, and running a tool."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from processes import die_with_parent

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache"


class SetupError(Exception):
    """Something that the person who runs this has to know, in plain words."""


def say(message: str) -> None:
    # stdout belongs to the answers, so everything meant for a person is on stderr.
    with contextlib.suppress(OSError):
        print(f"controlplane: {message}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def ticking(what: str, every: float) -> Iterator[None]:
    """Says every so often that `what` is still going on, and for how long."""
    finished = threading.Event()
    began = time.monotonic()

    def tick() -> None:
        while not finished.wait(every):
            say(f"{what}: {time.monotonic() - began:.0f} s so far")

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


@contextlib.contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Holds a file lock, so that of two callers one works and the other waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with ticking(f"waiting for another process that is {what}", 15):
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run_tool(command: list[str], what: str, cwd: Path, env: dict[str, str] | None = None) -> None:
    """Runs a build step; on failure shows the end of what it printed."""
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    try:
        with ticking(what, 15):
            output, _ = process.communicate()
    except BaseException:
        # Interrupted: the tool runs its own children, hence the whole group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode != 0:
        tail = "\n".join(output.splitlines()[-30:])
        raise SetupError(f"{what} failed (exit {process.returncode}): {' '.join(command)}\n{tail}")
    say(f"{what}: done in {time.monotonic() - began:.0f} s")
