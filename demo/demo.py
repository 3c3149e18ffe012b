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
import traceback
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
import yaml  # noqa: E402
from screen import NotSeen, Screen, changed_lines, expect, secret_values  # noqa: E402
from stage import (  # noqa: E402
    BINARY,
    BUCKET,
    BUNDLE,
    KEY_SECRET,
    LOCATION,
    LOG,
    MANIFESTS,
    ROLE,
    ROLE_ARN,
    ROOT,
    STORAGE,
    USER,
    Stage,
    manifests,
    path_of,
    repeats,
    shown,
)

CRD = "quaystorages.registry-sts.dev"
# In the order of deploy/rbac/kustomization.yaml.
RULES = "operator bundle output mint annotate rollout restore identities key audiences people".split()
INSTALL = [
    "crds/quaystorages.yaml",
    "crds/storageidentities.yaml",
    "crds/identitypolicies.yaml",
    "deploy/default/namespace.yaml",
    "deploy/manager/service-account.yaml",
    "deploy/manager/leader.yaml",
    *(f"deploy/rbac/{name}.yaml" for name in RULES),
]
SERVICE_ACCOUNT = "registry-sts/registry-sts"
STORAGE_KEYS = {"DISTRIBUTED_STORAGE_CONFIG", "DISTRIBUTED_STORAGE_PREFERENCE"}
KEY_LINES = ["sts_user_access_key", "sts_user_secret_key"]
# Of both writes, and of the failure between them.
EVENTS = {"BundleWritten": 2, "WrongSecretKey": 1}
NOTE_WIDTH = 60
LOG_LINES = 15


def act_1(stage: Stage) -> dict[str, str]:
    """Everything that is there before anybody asks for anything; returns the access key."""
    screen, info = stage.screen, stage.plane.info
    version = stage.kube("GET", "/version")["gitVersion"]
    screen.step(f"kube-apiserver {version} with etcd at {info['server']}")
    screen.step(f"AWS peer (moto, checks keys and policies) at {info['aws']}")
    # What `kubectl apply -k deploy/default` applies, but for what runs as a pod.
    install = [document for file in INSTALL for document in manifests(ROOT / file)]
    for document in install:
        stage.apply(document)
    stage.wait_established(CRD, STORAGE["apiVersion"])
    screen.step(f"applied deploy/default but for its pods: {len(install)} objects, {CRD} is Established")
    for document in manifests(MANIFESTS / "namespace.yaml"):
        stage.apply(document)
    screen.step(f"namespace quay; its owner lets {SERVICE_ACCOUNT} at the Secrets there")
    key = stage.make_role()
    screen.step(f"IAM: user {USER} with a key, role {ROLE} that trusts it; S3: {BUCKET}")
    return key


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
    _, after = stage.config()
    screen.step(f"Ready=True after {seconds:.1f} s; {assumed(stage)}; config.yaml:")
    screen.diff(before, after)
    screen.conditions(resource["status"]["conditions"])
    changes = changed_lines(before, after)
    for where, gone, _ in changes:
        expect(where in STORAGE_KEYS, f"a change in {STORAGE_KEYS} only", f"one in {where}")
        expect(not gone, "insertions only", f"{len(gone)} lines gone in {where}")
    expect_intent(before, after, key)
    came = sum(len(lines) for _, _, lines in changes)
    comments = sum("# " in line for line in before.splitlines())
    screen.seen(
        f"{came} lines came, none went; every other byte is as it was, {comments} comments too"
    )
    return after


def assumed(stage: Stage) -> str:
    """That AWS saw AssumeRole, each time as Quay calls it."""
    requests = [seen for seen in stage.plane.recording() if seen["action"] == "AssumeRole"]
    asked = {(r["parameters"]["RoleArn"], r["parameters"]["RoleSessionName"]) for r in requests}
    expect(asked == {(ROLE_ARN, "quay")}, f"AssumeRole of {ROLE_ARN}, session quay", asked)
    return f"AWS saw AssumeRole of {ROLE}, session quay, {len(requests)}x"


