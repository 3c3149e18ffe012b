"""etcd and kube-apiserver: starting them, and raw requests to the API server."""

import http.client
import json
import os
import secrets
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from build import APISERVER, ETCD
from issuer import HOST, Issuer
from processes import Child, free_port, stop_children
from progress import SetupError, ticking

READY_SECONDS = 60.0
ATTEMPTS = 3
PORT_TAKEN = "address already in use"

AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
"""

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
  - name: test
    cluster:
      server: {server}
      certificate-authority: {ca_file}
users:
  - name: admin
    user:
      token: {token}
contexts:
  - name: admin
    context: {{cluster: test, user: admin}}
current-context: admin
"""


def wait_until(child: Child, ready: Callable[[], bool]) -> None:
    """Waits for `ready`; fails at once when the process ends, with its last words."""
    deadline = time.monotonic() + READY_SECONDS
    with ticking(f"starting {child.name}", 2):
        while True:
            # In this order: an answer counts only if it is our process that gave it,
            # and not another one that holds the port that ours failed to get.
            answered = ready()
            if child.exited():
                raise SetupError(f"{child.name} ended at once, its log ends:\n{child.tail()}")
            if answered:
                return
            if time.monotonic() > deadline:
                raise SetupError(
                    f"{child.name} not ready in {READY_SECONDS:.0f} s, log ends:\n{child.tail()}"
                )
            time.sleep(0.05)


def ready_or_stopped(child: Child, ready: Callable[[], bool]) -> None:
    """Waits until `ready`; else stops the process, and keeps its log for itself."""
    try:
        wait_until(child, ready)
    except SetupError:
        stop_children([child])
        child.log.rename(child.log.with_suffix(f".{child.pid}.log"))
        raise


