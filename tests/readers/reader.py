"""Reads YAML as Quay does; one JSON line in, one JSON line out, until stdin ends. See README.md."""

import base64
import io
import json
import math
import sys

import yaml

# Beyond this a reader of JSON may round.
EXACT = 2**53


def key(value: object) -> str:
    """A mapping's key as a key of JSON."""
    shown = plain(value, ())
    if isinstance(shown, str):
        return shown
    return "!key " + json.dumps(shown, sort_keys=True)


def plain(value: object, inside: tuple[int, ...]) -> object:
    """The value as JSON; what JSON does not know is a string that begins with its type: `!date 2024-01-01`."""
    if id(value) in inside:
        raise ValueError("a collection in itself")
    deeper = (*inside, id(value))
    match value:
        case None | bool():
            return value
        case str():
            return f"!str {value}" if value.startswith("!") else value
        case int():
            return value if abs(value) < EXACT else f"!int {value}"
        case float():
            return "!float nan" if math.isnan(value) else f"!float {value!r}"
        case list():
            return [plain(item, deeper) for item in value]
        case tuple():
            return {"!tuple": [plain(item, deeper) for item in value]}
        case set():
            return {"!set": sorted(key(item) for item in value)}
        case dict():
            return {key(name): plain(item, deeper) for name, item in value.items()}
        case bytes():
            return f"!binary {base64.b64encode(value).decode()}"
        case _:
            return f"!{type(value).__name__} {value}"


def read(document: bytes) -> object:
    # Quay opens the file as text.
    with io.TextIOWrapper(io.BytesIO(document), encoding="utf-8") as file:
        return plain(yaml.safe_load(file), ())


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        reply: dict[str, object] = {"id": request["id"]}
        try:
            reply["value"] = read(base64.b64decode(request["yaml"]))
        # Whatever PyYAML throws is what Quay would see; its constructors throw ValueError, KeyError and others.
        except Exception as error:
            reply["error"] = f"{type(error).__name__}: {error}"
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
