"""The run that the picture shows: registries that are well, and some that are not."""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(1, str(ROOT / "tests" / "controlplane"))

from processes import Child, free_port, stop_children  # noqa: E402

BINARY = Path(os.environ.get("REGISTRY_STS") or ROOT / "target" / "debug" / "registry-sts").resolve()
PROMETHEUS = os.environ.get("PROMETHEUS", "prometheus")
SECONDS = 180
# What Grafana makes of $__rate_interval where a scrape is made each second.
RATE_INTERVAL = "15s"
ALL_OF_A_BUCKET = ["s3:*"]
ALL_BUT_PUT = [
    "s3:ListBucket", "s3:HeadBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads",
    "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload",
]  # fmt: skip
ELSEWHERE = """\
DISTRIBUTED_STORAGE_CONFIG:
  default:
    - S3Storage
    - {s3_bucket: of-old, storage_path: /datastorage, s3_region: us-east-1, s3_access_key: k, s3_secret_key: s}
DISTRIBUTED_STORAGE_PREFERENCE: [default]
"""


class Plane:
    """The control plane of tests/controlplane, by its requests."""

    def __init__(self) -> None:
        command = [sys.executable, str(ROOT / "tests" / "controlplane" / "up.py")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.info = json.loads(self.process.stdout.readline())

    def ask(self, **request: Any) -> dict[str, Any]:
        self.process.stdin.write(json.dumps({"id": 1} | request) + "\n")
        self.process.stdin.flush()
        reply = json.loads(self.process.stdout.readline())
        if "error" in reply or reply.get("status", 200) >= 300:
            raise RuntimeError(f"{request}: {reply}")
        return reply.get("ok", reply.get("body"))

    def aws(self, service: str, call: str, **arguments: Any) -> dict[str, Any]:
        return self.ask(service=service, call=call, args=arguments)

    def apply(self, document: dict[str, Any]) -> None:
        path = path_of(document) + "?fieldManager=picture&force=true"
        self.ask(kube="PATCH", path=path, body=document, content_type="application/apply-patch+yaml")

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def path_of(document: dict[str, Any]) -> str:
    """Where the API server has an object."""
    version, metadata, kind = document["apiVersion"], document["metadata"], document["kind"].lower()
    prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
    if "namespace" in metadata:
        prefix += f"/namespaces/{metadata['namespace']}"
    plural = kind[:-1] + "ies" if kind.endswith("y") else kind + "s"
    return f"{prefix}/{plural}/{metadata['name']}"


def allowing(*actions: str, on: list[str]) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": on}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Registry:
    """A QuayStorage with all that it refers to."""

    def __init__(self, plane: Plane, namespace: str, name: str = "example") -> None:
        self.plane, self.namespace, self.name = plane, namespace, name
        self.user = f"{namespace}-{name}"

    def make(self, actions: list[str] = ALL_OF_A_BUCKET, config: str = "{}\n") -> None:
        plane, user = self.plane, self.user
        arn = plane.aws("iam", "create_user", UserName=user)["User"]["Arn"]
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": arn}}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        role = plane.aws("iam", "create_role", RoleName=user, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        may_assume = allowing("sts:AssumeRole", on=[role])
        plane.aws("iam", "put_user_policy", UserName=user, PolicyName="assume", PolicyDocument=may_assume)
        bucket = f"arn:aws:s3:::{user}"
        may_use = allowing(*actions, on=[bucket, f"{bucket}/*"])
        plane.aws("iam", "put_role_policy", RoleName=user, PolicyName="use", PolicyDocument=may_use)
        plane.aws("s3", "create_bucket", Bucket=user)
        plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        grant = {"name": "registry-sts-bundle", "namespace": self.namespace}
        rbac = "rbac.authorization.k8s.io"
        plane.apply({
            "apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": grant,
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "registry-sts-bundle"},
            "subjects": [{"kind": "ServiceAccount", "name": "registry-sts", "namespace": "registry-sts"}],
        })  # fmt: skip
        self.secret("bundle", {"config.yaml": config})
        self.rotate()
        location = {"name": "default", "roleArn": role, "bucket": user, "region": "us-east-1"}
        location["auth"] = {"accessKey": {"secretRef": {"name": f"{self.name}-user"}}}
        spec = {"configBundleSecret": f"{self.name}-bundle", "locations": [location]}
        spec["verification"] = {"interval": "5m"}
        plane.apply(self.resource() | {"spec": spec})

    def resource(self) -> dict[str, Any]:
        metadata = {"name": self.name, "namespace": self.namespace}
        return {"apiVersion": "registry-sts.dev/v1alpha1", "kind": "QuayStorage", "metadata": metadata}

    def secret(self, name: str, values: dict[str, str]) -> None:
        metadata = {"name": f"{self.name}-{name}", "namespace": self.namespace}
        self.plane.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values})

    def rotate(self) -> dict[str, str]:
        key = self.plane.aws("iam", "create_access_key", UserName=self.user)["AccessKey"]
        key = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        self.secret("user", key)
        return key

    def prove_anew(self) -> None:
        asked = {"metadata": {"annotations": {"registry-sts.dev/proveAt": str(time.time())}}}
        self.plane.ask(kube="PATCH", path=path_of(self.resource()), body=asked)