def retried(start: Callable[[], Child]) -> Child:
    """A free port can be taken by another process before ours binds it."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return start()
        except SetupError as error:
            if attempt == ATTEMPTS or PORT_TAKEN not in str(error):
                raise
    raise AssertionError("unreachable")


class Cluster:
    """One etcd and one kube-apiserver on loopback ports, with all files in `directory`."""

    def __init__(
        self, directory: Path, assets: Path, issuer: Issuer, started: Callable[[Child], None]
    ) -> None:
        self.directory = directory
        self.assets = assets
        self.issuer = issuer
        self._started = started  # told of each process as soon as it runs
        self.admin_token = secrets.token_hex(16)
        self.ca_file = directory / "ca.crt"
        self.kubeconfig = directory / "kubeconfig"
        self.audit_log = directory / "audit.log"
        self.environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(directory)}
        self._launching = threading.Lock()
        self._stopping = False
        # The kernel kills a process when the thread that started it ends: this one stays.
        self._keeper = ThreadPoolExecutor(1, "apiserver")

    def start(self) -> None:
        self._write_inputs()
        self.etcd = retried(self._start_etcd)
        self.apiserver = retried(self._start_apiserver_anywhere)
        self.write_kubeconfig(self.kubeconfig)

    def kill_apiserver(self) -> None:
        """Ends it without a chance to finish anything; its port and its data stay its own."""
        self.apiserver.process.kill()
        self.apiserver.process.wait()

    def start_apiserver_again(self) -> Child:
        """Starts it where it was, after it was killed."""
        if not self.apiserver.exited():
            raise SetupError(f"{self.apiserver.name} runs")
        started = self._keeper.submit(retried, self._start_apiserver)
        self.apiserver = started.result()
        return self.apiserver

    def stop_starting(self) -> None:
        """From here on no process is started; those that run are the caller's to end."""
        with self._launching:
            self._stopping = True
        self._keeper.shutdown(wait=False, cancel_futures=True)

    def write_kubeconfig(self, path: Path) -> None:
        """The admin's."""
        path.write_text(
            KUBECONFIG.format(server=self.server, ca_file=self.ca_file, token=self.admin_token)
        )

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str | None = None,
        token: str | None = None,
        timeout: float = 30,
    ) -> tuple[int, Any]:
        """One request, as admin unless `token` is given; JSON comes back decoded."""
        connection = http.client.HTTPSConnection(
            HOST, self.port, timeout=timeout, context=self._tls
        )
        headers = {
            "Authorization": f"Bearer {token or self.admin_token}",
            "Accept": "application/json",
        }
        content = None
        if body is not None:
            content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            headers["Content-Type"] = content_type or _content_type(method)
        try:
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        finally:
            connection.close()
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text

    def _start_etcd(self) -> Child:
        port = free_port()
        self.etcd_url = f"http://{HOST}:{port}"
        name = f"etcd-{secrets.token_hex(4)}"
        command = [
            self.assets / ETCD,
            f"--name={name}",
            f"--data-dir={self.directory / name}",
            f"--listen-client-urls={self.etcd_url}",
            f"--advertise-client-urls={self.etcd_url}",
            # It has no peers: any port will do, and nobody needs to know it.
            f"--listen-peer-urls=http://{HOST}:0",
            f"--initial-advertise-peer-urls=http://{HOST}:0",
            f"--initial-cluster={name}=http://{HOST}:0",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

        def ready() -> bool:
            # The member's name tells ours from an etcd that another run started.
            connection = http.client.HTTPConnection(HOST, port, timeout=2)
            try:
                connection.request("POST", "/v3/cluster/member/list", b"{}")
                return name in connection.getresponse().read().decode()
            except (OSError, http.client.HTTPException):
                return False
            finally:
                connection.close()

        return self._run("etcd", command, ready)

    def _start_apiserver_anywhere(self) -> Child:
        self.port = free_port()
        self.server = f"https://{HOST}:{self.port}"
        return self._start_apiserver()

    def _start_apiserver(self) -> Child:
        command = [
            self.assets / APISERVER,
            f"--etcd-servers={self.etcd_url}",
            f"--bind-address={HOST}",
            f"--advertise-address={HOST}",
            f"--secure-port={self.port}",
            f"--cert-dir={self.directory / 'certs'}",
            "--service-cluster-ip-range=10.0.0.0/24",
            # A loopback address is not valid in the endpoints of its own service.
            "--endpoint-reconciler-type=none",
            f"--service-account-issuer={self.issuer.url}",
            f"--service-account-jwks-uri={self.issuer.keys_url}",
            f"--service-account-key-file={self.issuer.key_file}",
            f"--service-account-signing-key-file={self.issuer.key_file}",
            f"--token-auth-file={self.directory / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            f"--audit-policy-file={self.directory / 'audit-policy.yaml'}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking",
            "--audit-log-maxsize=100000",
        ]
        return self._run("kube-apiserver", command, self._apiserver_ready)

    def _run(self, name: str, command: list[Any], ready: Callable[[], bool]) -> Child:
        with self._launching:
            if self._stopping:
                raise SetupError("the control plane is stopping")
            child = Child(name, command, self.directory / f"{name}.log", self.environment)
            self._started(child)
        ready_or_stopped(child, ready)
        return child

    def _apiserver_ready(self) -> bool:
        served = self.directory / "certs" / "apiserver.crt"
        try:
            # The file that kube-apiserver makes holds its own certificate and then the
            # CA's. Clients get only the CA: some refuse one certificate as both.
            certificates = served.read_text().split("-----BEGIN CERTIFICATE-----\n")[1:]
            if len(certificates) != 2:
                return False
            self.ca_file.write_text("-----BEGIN CERTIFICATE-----\n" + certificates[1])
            self._tls = ssl.create_default_context(cafile=str(self.ca_file))
            return self.request("GET", "/readyz", timeout=2) == (200, "ok")
        except (OSError, http.client.HTTPException):
            return False

    def _write_inputs(self) -> None:
        (self.directory / "audit-policy.yaml").write_text(AUDIT_POLICY)
        (self.directory / "tokens.csv").write_text(
            f'{self.admin_token},admin,admin,"system:masters"\n'
        )


def _content_type(method: str) -> str:
    return "application/merge-patch+json" if method == "PATCH" else "application/json"
