"""What is started only once somebody asks for it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from processes import Child
from progress import SetupError


class NotStarted(Exception):
    """Nobody has asked for it yet, or it could not be started."""


class OnDemand:
    """Starts its servers once, however many ask for them at the same time."""

    def __init__(self, name: str, started: Callable[[Child], None]) -> None:
        self._name = name
        self._started = started  # told of each process as soon as it runs
        self._stopping = False
        self._starting = threading.Lock()
        self._launching = threading.Lock()
        self._future: Future[dict[str, Any]] | None = None
        # The kernel kills a process when the thread that started it ends: this one stays.
        self._keeper = ThreadPoolExecutor(1, name)

    def start(self, start: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What `start` says; it runs unless it does or did already, again after it failed."""
        with self._starting:
            failed = self._future and self._future.done() and self._future.exception()
            if self._future is None or failed:
                self._future = self._keeper.submit(start)
            future = self._future
        return future.result()

    def launch(
        self, name: str, command: list[str | Path], log: Path, environment: dict[str, str]
    ) -> Child:
        """A process, from within `start`."""
        with self._launching:
            if self._stopping:
                raise SetupError("the control plane is stopping")
            child = Child(name, command, log, environment)
            self._started(child)
        return child

    def stop_starting(self) -> None:
        """From here on no process is started; those that run are the caller's to end."""
        with self._launching:
            self._stopping = True
        self._keeper.shutdown(wait=False, cancel_futures=True)

    def require_started(self) -> None:
        future = self._future
        if future is None or not future.done() or future.exception():
            raise NotStarted(f'ask {{"{self._name}":"start"}} first')
