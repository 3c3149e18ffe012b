"""Answers one JSON request per line on stdin with one JSON reply per line on stdout."""

import contextlib
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from calls import AwsError

if TYPE_CHECKING:
    from up import ControlPlane

WORKERS = 16
_writing = threading.Lock()


def write(reply: dict[str, Any]) -> None:
    # The other end may have gone; end of file on stdin is what ends us then.
    with _writing, contextlib.suppress(OSError):
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


def serve(plane: "ControlPlane") -> None:
    """Returns at the end of stdin, without waiting for requests still under way."""
    pool = ThreadPoolExecutor(WORKERS)
    try:
        while line := sys.stdin.buffer.readline():
            if line.strip():
                pool.submit(_reply, plane, line)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _reply(plane: "ControlPlane", line: bytes) -> None:
    request: Any = None
    try:
        request = json.loads(line)
        reply = _answer(plane, request)
    except AwsError as error:
        told = {"code": error.code, "message": error.message, "status": error.status}
        reply = {"error": told}
    except Exception as error:  # whatever it is, the caller waits for a reply
        reply = {"error": {"code": type(error).__name__, "message": str(error)}}
    identity = request.get("id") if isinstance(request, dict) else None
    write({"id": identity} | reply)


def _answer(plane: "ControlPlane", request: dict[str, Any]) -> dict[str, Any]:
    match request:
        case {"service": service, "call": call}:
            who, at = request.get("as"), request.get("at", "aws")
            return {"ok": plane.aws(service, call, request.get("args"), who, at)}
        case {"rgw": "start"}:
            return {"ok": plane.start_rgw()}
        case {"rgw": "create-user", "args": arguments}:
            return {"ok": plane.create_rgw_user(**arguments)}
        case {"controllers": "start"}:
            return {"ok": plane.start_controllers()}
        case {"kube": method, "path": path}:
            status, body = plane.kube(
                method,
                path,
                request.get("body"),
                request.get("content_type"),
                request.get("token"),
            )
            return {"status": status, "body": body}
        case {"peer": "start-recording"}:
            plane.start_recording()
            return {"ok": {}}
        case {"peer": "stop-recording"}:
            plane.stop_recording()
            return {"ok": {}}
        case {"peer": "recording"}:
            return {"ok": plane.recording()}
        case {"pause": name}:
            plane.pause(name)
            return {"ok": {}}
        case {"resume": name}:
            plane.resume(name)
            return {"ok": {}}
        case {"kill": "apiserver"}:
            plane.kill_apiserver()
            return {"ok": {}}
        case {"start": "apiserver"}:
            return {"ok": plane.start_apiserver()}
        case {"peer": "age", "args": arguments}:
            plane.age(**arguments)
            return {"ok": {}}
        case {"peer": "age-keys", "args": arguments}:
            plane.age_keys(**arguments)
            return {"ok": {}}
        case {"peer": "flap", "args": arguments}:
            plane.flap(**arguments)
            return {"ok": {}}
    raise ValueError("not a request, see README.md")
