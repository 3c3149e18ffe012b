"""Removes a control plane's data directory when its owner could not.

Started by up.py with a pipe as stdin. Each line is the pid of a process that up.py
started, or `done`. End of file without `done` means that up.py was killed: the
processes named so far are killed, and the directory given as argument is removed.
"""

import contextlib
import os
import shutil
import signal
import sys
import time


def main() -> None:
    directory = sys.argv[1]
    # A pidfd stays bound to the process, so that a pid used again later is not hit.
    handles: list[int] = []
    for line in sys.stdin:
        if line.strip() == "done":
            return
        with contextlib.suppress(OSError, AttributeError):
            handles.append(os.pidfd_open(int(line)))
    for handle in handles:
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    # A process that is still ending may yet create a file: try for a while.
    for _ in range(50):
        shutil.rmtree(directory, ignore_errors=True)
        if not os.path.exists(directory):
            return
        time.sleep(0.1)


if __name__ == "__main__":
    main()
