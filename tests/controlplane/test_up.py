"""Checks the control plane itself. By hand: python3 -m unittest -v test_up

(in this folder; half a minute). It also writes down how the AWS peer answers where the
operator's tests depend on it, so that a new version that answers otherwise is noticed.
"""

import base64
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import unittest
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
UP = [sys.executable, str(HERE / "up.py")]
SERVICE_ACCOUNTS = "/api/v1/namespaces/team/serviceaccounts"
# Starts up.py with a pipe as stdin, and never closes that.
PARENT = f"""
import subprocess, time
child = subprocess.Popen({UP!r}, stdin=subprocess.PIPE)
time.sleep(600)
"""


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"  # ended; it only waits to be noticed by its parent


def policy(action: str, **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": action, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Up:
    def __init__(self, command: list[str] = UP) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        self.info = json.loads(line)
        self._next = 0

    def ask(self, **request: Any) -> dict[str, Any]:
        self._next += 1
        self.process.stdin.write(json.dumps({"id": self._next} | request) + "\n")
        self.process.stdin.flush()
        reply = json.loads(self.process.stdout.readline())
        assert reply.pop("id") == self._next
        return reply

    def aws(self, service: str, call: str, credentials: Any = None, **arguments: Any) -> Any:
        request = {"service": service, "call": call, "args": arguments}
        reply = self.ask(**request, **({"as": credentials} if credentials else {}))
        return reply["ok"] if "ok" in reply else reply["error"]["code"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


class Ending(unittest.TestCase):
    def gone(self, info: dict[str, Any], more: list[int], seconds: float = 10) -> None:
        pids = [*info["pids"].values(), *more]
        self.assertEqual(len(info["pids"]), 3)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not any(map(running, pids)) and not os.path.exists(info["dir"]):
                return
            time.sleep(0.05)
        self.fail(f"left: {[pid for pid in pids if running(pid)]}, {info['dir']}")

    def test_end_of_stdin(self) -> None:
        up = Up()
        up.ask(kill="apiserver")
        up.info["pids"] |= up.ask(start="apiserver")["ok"]["pids"]
        up.ask(pause="etcd")  # a paused process has to go too
        up.close()
        self.assertEqual(up.process.returncode, 0)
        self.gone(up.info, [up.process.pid], 0.5)

    def test_sigterm(self) -> None:
        up = Up()
        up.process.send_signal(signal.SIGTERM)
        self.assertEqual(up.process.wait(10), 0)
        self.gone(up.info, [], 0.5)
        up.close()

    def test_kill_of_itself(self) -> None:
        up = Up()
        up.process.kill()
        up.process.wait()
        self.gone(up.info, [])
        up.close()

    def test_kill_of_its_parent(self) -> None:
        up = Up([sys.executable, "-c", PARENT])
        children = Path(f"/proc/{up.process.pid}/task/{up.process.pid}/children").read_text()
        [own] = map(int, children.split())
        up.process.kill()
        up.process.wait()
        self.gone(up.info, [own])
        up.close()

    def test_kill_of_its_parent_before_it_is_ready(self) -> None:
        parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.DEVNULL)
        time.sleep(2)
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text()
        [own] = map(int, children.split())
        servers = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 10
        while any(map(running, [own, *map(int, servers)])):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)


