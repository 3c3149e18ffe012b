"""Where the demo plays: requests to the API server, manifests, and the operator's process."""

import base64
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from processes import Child, stop_children
from screen import NotSeen, Screen, expect
from up import ControlPlane

ROOT = Path(__file__).resolve().parent.parent
MANIFESTS = ROOT / "demo" / "manifests"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
BINARY = Path(os.environ.get("REGISTRY_STS") or TARGET / "debug" / "registry-sts").resolve()
LOG = TARGET / "demo" / "registry-sts.log"
WAIT_SECONDS = 60.0
POLL_SECONDS = 0.05
# Long enough for KEEP=1: nothing renews it.
TOKEN_SECONDS = 24 * 3600
OPERATOR_GRACE_SECONDS = 6.0

Found = TypeVar("Found")


def manifests(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


[STORAGE] = manifests(MANIFESTS / "quaystorage.yaml")
[BUNDLE] = manifests(MANIFESTS / "config-bundle.yaml")
[KEY_SECRET] = manifests(MANIFESTS / "quay-user.yaml")
[LOCATION] = STORAGE["spec"]["locations"]
ROLE_ARN, BUCKET = LOCATION["roleArn"], LOCATION["bucket"]
ROLE = ROLE_ARN.rpartition("/")[2]
USER = "quay-user"
# The least that Quay needs of S3.
# s3:HeadBucket is an action to the peer only; to AWS it is s3:ListBucket.
BUCKET_ACTIONS = [
    "s3:ListBucket",
    "s3:HeadBucket",
    "s3:GetBucketLocation",
    "s3:ListBucketMultipartUploads",
]
BLOB_ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]


