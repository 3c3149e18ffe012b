"""Brings up one control plane and one AWS peer, and serves requests until stdin closes.

    python3 tests/controlplane/up.py

The first line on stdout says where everything is; README.md has the requests. From
Python, call `enter_venv()` first and use `ControlPlane` as a context manager.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import build
import venv
from processes import Child, stop_children
from progress import HERE, SetupError, say

if TYPE_CHECKING:
    from cluster import Cluster
    from controllers import Controllers
    from issuer import Issuer
    from rgw import Rgw

ENTERED = "REGISTRY_STS_CONTROLPLANE_VENV"


def enter_venv() -> None:
    """Builds what is missing, then runs this same command with .venv's Python."""
    build.assets()
    python = venv.ensure()
    if Path(sys.prefix).resolve() == venv.VENV.resolve():
        return
    if os.environ.get(ENTERED):
        raise SetupError(f"{python} does not run inside {venv.VENV}")
    sys.stdout.flush()
    os.execve(python, [str(python), *sys.orig_argv[1:]], os.environ | {ENTERED: "1"})


class ControlPlane:
    """etcd, kube-apiserver and the AWS peer; `info` says where they are.

    To be started from a thread that lives on, the main thread for one: the kernel
    kills the processes when the thread that started them ends.
    """

    info: dict[str, Any]

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._directory: Path | None = None
        self._reaper: subprocess.Popen[bytes] | None = None
        self._issuer: "Issuer | None" = None
        self._cluster: "Cluster | None" = None
        self._rgw: "Rgw | None" = None
        self._controllers: "Controllers | None" = None

    def __enter__(self) -> "ControlPlane":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        _forget_aws_settings()
        assets = build.assets()
        # Only now: these need the packages in .venv.
        from aws import ACCOUNT, AwsPeer
        from cluster import Cluster
        from controllers import Controllers
        from issuer import Issuer
        from rgw import Rgw

        self._directory = Path(tempfile.mkdtemp(prefix="registry-sts-")).resolve()
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", str(HERE / "reaper.py"), str(self._directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # it has to survive what kills us
        )
        self._peer = AwsPeer(self._directory)
        aws = self._peer.start(self._started)
        # Before the API server, which has to know its URL.
        self._issuer = Issuer(self._directory)
        self._cluster = Cluster(self._directory, assets, self._issuer, self._started)
        self._cluster.start()
        self._peer.finish()
        self._rgw = Rgw(self._directory, self._issuer, self._started)
        self._controllers = Controllers(self._directory, self._cluster, self._started)
        servers = {
            "aws": aws,
            "etcd": self._cluster.etcd,
            "apiserver": self._cluster.apiserver,
        }
        self._pausable: dict[str, Child | Rgw | Controllers] = {
            **servers,
            "rgw": self._rgw,
            "controllers": self._controllers,
        }
        self.info = {
            "server": self._cluster.server,
            "ca_file": str(self._cluster.ca_file),
            "admin_token": self._cluster.admin_token,
            "kubeconfig": str(self._cluster.kubeconfig),
            "audit_log": str(self._cluster.audit_log),
            "etcd": self._cluster.etcd_url,
            "aws": self._peer.url,
            "account": ACCOUNT,
            "issuer": self._issuer.url,
            "issuer_ca_file": str(self._issuer.ca_file),
            "dir": str(self._directory),
            "pids": {name: child.pid for name, child in servers.items()},
        }

    def stop(self) -> None:
        """Stops every process and removes the data directory; safe to call twice."""
        for starts_later in (self._rgw, self._controllers, self._cluster):
            if starts_later is not None:
                starts_later.stop_starting()
        # Newest first, and etcd once nothing needs it: kube-apiserver cannot end
        # in good order without it.
        servers = [child for child in self._children if child.name != "etcd"]
        stop_children(servers)
        stop_children(child for child in self._children if child.name == "etcd")
        self._children.clear()
        if self._issuer is not None:
            self._issuer.stop()
            self._issuer = None
        if self._directory is None:
            return
        shutil.rmtree(self._directory, ignore_errors=True)
        if self._reaper is not None:
            self._tell_reaper("done")
            self._reaper.wait()
        self._directory = None

    def aws(
        self,
        service: str,
        call: str,
        arguments: dict[str, Any] | None = None,
        credentials: dict[str, str] | None = None,
        at: str = "aws",
    ) -> dict[str, Any]:
        """A boto3 client method, at "aws" or "rgw"; raises calls.AwsError for an error answer."""
        peer = {"aws": self._peer, "rgw": self._rgw}[at]
        return peer.call(service, call, arguments, credentials)

    def start_rgw(self) -> dict[str, Any]:
        """Starts radosgw, unless it runs already, and says where it is."""
        return self._rgw.start()

    def create_rgw_user(self, uid: str, caps: str = "") -> dict[str, str]:
        """A user of radosgw: its keys, and its ARN as trust policies name it."""
        return self._rgw.create_user(uid, caps)

    def start_controllers(self) -> dict[str, Any]:
        """Starts kube-controller-manager, unless it runs already, and says its pid."""
        return self._controllers.start()

    def kube(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str | None = None,
        token: str | None = None,
    ) -> tuple[int, Any]:
        """A raw API server request: the status and the decoded body."""
        return self._cluster.request(method, path, body, content_type, token)

    def start_recording(self) -> None:
        self._peer.start_recording()

    def stop_recording(self) -> None:
        self._peer.stop_recording()

    def recording(self) -> list[dict[str, Any]]:
        return self._peer.recording()

    def pause(self, name: str) -> None:
        """Freezes "aws", "etcd", "apiserver", "rgw" or "controllers".

        A server accepts connections then, and is silent.
        """
        self._pausable[name].pause()

    def resume(self, name: str) -> None:
        self._pausable[name].resume()

    def kill_apiserver(self) -> None:
        """As when its machine loses power. etcd has what was written."""
        self._cluster.kill_apiserver()

    def start_apiserver(self) -> dict[str, Any]:
        """Starts it again after it was killed, on its port and with its data; says its pid."""
        child = self._cluster.start_apiserver_again()
        self._pausable["apiserver"] = child
        return {"pids": {"apiserver": child.pid}}

    def age(self, bucket: str, seconds: int) -> None:
        """Makes what is in a bucket of the AWS peer older."""
        self._peer.age(bucket, seconds)

    def age_keys(self, user: str, seconds: int, key: str | None = None) -> None:
        """Makes the access keys of an IAM user, or the one with that id, and their use older."""
        self._peer.age_keys(user, seconds, key)

    def flap(self, **what: Any) -> None:
        """Has the next IAM or STS calls that match answered with an error; see flaps.Flap."""
        self._peer.flap(**what)

    def _started(self, child: Child) -> None:
        self._children.append(child)
        self._tell_reaper(str(child.pid))

    def _tell_reaper(self, word: str) -> None:
        assert self._reaper is not None and self._reaper.stdin is not None
        with contextlib.suppress(OSError):
            self._reaper.stdin.write(f"{word}\n".encode())
            self._reaper.stdin.flush()


def _forget_aws_settings() -> None:
    """Nothing here may ever reach a real account, nor depend on a person's settings."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


def _interrupt(signum: int, frame: object) -> None:
    # Once: a second signal must not cut the stopping short.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise SystemExit(0)


def _watch_for_caller_death(serving: threading.Event) -> None:
    """Until requests are read, nobody would see that the other end of stdin closed."""
    main = threading.main_thread()

    def watch() -> None:
        poll = select.poll()
        poll.register(0, 0)  # a hang-up is reported always
        while not serving.is_set():
            if poll.poll(200):
                signal.pthread_kill(main.ident, signal.SIGTERM)
                return

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    serving = threading.Event()
    _watch_for_caller_death(serving)
    status = 0
    plane = ControlPlane()
    try:
        enter_venv()
        from serve import serve, write

        plane.start()
        write({"ready": True} | plane.info)
        serving.set()
        serve(plane)
    except SetupError as error:
        say(str(error))
        status = 1
    except Exception:
        traceback.print_exc()
        status = 1
    except SystemExit:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        plane.stop()
    # Not by returning: that would wait for requests that no server answers any more.
    os._exit(status)


if __name__ == "__main__":
    main()
