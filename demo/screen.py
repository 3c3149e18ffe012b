"""What the demo shows: lines, progress, diffs with every secret masked, and failures."""

import contextlib
import difflib
import os
import re
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import yaml

WIDTH = 100
FIRST_PROGRESS_SECONDS = 2.0
PROGRESS_SECONDS = 5.0
STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
# Generous: a value too many that is masked harms nobody.
SECRET_NAME = r"[\w.-]*(?:SECRET|PASSWORD|PASSWD|KEY|URI|TOKEN|CREDENTIAL|AUTH)[\w.-]*"
SECRET_VALUE = re.compile(rf"""(?P<name>["']?{SECRET_NAME}["']?\s*:\s+)(?P<value>\S.*)""", re.I)
TOP_LEVEL = re.compile(r"""["']?([A-Za-z_][\w.-]*)["']?\s*:""")


class NotSeen(Exception):
    """Something that was to be seen was not."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}; found {found}")
        self.expected = expected
        self.found = found


def expect(holds: bool, expected: str, found: object) -> None:
    if not holds:
        raise NotSeen(expected, str(found))


class Screen:
    """Prints to stdout, and refuses a line with a known secret in it."""

    def __init__(self) -> None:
        sys.stdout.reconfigure(errors="replace")  # a terminal need not speak UTF-8
        self.terminal = sys.stdout.isatty()
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self._coloured = self.terminal and not plain
        self._secrets: set[str] = set()
        self._masks: dict[str, int] = {}

    def keep_secret(self, *values: str) -> None:
        self._secrets.update(values)

    def secrets_in(self, text: str) -> int:
        return sum(secret in text for secret in self._secrets)

    def style(self, text: str, *styles: str) -> str:
        if not (self._coloured and styles):
            return text
        return f"\033[{';'.join(STYLES[style] for style in styles)}m{text}\033[0m"

    def say(self, text: str = "", *styles: str) -> None:
        expect(not self.secrets_in(text), "no secret in what the demo prints", "a line with one")
        print("\n".join(self.style(line, *styles) for line in text.split("\n")), flush=True)

    def act(self, number: int, title: str) -> None:
        self.say()
        self.say(f"Act {number}: {title}", "bold")

    def step(self, text: str) -> None:
        self.say(f"  {text}")

    def seen(self, text: str) -> None:
        self.say(f"  {self.style('seen:', 'green')} {text}")

    def wrapped(self, text: str) -> None:
        self.say(textwrap.fill(text, WIDTH, initial_indent="    ", subsequent_indent="    "))

    def problem(self, text: str) -> None:
        """On stderr, with secrets blotted out: whatever went wrong, it can be shown."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "********")
        print(text, file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Says after a while that `what` is still awaited, and for how long."""
        finished = threading.Event()
        began = time.monotonic()
        # On a terminal one line, written over and cleared; else a line each time.
        start, end = ("\r\033[K", "") if self.terminal else ("", "\n")

        def tick() -> None:
            pause = FIRST_PROGRESS_SECONDS
            while not finished.wait(pause):
                seconds = time.monotonic() - began
                print(f"{start}  ... {what}: {seconds:.0f} s so far", end=end, flush=True)
                pause = 1.0 if self.terminal else PROGRESS_SECONDS

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield
        finally:
            finished.set()
            thread.join()
            if self.terminal:
                print(start, end="", flush=True)

    def diff(self, before: str, after: str) -> None:
        """The unified diff without context; each hunk names the top-level key that it is in."""
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
        for line in list(lines)[2:]:  # without the two lines for file names
            if line.startswith("@@"):
                first = int(re.findall(r"\+(\d+)", line)[0])
                self.say(f"    {line} {top_level_key(after.splitlines(), first - 1)}", "cyan")
            else:
                self.say(f"    {self.masked(line)}", "green" if line[0] == "+" else "red")

    def masked(self, line: str) -> str:
        """The line with a secret's value replaced by a number: the same for the same value."""

        def mask(found: re.Match[str]) -> str:
            number = self._masks.setdefault(found["value"].strip("\"' "), len(self._masks) + 1)
            return f"{found['name']}<masked #{number}>"

        return SECRET_VALUE.sub(mask, line)

    def conditions(self, conditions: list[dict[str, str]]) -> None:
        colours = {"True": "green", "False": "red"}
        for condition in conditions:
            status = condition["status"]
            # What is abnormal when true is there only while it is true.
            abnormal = condition["type"] in ("Reconciling", "Stalled")
            colour = "yellow" if abnormal else colours.get(status, "yellow")
            shown = self.style(f"{status:8}", colour)
            self.say(f"    {condition['type']:14} {shown} {condition['reason']}")


def top_level_key(lines: list[str], index: int) -> str:
    """The top-level key of config.yaml that a line belongs to."""
    for line in reversed(lines[: index + 1]):
        if found := TOP_LEVEL.match(line):
            return found[1]
    return ""


def changed_lines(before: str, after: str) -> list[tuple[str, list[str], list[str]]]:
    """What differs: the top-level key, the lines that went, the lines that came."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    changes = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag != "equal":
            # A change that spans two keys names both.
            keys = {top_level_key(new, j) for j in range(j1, j2)}
            keys |= {top_level_key(old, i) for i in range(i1, i2)}
            changes.append((" and ".join(sorted(keys)), old[i1:i2], new[j1:j2]))
    return changes


def secret_values(config: str) -> set[str]:
    """The values in a config.yaml that nobody is to see, by their keys' names."""
    found: set[str] = set()

    def look(node: object, secret: bool) -> None:
        match node:
            case dict():
                for key, value in node.items():
                    look(value, secret or re.fullmatch(SECRET_NAME, str(key), re.I) is not None)
            case list():
                for value in node:
                    look(value, secret)
            case str() if secret and len(node) >= 6:
                found.add(node)
                found.add((urlsplit(node).password if "://" in node else None) or node)

    look(yaml.safe_load(config), False)
    return found