class Stage:
    """The control plane, the AWS peer and, once started, the operator."""

    def __init__(self, plane: ControlPlane, screen: Screen) -> None:
        self.plane = plane
        self.screen = screen
        self.operator: Child | None = None

    def kube(
        self, method: str, path: str, body: Any = None, content_type: str | None = None
    ) -> dict[str, Any]:
        """One request as admin that has to succeed."""
        status, answer = self.plane.kube(method, path, body, content_type)
        message = answer.get("message") if isinstance(answer, dict) else answer
        expect(
            status in (200, 201), f"success of {method} {path}", f"HTTP {status}: {message}"
        )
        return answer

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        """Server-side apply, as `kubectl apply --server-side --force-conflicts` does it."""
        path = path_of(document) + "?fieldManager=demo&force=true"
        return self.kube("PATCH", path, document, "application/apply-patch+yaml")

    def wait(self, what: str, look: Callable[[], tuple[Found | None, str]]) -> Found:
        """Polls until `look` finds something; it also says what is there instead."""
        deadline = time.monotonic() + WAIT_SECONDS
        with self.screen.waiting(what):
            while True:
                found, instead = look()
                if found is not None:
                    return found
                if self.operator is not None and self.operator.exited():
                    code = self.operator.process.returncode
                    raise NotSeen(what, f"that the operator had ended with exit code {code}")
                if time.monotonic() > deadline:
                    raise NotSeen(f"{what} within {WAIT_SECONDS:.0f} s", instead)
                time.sleep(POLL_SECONDS)

    def wait_established(self, name: str, api: str) -> None:
        """Until the CRD is established and its API is served."""

        def look() -> tuple[bool | None, str]:
            crd = self.kube(
                "GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
            )
            conditions = condition_map(crd)
            established = conditions.get("Established", {}).get("status") == "True"
            served = established and self.plane.kube("GET", f"/apis/{api}")[0] == 200
            return served or None, ", ".join(sorted(conditions)) or "no condition"

        self.wait(f"CRD {name} Established", look)

    def wait_ready(self, path: str, status: str, reason: str | None = None) -> dict[str, Any]:
        """Until the resource is Ready as given, for its present generation; returns it."""

        def look() -> tuple[dict[str, Any] | None, str]:
            resource = self.kube("GET", path)
            ready = condition_map(resource).get("Ready", {})
            current = (
                (resource.get("status") or {}).get("observedGeneration")
                == resource["metadata"]["generation"]
            )
            matches = ready.get("status") == status and reason in (None, ready.get("reason"))
            instead = (
                f"Ready={ready.get('status')} {ready.get('reason')}: {ready.get('message')}"
                if ready
                else "no condition Ready"
            )
            return resource if current and matches else None, instead

        return self.wait(f"Ready={status}" + (f" {reason}" if reason else ""), look)

    def events(self) -> list[dict[str, Any]]:
        """The Events about the resource, oldest first."""
        items = self.kube("GET", "/apis/events.k8s.io/v1/namespaces/quay/events")["items"]
        about = [e for e in items if e["regarding"]["name"] == STORAGE["metadata"]["name"]]
        return sorted(about, key=lambda event: event["eventTime"])

    def wait_events(self, wanted: dict[str, int]) -> list[dict[str, Any]]:
        """Until there are so many of each reason; they are written after the status."""

        def look() -> tuple[list[dict[str, Any]] | None, str]:
            events = self.events()
            counts: dict[str, int] = {}
            for event in events:
                counts[event["reason"]] = counts.get(event["reason"], 0) + repeats(event)
            return (events if counts == wanted else None), str(counts)

        return self.wait(f"Events {wanted}", look)

    def config(self) -> tuple[str, str]:
        """The bundle's resourceVersion and its config.yaml."""
        secret = self.kube("GET", path_of(BUNDLE))
        expect(
            list(secret["data"]) == ["config.yaml"], "config.yaml alone", list(secret["data"])
        )
        text = base64.b64decode(secret["data"]["config.yaml"]).decode()
        return secret["metadata"]["resourceVersion"], text

    def make_role(self) -> dict[str, str]:
        """The user, the role, the bucket; returns the user's access key."""
        user = self.plane.aws("iam", "create_user", {"UserName": USER})["User"]["Arn"]
        trust = allowing({"Action": "sts:AssumeRole", "Principal": {"AWS": user}})
        made = {"RoleName": ROLE, "AssumeRolePolicyDocument": trust}
        role = self.plane.aws("iam", "create_role", made)["Role"]["Arn"]
        expect(role == ROLE_ARN, f"the role {ROLE_ARN}", role)
        bucket, path = f"arn:aws:s3:::{BUCKET}", LOCATION["storagePath"]
        use_bucket = {
            "RoleName": ROLE,
            "PolicyName": "use-bucket",
            "PolicyDocument": allowing(
                {"Action": BUCKET_ACTIONS, "Resource": bucket},
                {"Action": BLOB_ACTIONS, "Resource": f"{bucket}{path}/*"},
            ),
        }
        self.plane.aws("iam", "put_role_policy", use_bucket)
        assume_role = {
            "UserName": USER,
            "PolicyName": "assume-role",
            "PolicyDocument": allowing({"Action": "sts:AssumeRole", "Resource": ROLE_ARN}),
        }
        self.plane.aws("iam", "put_user_policy", assume_role)
        self.plane.aws("s3", "create_bucket", {"Bucket": BUCKET})
        return self.make_key()

    def make_key(self) -> dict[str, str]:
        """Another access key of the user, as the key Secret spells it."""
        key = self.plane.aws("iam", "create_access_key", {"UserName": USER})["AccessKey"]
        self.screen.keep_secret(key["AccessKeyId"], key["SecretAccessKey"])
        return {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }

    def start_operator(self, service_account: str) -> None:
        """As the ServiceAccount that deploy/rbac makes, with its rights and no others."""
        expect(os.access(BINARY, os.X_OK), f"the operator at {BINARY} (cargo build)", "nothing")
        namespace, name = service_account.split("/")
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_SECONDS},
        }
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        token = self.kube("POST", path, request)["status"]["token"]
        self.screen.keep_secret(token, self.plane.info["admin_token"])
        kubeconfig = Path(self.plane.info["dir"]) / "operator.kubeconfig"
        self._write_kubeconfig(kubeconfig, token)
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": self.plane.info["dir"],
            "KUBECONFIG": str(kubeconfig),
            "AWS_ENDPOINT_URL": self.plane.info["aws"],
        }
        if "RUST_LOG" in os.environ:
            environment["RUST_LOG"] = os.environ["RUST_LOG"]
        LOG.parent.mkdir(parents=True, exist_ok=True)
        LOG.unlink(missing_ok=True)
        self.operator = Child("registry-sts", [BINARY, "run", "--no-leader-election"], LOG, environment)

    def stop_operator(self) -> None:
        if self.operator is not None:
            stop_children([self.operator], OPERATOR_GRACE_SECONDS)

    def _write_kubeconfig(self, path: Path, token: str) -> None:
        cluster = {
            "server": self.plane.info["server"],
            "certificate-authority": self.plane.info["ca_file"],
        }
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "demo", "cluster": cluster}],
            "users": [{"name": "registry-sts", "user": {"token": token}}],
            "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": "registry-sts"}}],
            "current-context": "demo",
        }
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(kubeconfig, file)


def allowing(*statements: dict[str, Any]) -> str:
    """An IAM policy document."""
    allowed = [{"Effect": "Allow"} | statement for statement in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})


def path_of(document: dict[str, Any]) -> str:
    """Where the API server has an object. Every kind here has a regular plural."""
    version, metadata = document["apiVersion"], document["metadata"]
    prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
    if "namespace" in metadata:
        prefix += f"/namespaces/{metadata['namespace']}"
    kind = document["kind"].lower()
    plural = kind[:-1] + "ies" if kind.endswith("y") else kind + "s"
    return f"{prefix}/{plural}/{metadata['name']}"


def condition_map(resource: dict[str, Any]) -> dict[str, dict[str, str]]:
    conditions = (resource.get("status") or {}).get("conditions") or []
    return {condition["type"]: condition for condition in conditions}


def repeats(event: dict[str, Any]) -> int:
    return (event.get("series") or {}).get("count", 1)


def shown(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
