"""Runs the AWS-protocol server (moto) on a loopback port and writes that port to a file.

moto's own command wants to be told a port; binding port 0 here instead means that no
other process can take the port first.
"""

import os
import sys
from pathlib import Path

# Python runs this with -I, which leaves its folder out. Last, lest venv.py be taken for venv.
sys.path.append(str(Path(__file__).resolve().parent))

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

import flaps
import iam_enforcement
import iam_entities
from peer_requests import WithPeerRequests


def main() -> None:
    port_file = Path(sys.argv[1])
    iam_enforcement.install()
    flaps.install()
    iam_entities.install()
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server(
        "127.0.0.1",
        0,
        WithPeerRequests(application),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
    # moto calls itself for a few services, and finds itself by this.
    os.environ["MOTO_PORT"] = str(server.port)
    unfinished = port_file.with_suffix(".unfinished")
    unfinished.write_text(str(server.port))
    unfinished.rename(port_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
