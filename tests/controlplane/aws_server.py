"""Runs the AWS-protocol server (moto) on a loopback port and writes that port to a file.

moto's own command wants to be told a port; binding port 0 here instead means that no
other process can take the port first.
"""

import os
import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.s3.models import s3_backends
from werkzeug.serving import make_server

# Beside moto's own /moto-api, whose routes are fixed.
AGE_PATH = "/age"


class WithAge:
    """moto, which has no other way to make an object older than it is."""

    def __init__(self, moto: DomainDispatcherApplication) -> None:
        self._moto = moto

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ["PATH_INFO"] != AGE_PATH:
            return self._moto(environ, start_response)
        query = parse_qs(environ["QUERY_STRING"])
        bucket = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[query["bucket"][0]]
        for key in list(bucket.keys.values()):
            key.last_modified -= timedelta(seconds=int(query["seconds"][0]))
        start_response("200 OK", [])
        return [b""]


def main() -> None:
    port_file = Path(sys.argv[1])
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server(
        "127.0.0.1", 0, WithAge(application), threaded=True, request_handler=MotoRequestHandler
    )
    # moto calls itself for a few services, and finds itself by this.
    os.environ["MOTO_PORT"] = str(server.port)
    unfinished = port_file.with_suffix(".unfinished")
    unfinished.write_text(str(server.port))
    unfinished.rename(port_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
