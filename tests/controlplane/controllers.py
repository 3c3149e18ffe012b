"""kube-controller-manager, with the controllers that some tests need.

Started on demand: not every run needs it, and its program takes a minute to build.
"""

import http.client
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import build
from cluster import HOST, Cluster, ready_or_stopped, retried
from on_demand import OnDemand
from processes import Child, free_port

NAMES = (
    "namespace-controller",
    "garbage-collector-controller",
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "clusterrole-aggregation-controller",
)


class Controllers:
    def __init__(
        self, directory: Path, cluster: Cluster, started: Callable[[Child], None]
    ) -> None:
        self.directory = directory / "controllers"
        self._cluster = cluster
        self._on_demand = OnDemand("controllers", started)
        self._child: Child | None = None

    def start(self) -> dict[str, Any]:
        """Its pid; starts it if nobody has yet. Raises SetupError when it cannot be."""
        return self._on_demand.start(self._start)

    def stop_starting(self) -> None:
        self._on_demand.stop_starting()

    def pause(self) -> None:
        self._running().pause()

    def resume(self) -> None:
        self._running().resume()

    def _running(self) -> Child:
        self._on_demand.require_started()
        assert self._child is not None
        return self._child

    def _start(self) -> dict[str, Any]:
        program = build.controller_manager()
        self.directory.mkdir(exist_ok=True)
        self._child = retried(lambda: self._start_with(program))
        return {"pids": {self._child.name: self._child.pid}}

    def _start_with(self, program: Path) -> Child:
        # Its own, since a caller may change the other one, to have another namespace say.
        kubeconfig = self.directory / "kubeconfig"
        self._cluster.write_kubeconfig(kubeconfig)
        port = free_port()
        command = [
            program,
            f"--kubeconfig={kubeconfig}",
            f"--controllers={','.join(NAMES)}",
            "--leader-elect=false",
            f"--bind-address={HOST}",
            f"--secure-port={port}",
            f"--cert-dir={self.directory / 'certs'}",
            # Else many namespaces that end together wait for each other.
            "--kube-api-qps=1000",
            "--kube-api-burst=1000",
        ]
        name = build.CONTROLLER_MANAGER
        log = self.directory / f"{name}.log"
        child = self._on_demand.launch(name, command, log, self._cluster.environment)
        ready_or_stopped(child, lambda: _runs_controllers(port))
        return child


def _runs_controllers(port: int) -> bool:
    # It made its certificate itself, and what is asked for is known to everybody.
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(HOST, port, timeout=2, context=trusting)
    try:
        connection.request("GET", "/healthz?verbose")
        response = connection.getresponse()
        shown = response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    # It is healthy before it has any controllers.
    return response.status == 200 and all(f"[+]{name} ok" in shown for name in NAMES)