class Answers(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        began = time.monotonic()
        cls.up = Up()
        print(f"ready in {time.monotonic() - began:.1f} s", file=sys.stderr)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.up.close()

    def kube(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        reply = self.up.ask(kube=method, path=path, **more)
        return reply["status"], reply["body"]

    def user(self, name: str, *policies: str) -> dict[str, str]:
        self.up.aws("iam", "create_user", UserName=name)
        for number, document in enumerate(policies):
            self.up.aws(
                "iam", "put_user_policy",
                UserName=name, PolicyName=f"p{number}", PolicyDocument=document,
            )  # fmt: skip
        key = self.up.aws("iam", "create_access_key", UserName=name)["AccessKey"]
        return {"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}

    def role(self, name: str, principal: str) -> str:
        trust = policy("sts:AssumeRole", Principal={"AWS": principal})
        arguments = {"RoleName": name, "AssumeRolePolicyDocument": trust}
        return self.up.aws("iam", "create_role", **arguments)["Role"]["Arn"]

    def assume(self, credentials: dict[str, str], role: str) -> Any:
        return self.up.aws("sts", "assume_role", credentials, RoleArn=role, RoleSessionName="check")

    def arn(self, kind: str, name: str) -> str:
        return f"arn:aws:iam::{self.up.info['account']}:{kind}/{name}"

    def test_version(self) -> None:
        status, version = self.kube("GET", "/version")
        self.assertEqual((status, version["gitVersion"]), (200, "v1.36.3"))

    def test_service_account_token(self) -> None:
        space = {"metadata": {"name": "team"}}
        self.assertEqual(self.kube("POST", "/api/v1/namespaces", body=space)[0], 201)
        account = {"metadata": {"name": "puller"}}
        self.assertEqual(self.kube("POST", SERVICE_ACCOUNTS, body=account)[0], 201)
        status, answer = self.kube("POST", f"{SERVICE_ACCOUNTS}/puller/token", body={"spec": {}})
        self.assertEqual(status, 201)
        token = answer["status"]["token"]
        secrets = "/api/v1/namespaces/team/secrets"
        self.assertEqual(self.kube("GET", secrets, token=token)[0], 403)
        self.assertEqual(self.kube("GET", secrets, token="wrong")[0], 401)
        self.assertEqual(self.kube("GET", secrets)[0], 200)
        audit = Path(self.up.info["audit_log"]).read_text().splitlines()
        users = [json.loads(line)["user"].get("username") for line in audit]
        self.assertIn("system:serviceaccount:team:puller", users)

    def test_issuer_of_service_account_tokens(self) -> None:
        issuer = self.up.info["issuer"]
        context = ssl.create_default_context(cafile=self.up.info["issuer_ca_file"])

        def fetch(url: str) -> Any:
            with urllib.request.urlopen(url, context=context, timeout=10) as answer:
                return json.load(answer)

        shown = fetch(f"{issuer}/.well-known/openid-configuration")
        self.assertEqual(shown, self.kube("GET", "/.well-known/openid-configuration")[1])
        self.assertEqual(shown["issuer"], issuer)
        [key] = fetch(shown["jwks_uri"])["keys"]
        self.assertTrue(key["x5c"])
        accounts = "/api/v1/namespaces/default/serviceaccounts"
        self.kube("POST", accounts, body={"metadata": {"name": "issued"}})
        answer = self.kube("POST", f"{accounts}/issued/token", body={"spec": {}})[1]
        header, claims, _ = answer["status"]["token"].split(".")
        self.assertEqual(json.loads(base64.urlsafe_b64decode(header + "=="))["kid"], key["kid"])
        self.assertEqual(json.loads(base64.urlsafe_b64decode(claims + "=="))["iss"], issuer)

    def test_assume_role(self) -> None:
        key = self.user("alice", policy("sts:AssumeRole", Resource="*"))
        role = self.role("pull", self.arn("user", "alice"))
        session = self.assume(key, role)["Credentials"]
        self.assertTrue(session["AccessKeyId"].startswith("ASIA"))
        self.assertEqual(self.assume(key | {"secret_key": "no"}, role), "SignatureDoesNotMatch")
        unknown = key | {"access_key": "AKIA1111111111111111"}
        self.assertEqual(self.assume(unknown, role), "InvalidClientTokenId")
        self.assertEqual(self.assume(self.user("nobody"), role), "AccessDenied")
        mallory = self.user("mallory", policy("sts:AssumeRole", Resource="*"))
        self.assertEqual(self.assume(mallory, role), "AccessDenied")  # by the trust policy

    def test_temporary_key(self) -> None:
        key = self.user("temp", policy("sts:AssumeRole", Resource="*"))
        role = self.role("reader", self.arn("user", "temp"))
        session = self.assume(key, role)["Credentials"]
        temporary = {
            "access_key": session["AccessKeyId"],
            "secret_key": session["SecretAccessKey"],
            "session_token": session["SessionToken"],
        }
        who = self.up.aws("sts", "get_caller_identity", temporary)
        self.assertTrue(who["Arn"].endswith(":assumed-role/reader/check"), who)
        denied = self.up.aws("ecr", "get_authorization_token", temporary)
        self.assertEqual(denied, "AccessDenied")
        self.up.aws(
            "iam", "put_role_policy", RoleName="reader", PolicyName="p",
            PolicyDocument=policy("ecr:GetAuthorizationToken", Resource="*"),
        )  # fmt: skip
        token = self.up.aws("ecr", "get_authorization_token", temporary)
        self.assertIn("authorizationData", token)
        wrong = temporary | {"session_token": "wrong"}
        self.assertEqual(self.up.aws("sts", "get_caller_identity", wrong), "InvalidClientTokenId")

    def test_keys_and_roles_that_do_not_work(self) -> None:
        key = self.user("gone", policy("sts:AssumeRole", Resource="*"))
        self.assertEqual(self.assume(key, self.arn("role", "there-is-none")), "AccessDenied")
        self.up.aws("iam", "delete_access_key", UserName="gone", AccessKeyId=key["access_key"])
        self.assertEqual(self.up.aws("sts", "get_caller_identity", key), "InvalidClientTokenId")

    def test_recording(self) -> None:
        key = self.user("counted", policy("sts:AssumeRole", Resource="*"))
        role = self.role("count", self.arn("user", "counted"))
        self.assume(key, role)
        self.up.ask(peer="start-recording")
        for _ in range(3):
            self.assume(key, role)
        self.assume(key | {"secret_key": "no"}, role)
        self.up.ask(peer="stop-recording")
        self.assume(key, role)
        entries = self.up.ask(peer="recording")["ok"]
        calls = [(entry["action"], entry["access_key"]) for entry in entries]
        self.assertEqual(calls, [("AssumeRole", key["access_key"])] * 4)
        self.assertEqual(entries[0]["parameters"]["RoleArn"], role)

    def test_pause(self) -> None:
        for name, path in [("apiserver", "/version"), ("etcd", "/api/v1/namespaces")]:
            self.up.ask(pause=name)
            request = {"id": "late", "kube": "GET", "path": path}
            self.up.process.stdin.write(json.dumps(request) + "\n")
            self.up.process.stdin.flush()
            time.sleep(0.5)
            # Its reply and the late one come in whichever order.
            self.up.process.stdin.write(json.dumps({"id": "now", "resume": name}) + "\n")
            self.up.process.stdin.flush()
            replies = [json.loads(self.up.process.stdout.readline()) for _ in range(2)]
            found = {reply["id"]: reply for reply in replies}
            self.assertEqual(found["late"]["status"], 200)
            self.assertEqual(found["now"]["ok"], {})

    def test_kill_and_start_of_the_apiserver(self) -> None:
        namespace = {"metadata": {"name": "kept"}}
        before = self.kube("POST", "/api/v1/namespaces", body=namespace)[1]
        self.assertEqual(self.up.ask(start="apiserver")["error"]["code"], "SetupError")
        pid = self.up.info["pids"]["apiserver"]
        self.up.ask(kill="apiserver")
        self.assertFalse(running(pid))
        refused = self.up.ask(kube="GET", path="/version")["error"]["code"]
        self.assertEqual(refused, "ConnectionRefusedError")
        started = self.up.ask(start="apiserver")["ok"]["pids"]["apiserver"]
        self.assertNotEqual(started, pid)
        after = self.kube("GET", "/api/v1/namespaces/kept")[1]
        self.assertEqual(after["metadata"]["uid"], before["metadata"]["uid"])
        # A paused one can be killed, too, and the new one is the one to be paused.
        self.up.ask(pause="apiserver")
        self.up.ask(kill="apiserver")
        self.up.ask(start="apiserver")
        self.up.ask(pause="apiserver")
        self.up.ask(resume="apiserver")
        self.assertEqual(self.kube("GET", "/readyz")[0], 200)

    def test_age_of_objects(self) -> None:
        self.up.aws("s3", "create_bucket", Bucket="old")
        self.up.aws("s3", "put_object", Bucket="old", Key="a", Body="a")
        modified = self.up.aws("s3", "head_object", Bucket="old", Key="a")["LastModified"]
        self.up.ask(peer="age", args={"bucket": "old", "seconds": 7200})
        aged = self.up.aws("s3", "head_object", Bucket="old", Key="a")["LastModified"]
        seconds = datetime.fromisoformat(modified) - datetime.fromisoformat(aged)
        self.assertEqual(seconds.total_seconds(), 7200)

    def test_bad_requests(self) -> None:
        self.assertEqual(self.up.ask(what="?")["error"]["code"], "ValueError")
        self.assertEqual(self.up.aws("iam", "no_such_call"), "UnknownCall")
        self.assertEqual(self.up.aws("iam", "create_user"), "ParamValidationError")


if __name__ == "__main__":
    unittest.main()