def start_operator(plane: Plane, name: str, port: int, folder: Path) -> Child:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    path = "/api/v1/namespaces/registry-sts/serviceaccounts/registry-sts/token"
    token = plane.ask(kube="POST", path=path, body=request)["status"]["token"]
    cluster = {"server": plane.info["server"], "certificate-authority": plane.info["ca_file"]}
    kubeconfig = folder / f"{name}.kubeconfig"
    kubeconfig.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": cluster}], "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "registry-sts"}}],
    }))  # fmt: skip
    environment = {"KUBECONFIG": str(kubeconfig), "AWS_ENDPOINT_URL": plane.info["aws"], "HOSTNAME": name}
    command = [BINARY, "run", "--metrics-address", f"127.0.0.1:{port}"]
    return Child(name, command, folder / f"{name}.log", environment)


class Prometheus:
    """A real one, which scrapes each second."""

    def __init__(self, targets: dict[str, int], folder: Path) -> None:
        port = free_port()
        of_targets = [
            {"targets": [f"127.0.0.1:{at}"], "labels": {"pod": name, "namespace": "registry-sts"}}
            for name, at in targets.items()
        ]
        rules = yaml.safe_load((ROOT / "deploy" / "monitoring" / "rules.yaml").read_text())["spec"]
        (folder / "rules.json").write_text(json.dumps(rules))
        job = {"job_name": "registry-sts", "honor_labels": True, "static_configs": of_targets}
        every = {"scrape_interval": "1s", "evaluation_interval": "5s"}
        config = {"global": every, "rule_files": ["rules.json"], "scrape_configs": [job]}
        (folder / "prometheus.json").write_text(json.dumps(config))
        command = [
            PROMETHEUS, "--config.file=prometheus.json", "--storage.tsdb.path=tsdb",
            f"--web.listen-address=127.0.0.1:{port}",
        ]  # fmt: skip
        self.url = f"http://127.0.0.1:{port}/api/v1"
        self.process = Child("prometheus", command, folder / "prometheus.log", {"PATH": os.environ["PATH"]})

    def get(self, path: str, **query: Any) -> Any:
        with urllib.request.urlopen(f"{self.url}/{path}?{urllib.parse.urlencode(query)}") as answer:
            return json.load(answer)["data"]

    def answers(self, panel: dict[str, Any], began: float, ended: float) -> list[dict[str, Any]]:
        found = []
        for target in panel["targets"]:
            expr = target["expr"].replace("$__rate_interval", RATE_INTERVAL).replace("$namespace", ".*")
            if target.get("instant"):
                data = self.get("query", query=expr, time=ended)
            else:
                data = self.get("query_range", query=expr, start=began, end=ended, step=1)
            found.append(data["result"])
        return found


def play(plane: Plane, operators: list[Child], began: float) -> None:
    """What happens when, in seconds since the beginning."""
    made = [Registry(plane, f"quay{end}") for end in ("", "-eu", "-ci")] + [Registry(plane, "quay", "mirror")]
    well, eu = list(made), made[1]
    refused, elsewhere, late = (Registry(plane, f"quay-{end}") for end in ("staging", "old", "us"))
    key: dict[str, str] = {}

    def mistype() -> None:
        key.update(eu.rotate())
        eu.secret("user", key | {"AWS_SECRET_ACCESS_KEY": key["AWS_SECRET_ACCESS_KEY"][::-1]})

    def fall_silent() -> None:
        plane.ask(pause="aws")
        for registry in well:
            registry.prove_anew()

    happenings = [(5 + 6 * number, registry.make) for number, registry in enumerate(made)]
    happenings += [
        (32, lambda: refused.make(ALL_BUT_PUT)),
        (42, lambda: elsewhere.make(config=ELSEWHERE)),
        (52, lambda: (late.make(), well.append(late))),
        (68, mistype),
        (88, lambda: eu.secret("user", key)),
        (105, fall_silent),
        (135, lambda: plane.ask(resume="aws")),
        (155, lambda: leader(operators).process.terminate()),
    ]
    # So that there is something to be seen between these.
    quiet = [at for at in range(60, 175, 3) if not 100 < at < 140]
    happenings += [(at, registry.prove_anew) for at, registry in zip(quiet, itertools.cycle(made))]
    for at, happens in sorted(happenings, key=lambda happening: happening[0]):
        time.sleep(max(0.0, began + at - time.time()))
        happens()
    time.sleep(max(0.0, began + SECONDS - time.time()))


def leader(operators: list[Child]) -> Child:
    return next(operator for operator in operators if "leading" in operator.log.read_text())


def run(panels: list[dict[str, Any]]) -> dict[str, Any]:
    """What Prometheus answers to each panel's expressions at the end of the run."""
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory()))
        plane = Plane()
        ending.callback(plane.stop)
        build = [sys.executable, str(ROOT / "tests" / "tools" / "build.py"), "kustomize"]
        kustomize = subprocess.run(build, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        default = subprocess.run([kustomize, "build", ROOT / "deploy" / "default"], check=True, stdout=subprocess.PIPE)
        for document in yaml.safe_load_all(default.stdout):
            plane.apply(document)
        ports = {f"registry-sts-{number}": free_port() for number in range(2)}
        operators = []
        ending.callback(stop_children, operators)
        for name, port in ports.items():
            operators.append(start_operator(plane, name, port, folder))
        prometheus = Prometheus(ports, folder)
        ending.callback(stop_children, [prometheus.process])
        began = time.time()
        play(plane, operators, began)
        ended = began + SECONDS
        broken = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"] if rule["health"] != "ok"]
        if broken:
            raise RuntimeError(f"rules that Prometheus cannot evaluate: {broken}")
        answers = {str(panel["id"]): prometheus.answers(panel, began, ended) for panel in panels}
        return {"began": began, "ended": ended, "answers": answers}
