"""The main job, end to end, on a real API server and an AWS-protocol server.

    make demo           plays four acts and ends everything
    KEEP=1 make demo    leaves everything running afterwards, to look around

It needs Rust, Python 3.11 and, the first time, network access. Exit code 0 means that all
that was to be seen was seen. REGISTRY_STS names another binary; NO_COLOR is honoured.
"""

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "tests" / "controlplane"))

import up  # noqa: E402

if __name__ == "__main__":
    try:
        up.enter_venv()
    except up.SetupError as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit(130)

# Only now: these need the packages in .venv.
from screen import NotSeen, Screen, changed_lines, expect, secret_values  # noqa: E402
from stage import BINARY, LOG, MANIFESTS, ROOT, Stage, manifests, path_of  # noqa: E402

[STORAGE] = manifests(MANIFESTS / "quaystorage.yaml")
[BUNDLE] = manifests(MANIFESTS / "config-bundle.yaml")
[KEY_SECRET] = manifests(MANIFESTS / "quay-user.yaml")
[LOCATION] = STORAGE["spec"]["locations"]
ROLE_ARN, BUCKET = LOCATION["roleArn"], LOCATION["bucket"]
ROLE = ROLE_ARN.rpartition("/")[2]
USER = "quay-user"
CRD = "quaystorages.registry-sts.dev"
SERVICE_ACCOUNT = "registry-sts/registry-sts"
STORAGE_KEYS = {"DISTRIBUTED_STORAGE_CONFIG", "DISTRIBUTED_STORAGE_PREFERENCE"}
KEY_LINES = ["sts_user_access_key", "sts_user_secret_key"]
NOTE_WIDTH = 60
LOG_LINES = 15


def act_1(stage: Stage) -> dict[str, str]:
    """Everything that is there before anybody asks for anything; returns the access key."""
    screen, info = stage.screen, stage.plane.info
    version = stage.kube("GET", "/version")["gitVersion"]
    screen.step(f"kube-apiserver {version} with etcd at {info['server']}")
    screen.step(f"AWS peer (moto, checks keys and policies) at {info['aws']}")
    # By kind, for a binding or account may stand before the namespace that it is in.
    install = [
        document
        for folder in ("deploy/rbac", "crds")
        for path in sorted((ROOT / folder).glob("*.yaml"))
        for document in manifests(path)
    ]
    for document in sorted(install, key=lambda document: document["kind"] != "Namespace"):
        stage.apply(document)
    stage.wait_established(CRD, STORAGE["apiVersion"])
    screen.step(f"applied deploy/rbac and crds: {len(install)} objects, {CRD} is Established")
    for document in manifests(MANIFESTS / "namespace.yaml"):
        stage.apply(document)
    screen.step(f"namespace quay; its owner lets {SERVICE_ACCOUNT} at the Secrets there")
    key = make_role(stage)
    screen.step(f"IAM: user {USER} with a key, role {ROLE} that trusts it; S3: {BUCKET}")
    return key


def make_role(stage: Stage) -> dict[str, str]:
    """What procedure A makes by hand, with the least that Quay needs on the bucket."""
    user = stage.plane.aws("iam", "create_user", {"UserName": USER})["User"]["Arn"]
    key = make_key(stage)
    trust = allow("sts:AssumeRole", Principal={"AWS": user})
    arguments = {"RoleName": ROLE, "AssumeRolePolicyDocument": trust}
    role = stage.plane.aws("iam", "create_role", arguments)["Role"]["Arn"]
    expect(role == ROLE_ARN, f"the role {ROLE_ARN}", role)
    may_assume = {
        "UserName": USER,
        "PolicyName": f"assume-{ROLE}",
        "PolicyDocument": allow("sts:AssumeRole", Resource=ROLE_ARN),
    }
    stage.plane.aws("iam", "put_user_policy", may_assume)
    stage.plane.aws("s3", "create_bucket", {"Bucket": BUCKET})
    return key


def allow(action: str, **rest: Any) -> str:
    statement = {"Effect": "Allow", "Action": action} | rest
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def make_key(stage: Stage) -> dict[str, str]:
    made = stage.plane.aws("iam", "create_access_key", {"UserName": USER})["AccessKey"]
    stage.screen.keep_secret(made["AccessKeyId"], made["SecretAccessKey"])
    return {
        "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
    }


def config(stage: Stage) -> tuple[str, str]:
    """The bundle's resourceVersion and its config.yaml."""
    version, data = stage.secret(BUNDLE["metadata"]["name"])
    expect(list(data) == ["config.yaml"], "config.yaml alone in the bundle", list(data))
    return version, data["config.yaml"].decode()


