"""The second AWS-protocol peer: Ceph's radosgw with one monitor and one OSD in memory.

Started on demand, since not every machine has Ceph, and not every run needs it.
"""

import base64
import http.client
import json
import os
import secrets
import shutil
import struct
import time
import urllib.parse
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from calls import REGION, AwsError, Caller
from cluster import ATTEMPTS, HOST, PORT_TAKEN, wait_until
from issuer import Issuer
from on_demand import OnDemand
from processes import Child, free_port, stop_children
from progress import SetupError

PROGRAMS = ("ceph-mon", "ceph-osd", "ceph", "radosgw", "radosgw-admin")
INSTALL = "apt-get install --no-install-recommends ceph-mon ceph-osd radosgw ceph-common"
# A tenant is to radosgw what an account is to AWS, in ARNs too.
ACCOUNT = "123456789012"
SETUP_USER = f"{ACCOUNT}$setup-admin"
SETUP_CAPS = "roles=*;oidc-provider=*;users=*;user-policy=*;buckets=*"
TOOL_SECONDS = 30.0

CONFIG = """\
[global]
fsid = {fsid}
mon host = [v2:{host}:{mon_port}/0]
ms bind msgr1 = false
# Once, not thrice with 5 s between: a port that is taken is another's.
ms bind retry count = 1
public addr = {host}
cluster addr = {host}
keyring = {directory}/keyring
run dir = {directory}
crash dir = {directory}
# No files and sockets outside of the directory: these have defaults in /var.
admin socket =
pid file =
log file =
mon cluster log file = /dev/null
debug rocksdb = 0
log to stderr = true
err to stderr = true
# One OSD with everything in memory.
osd objectstore = memstore
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon max pg per osd = 1000
# A monitor waits that long before it takes each of the many changes at the start.
paxos propose interval = 0.02
paxos min wait = 0.01
# Nothing of note is stored: a disk that is nearly full is no reason not to start.
mon data avail crit = 0
mon data avail warn = 0

[mon.a]
mon data = {directory}/mon
public addrv = [v2:{host}:{mon_port}/0]

[osd.0]
osd data = {directory}/osd

[client.rgw]
rgw data = {directory}/rgw
rgw frontends = beast endpoint={host}:{port}
rgw enable apis = s3, sts, iam, admin
rgw s3 auth use sts = true
rgw s3 auth order = local, sts
rgw sts key = {sts_key}
# The HTTPS server of the issuer signed its certificate itself.
rgw verify ssl = false
# Else it refuses what asks for AES256, the way it is asked without TLS.
rgw crypt require ssl = false
"""