def expect_intent(before: str, after: str, key: dict[str, str]) -> None:
    """That Quay's YAML reader finds the location as intended, and all else as it was."""
    intent = yaml.safe_load(before)
    arguments = {
        "sts_role_arn": ROLE_ARN,
        "s3_bucket": BUCKET,
        "storage_path": LOCATION["storagePath"],
        "s3_region": LOCATION["region"],
        "sts_user_access_key": key["AWS_ACCESS_KEY_ID"],
        "sts_user_secret_key": key["AWS_SECRET_ACCESS_KEY"],
    }
    intent["DISTRIBUTED_STORAGE_CONFIG"][LOCATION["name"]] = ["STSS3Storage", arguments]
    preference = intent["DISTRIBUTED_STORAGE_PREFERENCE"]
    if LOCATION["name"] not in preference:
        preference.append(LOCATION["name"])
    expect(yaml.safe_load(after) == intent, "config.yaml to read as intended", "another reading")


def set_key(stage: Stage, key: dict[str, str]) -> None:
    stage.kube("PATCH", path_of(KEY_SECRET), {"stringData": key})


def act_3(stage: Stage, key: dict[str, str]) -> dict[str, str]:
    """A rotation with a typo; returns the new access key as it should have been."""
    screen = stage.screen
    version, before = stage.config()
    new = stage.make_key()
    right = new["AWS_SECRET_ACCESS_KEY"]
    typo = right[:-1] + ("y" if right.endswith("x") else "x")
    screen.keep_secret(typo)
    arguments = {"UserName": USER, "AccessKeyId": key["AWS_ACCESS_KEY_ID"]}
    stage.plane.aws("iam", "delete_access_key", arguments)
    screen.step(f"IAM: {USER} has a new access key, the old one is deleted")
    set_key(stage, new | {"AWS_SECRET_ACCESS_KEY": typo})
    name = KEY_SECRET["metadata"]["name"]
    screen.step(f"Secret {name}: now the new key, but with a typo in its secret part")
    resource = stage.wait_ready(path_of(STORAGE), "False", "WrongSecretKey")
    conditions = resource["status"]["conditions"]
    screen.conditions(conditions)
    screen.wrapped(next(c["message"] for c in conditions if c["type"] == "Ready"))
    # A write comes before the status that tells of it.
    now_version, now = stage.config()
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
    _, after = stage.config()
    screen.diff(before, after)
    changes = changed_lines(before, after)
    for side in (1, 2):
        names = [line.split(":")[0].strip(" -") for change in changes for line in change[side]]
        expect(sorted(names) == sorted(KEY_LINES), "a change of the two key lines", names)
    expect_intent(before, after, key)
    screen.seen("the two key lines changed; every other byte is as it was")
    screen.step("Events:")
    for event in stage.wait_events(EVENTS):
        note = event["note"]
        if len(note) > NOTE_WIDTH:
            note = note[: NOTE_WIDTH - 3] + "..."
        screen.say(f"    {event['type']:8} {event['reason']:17} {repeats(event)}x  {note}")
    check_traces(stage)


def check_traces(stage: Stage) -> None:
    """What is left behind: no secret anywhere, and no write that nothing asked for."""
    traces = {
        "the operator's log": LOG.read_text(errors="replace"),
        "the QuayStorage": json.dumps(stage.kube("GET", path_of(STORAGE))),
        "an Event": json.dumps(stage.events()),
    }
    for where, text in traces.items():
        expect(not stage.screen.secrets_in(text), f"no secret in {where}", "one or more")
    operator = f"system:serviceaccount:{SERVICE_ACCOUNT.replace('/', ':')}"
    audit_log = Path(stage.plane.info["audit_log"]).read_text()
    writes = [
        event["responseStatus"]["code"]
        for event in map(json.loads, audit_log.splitlines())
        if event["user"]["username"] == operator
        and event["verb"] not in ("get", "list", "watch")
        and event["objectRef"]["resource"] == "secrets"
    ]
    expect(writes == [200, 200], "two writes to Secrets by the operator, both taken", writes)
    stage.screen.seen("two writes to the bundle in all; no secret in log, status and Events")


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
        "All seen: a role proven, then written; a broken key that changed no bundle; "
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
            screen.problem("\nNot seen.")
            screen.problem(f"  expected: {missing.expected}\n  found:    {missing.found}")
            if stage.operator is not None:
                screen.problem(f"The operator's log ({shown(LOG)}) ends:")
                screen.problem(stage.operator.tail(LOG_LINES))
        except up.SetupError as error:
            screen.problem(f"demo: {error}")
        except Exception:
            screen.problem(traceback.format_exc())
        if os.environ.get("KEEP", "0") not in ("", "0") and hasattr(stage.plane, "info"):
            keep(stage)
    except KeyboardInterrupt:
        screen.problem("\ninterrupted")
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