def act_2(stage: Stage, key: dict[str, str]) -> str:
    """From nothing to a proven role in the bundle; returns the bundle's config.yaml."""
    screen = stage.screen
    before = BUNDLE["stringData"]["config.yaml"]
    screen.keep_secret(*secret_values(before))
    stage.plane.start_recording()
    stage.start_operator(SERVICE_ACCOUNT)
    screen.step(f"{BINARY.name} run, as ServiceAccount {SERVICE_ACCOUNT}; log: {shown(LOG)}")
    for document in (BUNDLE, KEY_SECRET | {"stringData": key}, STORAGE):
        stage.apply(document)
    began = time.monotonic()
    resource = stage.wait_ready(path_of(STORAGE), "True")
    seconds = time.monotonic() - began
    proofs = assumed(stage)
    screen.step(
        f"Ready=True after {seconds:.1f} s; AWS saw AssumeRole of {ROLE} (session quay): "
        f"{len(proofs)}. config.yaml:"
    )
    _, after = config(stage)
    screen.diff(before, after)
    screen.conditions(resource["status"]["conditions"])
    changes = changed_lines(before, after)
    for where, gone, _ in changes:
        expect(where in STORAGE_KEYS, f"a change in {STORAGE_KEYS} only", f"one in {where}")
        expect(not gone, "insertions only", f"{len(gone)} lines gone in {where}")
    keys = [where for where, _, _ in changes]
    expect(sorted(keys) == sorted(STORAGE_KEYS), "one insertion in each storage key", keys)
    came = "".join(line for _, _, lines in changes for line in lines)
    for line in KEY_LINES:
        expect(line in came, f"{line} in the new lines", "none")
    expect(all(value in came for value in key.values()), "the proven key, as written", "another")
    comments = sum("# " in line for line in before.splitlines())
    screen.seen(
        f"{came.count(chr(10))} lines came, none went; every other byte is as it was, "
        f"{comments} comments too"
    )
    return after


def assumed(stage: Stage) -> list[dict[str, Any]]:
    """The AssumeRole requests that AWS saw; each has to be as Quay makes it."""
    requests = [seen for seen in stage.plane.recording() if seen["action"] == "AssumeRole"]
    asked = {(r["parameters"]["RoleArn"], r["parameters"]["RoleSessionName"]) for r in requests}
    expect(asked == {(ROLE_ARN, "quay")}, f"AssumeRole of {ROLE_ARN}, session quay", asked)
    return requests


def set_key(stage: Stage, key: dict[str, str]) -> None:
    stage.kube("PATCH", path_of(KEY_SECRET), {"stringData": key})


def act_3(stage: Stage, key: dict[str, str]) -> dict[str, str]:
    """A rotation with a typo; returns the new access key as it should have been."""
    screen = stage.screen
    version, before = config(stage)
    new = make_key(stage)
    typo = new["AWS_SECRET_ACCESS_KEY"][:-1] + ("x" if new["AWS_SECRET_ACCESS_KEY"][-1] != "x" else "y")
    screen.keep_secret(typo)
    arguments = {"UserName": USER, "AccessKeyId": key["AWS_ACCESS_KEY_ID"]}
    stage.plane.aws("iam", "delete_access_key", arguments)
    screen.step(f"IAM: {USER} has a new access key, the old one is deleted")
    set_key(stage, new | {"AWS_SECRET_ACCESS_KEY": typo})
    screen.step(f"Secret {KEY_SECRET['metadata']['name']}: the new key, with a typo in its secret part")
    resource = stage.wait_ready(path_of(STORAGE), "False", "WrongSecretKey")
    conditions = resource["status"]["conditions"]
    screen.conditions(conditions)
    screen.wrapped(next(c["message"] for c in conditions if c["type"] == "Ready"))
    # Had it been written, then with or before the status.
    now_version, now = config(stage)
    expect(now == before, "the bundle's config.yaml untouched", "another config.yaml")
    expect(now_version == version, f"the bundle at resourceVersion {version}", now_version)
    screen.seen(f"the bundle is untouched, still at resourceVersion {version}")
    return new


def act_4(stage: Stage, key: dict[str, str], before: str) -> None:
    screen = stage.screen
    set_key(stage, key)
    began = time.monotonic()
    stage.wait_ready(path_of(STORAGE), "True")
    seconds = time.monotonic() - began
    screen.step(f"Secret corrected; Ready=True after {seconds:.1f} s; config.yaml:")
    _, after = config(stage)
    screen.diff(before, after)
    changes = changed_lines(before, after)
    for side in (1, 2):
        names = [line.split(":")[0].strip(" -") for change in changes for line in change[side]]
        expect(sorted(names) == sorted(KEY_LINES), "a change of the two key lines", names)
    came = "".join(line for _, _, lines in changes for line in lines)
    expect(all(value in came for value in key.values()), "the new key, as written", "another")
    screen.seen("the two key lines changed; every other byte is as it was")
    screen.step("Events:")
    for event in stage.wait("Events of both writes, the failure and both proofs", events(stage)):
        note = event["note"] if len(event["note"]) <= NOTE_WIDTH else event["note"][:NOTE_WIDTH - 3] + "..."
        screen.say(f"    {event['type']:8} {event['reason']:17} {times(event)}x  {note}")
    check_traces(stage)


