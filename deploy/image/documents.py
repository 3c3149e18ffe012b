"""What the image says of itself: its bill of materials, and the licences of what is in it.

Both go by the list of crates that cargo-auditable puts into the binary.
"""

import dataclasses
import json
import struct
import tomllib
import zlib
from pathlib import Path
from typing import Any

import oci
from progress import ROOT, SetupError

SECTION = ".dep-v0"
# How crates name the files that have to go with every copy.
LICENCES = ("LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE")


@dataclasses.dataclass
class Other:
    """What is in the image, and cargo does not know of."""

    kind: str
    registry: str
    name: str
    version: str
    expression: str
    holder: str


def crates(binary: Path, metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """What the binary says it was made of; `inside`, where code of it is in the binary.

    A macro and a build script, and what only these need, made something of the binary, and are
    not in it. The binary itself does not tell that apart, but cargo's `metadata` does.
    """
    section = _section(binary.read_bytes(), SECTION)
    if section is None:
        raise SetupError(f"{binary} has no section {SECTION}: it was not built by cargo auditable")
    found = json.loads(zlib.decompress(section))["packages"]
    known = _by_name(metadata)
    reached = [crate for crate in found if crate.get("root")]
    for crate in reached:
        crate["inside"] = True
        for index in crate.get("dependencies", []):
            needed = found[index]
            targets = known[needed["name"], needed["version"]]["targets"]
            makes = needed.get("kind") == "build" or any("proc-macro" in t["kind"] for t in targets)
            if not makes and needed not in reached:
                reached.append(needed)
    return found


def _section(elf: bytes, name: str) -> bytes | None:
    """The content of a section of an ELF file of 64 bits, little-endian."""
    if elf[:6] != b"\x7fELF\x02\x01":
        raise SetupError("the binary is no ELF file of 64 bits, little-endian")
    [table] = struct.unpack_from("<Q", elf, 0x28)
    size, count, names_index = struct.unpack_from("<HHH", elf, 0x3A)
    # Of each the offset of its name, where it is, and how long.
    headers = [struct.unpack_from("<I20xQQ", elf, table + size * index) for index in range(count)]
    _, names, _ = headers[names_index]
    for at, start, length in headers:
        if elf[names + at :].split(b"\0", 1)[0] == name.encode():
            return elf[start : start + length]
    return None


def sbom(
    crates: list[dict[str, Any]], metadata: dict[str, Any], others: list[Other], created: int
) -> bytes:
    """The bill of materials, in CycloneDX."""
    known = _by_name(metadata)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {(entry["name"], entry["version"]): entry.get("checksum") for entry in lock}
    components, dependencies, root = [], [], {}
    for crate in crates:
        component = _crate(crate, known[crate["name"], crate["version"]], checksums)
        if crate.get("root"):
            root = component | {"type": "application"}
        else:
            components.append(component)
        needs = sorted(_ref(crates[index]) for index in crate.get("dependencies", []))
        dependencies.append({"ref": component["bom-ref"], "dependsOn": needs})
    components += [_other(other) for other in others]
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"timestamp": oci.timestamp(created), "component": root},
        "components": sorted(components, key=lambda component: component["bom-ref"]),
        "dependencies": sorted(dependencies, key=lambda dependency: dependency["ref"]),
    }
    return json.dumps(bill, indent=1).encode() + b"\n"


def _crate(crate: dict[str, Any], package: dict[str, Any], checksums: dict) -> dict[str, Any]:
    component = {
        "type": "library",
        "bom-ref": _ref(crate),
        "name": crate["name"],
        "version": crate["version"],
        "scope": "required" if crate.get("inside") else "excluded",
        "licenses": [{"expression": _expression(package)}],
    }
    checksum = checksums[crate["name"], crate["version"]]
    if checksum:
        component["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        component["purl"] = "pkg:cargo/" + _ref(crate).replace("+", "%2B")
    return component


def _other(other: Other) -> dict[str, Any]:
    return {
        "type": other.kind,
        "bom-ref": f"{other.registry}:{other.name}@{other.version}",
        "name": other.name,
        "version": other.version,
        "licenses": [{"expression": other.expression}],
        "purl": f"pkg:{other.registry}/{other.name}@{other.version}",
    }


def _ref(crate: dict[str, Any]) -> str:
    return f"{crate['name']}@{crate['version']}"


def _by_name(metadata: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(package["name"], package["version"]): package for package in metadata["packages"]}


def _expression(package: dict[str, Any]) -> str:
    # Before there were expressions, a slash was an "or".
    return " OR ".join(part.strip() for part in package["license"].split("/"))


def notices(crates: list[dict[str, Any]], metadata: dict[str, Any], others: list[Other]) -> bytes:
    """The licences of what is in the image, each text of a crate once."""
    known = _by_name(metadata)
    users: dict[str, list[str]] = {}
    heads = [f"{one.name} {one.version}: {one.expression}; {one.holder}" for one in others]
    for crate in crates:
        if crate.get("root") or not crate.get("inside"):
            continue
        package = known[crate["name"], crate["version"]]
        heads.append(f"{crate['name']} {crate['version']}: {_expression(package)}")
        folder = Path(package["manifest_path"]).parent
        for file in sorted(folder.iterdir()):
            if file.is_file() and file.name.upper().startswith(LICENCES):
                text = file.read_text(errors="replace").replace("\r\n", "\n").strip()
                users.setdefault(text, []).append(f"{crate['name']} {crate['version']}")
    parts = ["registry-sts has this in it, under these licences:\n\n" + "\n".join(sorted(heads))]
    parts += sorted(f"Of {', '.join(sorted(set(of)))}:\n\n{text}" for text, of in users.items())
    return f"\n\n{'-' * 78}\n\n".join(parts).encode() + b"\n"