CAPS = {
    "mon.": {"mon": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *"},
    "client.rgw": {"mon": "allow rw", "osd": "allow rwx"},
}


class Rgw:
    def __init__(self, directory: Path, issuer: Issuer, started: Callable[[Child], None]) -> None:
        self.directory = directory
        self._issuer = issuer
        self._on_demand = OnDemand("rgw", started)
        self._servers: dict[str, Child] = {}

    def start(self) -> dict[str, Any]:
        """Where it is; starts it if nobody has yet. Raises AwsError when it cannot be."""
        return self._on_demand.start(self._start)

    def stop_starting(self) -> None:
        self._on_demand.stop_starting()

    def call(
        self,
        service: str,
        method: str,
        arguments: dict[str, Any] | None = None,
        credentials: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """One boto3 call, as the set-up user unless other credentials are given."""
        caller = self._ready()._caller
        return caller.call(service, method, arguments, credentials or self.setup_key)

    def create_user(self, uid: str, caps: str = "") -> dict[str, str]:
        """A user with one key; `caps` are radosgw's own rights, such as "roles=*"."""
        parameters = {"uid": f"{ACCOUNT}${uid}", "display-name": uid}
        if caps:
            parameters["user-caps"] = caps
        key = self._ready()._admin("PUT", "/admin/user", parameters)["keys"][0]
        return {
            "access_key": key["access_key"],
            "secret_key": key["secret_key"],
            "arn": f"arn:aws:iam::{ACCOUNT}:user/{uid}",
        }

    def pause(self) -> None:
        self._ready()._servers["radosgw"].pause()

    def resume(self) -> None:
        self._ready()._servers["radosgw"].resume()

    def _ready(self) -> "Rgw":
        self._on_demand.require_started()
        return self

    def _start(self) -> dict[str, Any]:
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
        if missing:
            told = f"radosgw cannot be started without {', '.join(missing)}: {INSTALL}"
            raise AwsError("NotInstalled", told)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._start_in(self.directory / f"rgw-{attempt}")
                break
            except SetupError as error:
                stop_children(self._servers.values())
                if attempt == ATTEMPTS or PORT_TAKEN not in str(error).lower():
                    raise
        return {
            "url": self.url,
            "issuer_url": self._issuer.url,
            "thumbprint": self._issuer.thumbprint,
            "setup_key": self.setup_key,
            "pids": {name: child.pid for name, child in self._servers.items()},
        }

    def _start_in(self, directory: Path) -> None:
        self._home = directory
        self._servers = {}
        for name in ("mon", "osd", "rgw"):
            (directory / name).mkdir(parents=True)
        port = free_port()
        fsid, osd = uuid.uuid4(), uuid.uuid4()
        self._config = directory / "ceph.conf"
        self._config.write_text(
            CONFIG.format(
                fsid=fsid,
                host=HOST,
                mon_port=free_port(),
                port=port,
                directory=directory,
                sts_key=secrets.token_hex(8),
            )
        )
        keyring = directory / "keyring"
        keyring.touch(0o600)
        keyring.write_text("".join(_keyring_entry(name, caps) for name, caps in CAPS.items()))

        self._tool("ceph-mon", "--mkfs", "--id=a", f"--keyring={keyring}")
        self._server("ceph-mon", "--id=a")
        # Waits until the monitor answers; it read the OSD's key from the keyring already.
        self._tool("ceph", f"--connect-timeout={TOOL_SECONDS:.0f}", "osd", "new", str(osd), "0")
        self._tool("ceph-osd", "--mkfs", "--id=0", f"--osd-uuid={osd}")
        self._server("ceph-osd", "--id=0")
        key = {"access_key": secrets.token_hex(10).upper(), "secret_key": secrets.token_hex(20)}
        self._tool(
            "radosgw-admin", "--name=client.rgw", "user", "create",
            f"--uid={SETUP_USER}", f"--display-name={SETUP_USER}", f"--caps={SETUP_CAPS}",
            f"--access-key={key['access_key']}", f"--secret-key={key['secret_key']}",
        )  # fmt: skip
        self.setup_key = key
        self.url = f"http://{HOST}:{port}"
        self._caller = Caller(
            self.url,
            _spell_spaces,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        # Only ours knows the key, should another process hold the port.
        wait_until(self._server("radosgw", "--name=client.rgw"), self._answers)

    def _answers(self) -> bool:
        try:
            return bool(self._admin("GET", "/admin/user", {"uid": SETUP_USER}, timeout=2))
        except (AwsError, OSError, http.client.HTTPException):
            return False

    def _server(self, program: str, *arguments: str) -> Child:
        child = self._launch(program, program, "--foreground", *arguments)
        self._servers[program] = child
        return child

    def _tool(self, program: str, *arguments: str) -> None:
        child = self._launch(f"{program}-tool", program, *arguments)
        deadline = time.monotonic() + TOOL_SECONDS
        while not child.exited():
            # A server that has ended is the reason why a tool gets no answer.
            ended = [server for server in self._servers.values() if server.exited()]
            late = time.monotonic() > deadline
            if ended or late:
                stop_children([child])
                log = (ended or [child])[0]
                raise SetupError(f"{log.name} failed, its log ends:\n{log.tail()}")
            time.sleep(0.01)
        if child.process.returncode != 0:
            raise SetupError(f"{program} failed, its log ends:\n{child.tail()}")

    def _launch(self, name: str, program: str, *arguments: str) -> Child:
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self._home)}
        command = [program, f"--conf={self._config}", *arguments]
        return self._on_demand.launch(name, command, self._home / f"{name}.log", environment)

    def _admin(
        self, method: str, path: str, parameters: dict[str, str], timeout: float = 30
    ) -> Any:
        """One call of radosgw's own API for users, which is quicker than radosgw-admin."""
        url = f"{self.url}{path}?{urllib.parse.urlencode(parameters)}"
        request = botocore.awsrequest.AWSRequest(method, url)
        key = botocore.credentials.Credentials(*self.setup_key.values())
        botocore.auth.S3SigV4Auth(key, "s3", REGION).add_auth(request)
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(HOST, parts.port, timeout=timeout)
        try:
            connection.request(method, f"{path}?{parts.query}", headers=dict(request.headers))
            response = connection.getresponse()
            answer = json.loads(response.read() or b"{}")
        finally:
            connection.close()
        if response.status != 200:
            raise AwsError(answer.get("Code", "Unknown"), json.dumps(answer), response.status)
        return answer


def _spell_spaces(request: Any, **_: Any) -> None:
    """A form's spaces as %20: radosgw takes a + for a plus, also in a policy document.

    Only here: moto checks the signature of the form as it would have written it, with +.
    """
    if isinstance(request.data, dict):
        request.data = urllib.parse.urlencode(request.data, quote_via=urllib.parse.quote)


def _keyring_entry(name: str, caps: dict[str, str]) -> str:
    """A section with a new AES key: type 1, no creation time, 16 bytes."""
    key = base64.b64encode(struct.pack("<hIIh", 1, 0, 0, 16) + secrets.token_bytes(16)).decode()
    lines = [f'\tcaps {service} = "{allowed}"' for service, allowed in caps.items()]
    return "\n".join([f"[{name}]", f"\tkey = {key}", *lines, ""])