def times(event: dict[str, Any]) -> int:
    return (event.get("series") or {}).get("count", 1)


def events(stage: Stage) -> Any:
    """Looks for the resource's Events; they are written after the status."""
    wanted = {"BundleWritten": 2, "ProvenAndWritten": 2, "WrongSecretKey": 1}

    def look() -> tuple[list[dict[str, Any]] | None, str]:
        items = stage.kube("GET", "/apis/events.k8s.io/v1/namespaces/quay/events")["items"]
        mine = [e for e in items if e["regarding"]["name"] == STORAGE["metadata"]["name"]]
        mine.sort(key=lambda event: event["eventTime"])
        counts: dict[str, int] = {}
        for event in mine:
            counts[event["reason"]] = counts.get(event["reason"], 0) + times(event)
        return (mine if counts == wanted else None), str(counts)

    return look


def check_traces(stage: Stage) -> None:
    """What is left behind: no secret anywhere, and no write that nothing asked for."""
    traces = {
        "the operator's log": LOG.read_text(errors="replace"),
        "the QuayStorage": json.dumps(stage.kube("GET", path_of(STORAGE))),
        "an Event": json.dumps(stage.kube("GET", "/apis/events.k8s.io/v1/namespaces/quay/events")),
    }
    for where, text in traces.items():
        expect(not stage.screen.secrets_in(text), f"no secret in {where}", "one or more")
    operator = f"system:serviceaccount:{SERVICE_ACCOUNT.replace('/', ':')}"
    audited = [json.loads(line) for line in Path(stage.plane.info["audit_log"]).read_text().splitlines()]
    writes = [
        event["responseStatus"]["code"]
        for event in audited
        if event["user"]["username"] == operator
        and event["verb"] not in ("get", "list", "watch")
        and event["objectRef"]["resource"] == "secrets"
    ]
    expect(writes == [200, 200], "two writes to Secrets by the operator, both taken", writes)
    stage.screen.seen("two writes to the bundle in all; no secret in log, status and Events")


def shown(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def play(stage: Stage) -> None:
    began = time.monotonic()
    screen = stage.screen
    screen.act(1, "A control plane and an AWS")
    stage.plane.start()
    key = act_1(stage)
    screen.act(2, "Prove, then write")
    config_yaml = act_2(stage, key)
    screen.act(3, "The key breaks")
    new = act_3(stage, key)
    screen.act(4, "Healed")
    act_4(stage, new, config_yaml)
    screen.say()
    screen.say(
        "All seen: a role proven, then written; a broken key that broke no registry; "
        f"and its repair. {time.monotonic() - began:.1f} s.",
        "bold",
    )


def keep(stage: Stage) -> None:
    """Waits for Enter or Ctrl-C. Where stdin is at its end, only a signal ends it."""
    stage.screen.say("\nEverything keeps running. To look around, in another terminal:")
    stage.screen.say(f"  export KUBECONFIG={stage.plane.info['kubeconfig']}")
    stage.screen.say("  kubectl -n quay get quaystorages")
    stage.screen.say("Enter or Ctrl-C ends everything.")
    with contextlib.suppress(KeyboardInterrupt):
        if not sys.stdin.readline():
            signal.pause()


def terminated(signum: int, frame: object) -> None:
    raise SystemExit(128 + signum)


def main() -> int:
    signal.signal(signal.SIGTERM, terminated)
    screen = Screen()
    stage = Stage(up.ControlPlane(), screen)
    status = 1
    try:
        try:
            play(stage)
            status = 0
        except NotSeen as missing:
            screen.problem(f"\nNot seen.\n  expected: {missing.expected}\n  found:    {missing.found}")
            if stage.operator is not None:
                screen.problem(f"The operator's log ({shown(LOG)}) ends:")
                screen.problem(stage.operator.tail(LOG_LINES))
        except up.SetupError as error:
            screen.problem(f"demo: {error}")
        if os.environ.get("KEEP") == "1" and hasattr(stage.plane, "info"):
            keep(stage)
    except KeyboardInterrupt:
        status = 130
    finally:
        # A second signal must not cut the stopping short.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stage.stop_operator()
        stage.plane.stop()
    return status


if __name__ == "__main__":
    sys.exit(main())
