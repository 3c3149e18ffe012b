"""Writes images as an archive of the OCI image layout.

One index for all architectures, one layer each. Nothing in it depends on when, where or by
whom it is written. (Of the gzip'ed layer that holds with the same zlib; its diff_id, the hash
of what was compressed, depends on nothing.)
"""

import dataclasses
import datetime
import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

USER = "65532:65532"
ENTRYPOINT = ["/registry-sts"]
TYPE = "application/vnd.oci.image"


@dataclasses.dataclass
class Image:
    """What one architecture has."""

    architecture: str
    rootfs: Path


def timestamp(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write(path: Path, name: str, labels: dict[str, str], created: int, images: list[Image]) -> str:
    """Writes the archive of the image called `name`; the digest of its index."""
    blobs: dict[str, bytes] = {}

    def blob(kind: str, content: bytes) -> dict:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": f"{TYPE}.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    manifests = []
    for image in images:
        layer = _layer(image.rootfs, created)
        config = {
            "created": timestamp(created),
            "architecture": image.architecture,
            "os": "linux",
            "config": {"User": USER, "Entrypoint": ENTRYPOINT, "WorkingDir": "/", "Labels": labels},
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"],
            },
            "history": [{"created": timestamp(created), "created_by": "deploy/image/build.py"}],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{TYPE}.manifest.v1+json",
            "config": blob("config.v1+json", _json(config)),
            "layers": [blob("layer.v1.tar+gzip", gzip.compress(layer, 9, mtime=0))],
            "annotations": labels,
        }
        where = {"architecture": image.architecture, "os": "linux"}
        manifests.append(blob("manifest.v1+json", _json(manifest)) | {"platform": where})
    head = {"schemaVersion": 2, "mediaType": f"{TYPE}.index.v1+json"}
    index = blob("index.v1+json", _json(head | {"manifests": manifests, "annotations": labels}))
    # By the first name podman and skopeo find it in the archive, by the second containerd.
    names = {
        "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1],
        "io.containerd.image.name": name,
    }
    files = dict(sorted(blobs.items()))
    files["index.json"] = _json(head | {"manifests": [index | {"annotations": names}]})
    files["oci-layout"] = _json({"imageLayoutVersion": "1.0.0"})

    unfinished = path.with_suffix(".unfinished")
    with tarfile.open(unfinished, "w", format=tarfile.USTAR_FORMAT) as archive:
        for member, content in files.items():
            _add(archive, member, content, 0o644, created)
    unfinished.rename(path)
    return index["digest"]


def _json(value: dict) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _layer(rootfs: Path, created: int) -> bytes:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(rootfs.rglob("*")):
            content = None if path.is_dir() else path.read_bytes()
            mode = path.stat().st_mode & 0o777
            _add(archive, str(path.relative_to(rootfs)), content, mode, created)
    return layer.getvalue()


def _add(
    archive: tarfile.TarFile, name: str, content: bytes | None, mode: int, created: int
) -> None:
    """A file, or a directory if there is no content; of root, as everything in an image is."""
    member = tarfile.TarInfo(name)
    member.mode, member.mtime = mode, created
    if content is None:
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    else:
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
