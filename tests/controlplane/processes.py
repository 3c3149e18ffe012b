"""Child processes that never outlive the process that started them."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

# Here, since every script imports this first, and an older Python stumbles over the rest.
if sys.version_info < (3, 11):
    sys.exit(f"controlplane: Python 3.11 or newer is needed, this is {sys.version.split()[0]}")

PR_SET_PDEATHSIG = 1
# Loaded here, and not in the child: between fork and exec little is safe to do.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """For `preexec_fn`: have the kernel kill this child when its parent dies.

    It is the parent *thread* that counts, so children are to be started from a
    thread that lives as long as they should: the main thread.
    """
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    """A loopback port that was free a moment ago (so callers retry)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Child:
    """One server process with its output in a log file."""

    def __init__(
        self, name: str, command: Sequence[str | Path], log: Path, env: dict[str, str]
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                cwd=log.parent,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Its own session, so that Ctrl-C reaches only us and we stop it in order.
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def exited(self) -> bool:
        return self.process.poll() is not None

    def tail(self, lines: int = 25) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        # The stop is not immediate; a caller may rely on it once it is answered.
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            if os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG) is not None:
                return
            time.sleep(0.005)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)


def stop_children(children: Iterable[Child], grace: float = 3.0) -> None:
    """Asks all of them to end, and kills those that have not after `grace` seconds."""
    children = list(children)
    for child in children:
        if not child.exited():
            child.process.terminate()
            child.resume()  # a paused process would not see the signal
    deadline = time.monotonic() + grace
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(max(0.0, deadline - time.monotonic()))
    for child in children:
        if not child.exited():
            child.process.kill()
        child.process.wait()
