"""Checks the second AWS-protocol peer, radosgw. By hand: python3 -m unittest -v test_rgw

(in this folder; skipped where Ceph is not installed). It also writes down where radosgw
answers otherwise than AWS; README.md lists that.
"""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import unittest
from pathlib import Path
from typing import Any

from test_up import HERE, Up, running

NAMESPACE = "quay"
APP = "example-registry-quay-app"
SUBJECT = f"system:serviceaccount:{NAMESPACE}:{APP}"
AUDIENCE = "sts.amazonaws.com"
BUCKET = "registry"
# Signs stdin (RS256) with the key in the file given, or else with a new one.
SIGN = """
import base64, sys
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
if sys.argv[1:]:
    key = serialization.load_pem_private_key(open(sys.argv[1], "rb").read(), None)
else:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
signature = key.sign(sys.stdin.buffer.read(), padding.PKCS1v15(), hashes.SHA256())
print(base64.urlsafe_b64encode(signature).rstrip(b"=").decode())
"""


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(action: str | list[str], **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, **more}


def part(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the claims of a token."""
    return tuple(json.loads(base64.urlsafe_b64decode(p + "==")) for p in token.split(".")[:2])


def forged(token: str, key_file: str | None = None, **claims: Any) -> str:
    """The token with other claims, signed with the key given or else with a new one."""
    header, old = parts(token)
    signed = f"{part(header)}.{part(old | claims)}"
    python = HERE.parent.parent / ".venv" / "bin" / "python"
    command = [str(python), "-c", SIGN, *([key_file] if key_file else [])]
    signature = subprocess.run(command, input=signed.encode(), stdout=subprocess.PIPE, check=True)
    return f"{signed}.{signature.stdout.decode().strip()}"


def start(up: Up) -> dict[str, Any]:
    """Starts radosgw, or skips the test with what is to be installed."""
    reply = up.ask(rgw="start")
    if reply.get("error", {}).get("code") == "NotInstalled":
        raise unittest.SkipTest(reply["error"]["message"])
    return reply["ok"]


class Ending(unittest.TestCase):
    def setUp(self) -> None:
        self.up = Up()
        self.addCleanup(self.up.close)

    def gone(self, pids: list[int], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while any(map(running, pids)) or os.path.exists(self.up.info["dir"]):
            self.assertLess(time.monotonic(), deadline, [pid for pid in pids if running(pid)])
            time.sleep(0.05)

    def test_end_of_stdin(self) -> None:
        pids = start(self.up)["pids"]
        self.assertEqual(set(pids), {"ceph-mon", "ceph-osd", "radosgw"})
        self.up.ask(pause="rgw")
        self.up.close()
        self.gone([*pids.values()], 0.5)

    def test_kill_of_itself(self) -> None:
        pids = start(self.up)["pids"]
        self.up.process.kill()
        self.gone([*pids.values(), *self.up.info["pids"].values()], 10)

    def test_end_while_it_starts(self) -> None:
        if shutil.which("radosgw") is None:
            self.skipTest("radosgw is not installed")
        self.up.process.stdin.write('{"id":1,"rgw":"start"}\n')
        self.up.process.stdin.flush()
        time.sleep(0.3)
        self.assertTrue(self.naming_the_directory())
        self.up.close()
        self.assertEqual(self.up.process.returncode, 0)
        self.assertFalse(self.naming_the_directory())
        self.assertFalse(os.path.exists(self.up.info["dir"]))

    def naming_the_directory(self) -> list[str]:
        """The command lines of the processes of this run."""
        found = []
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                found.append(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        return [line for line in found if f"--conf={self.up.info['dir']}/" in line]


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.up = Up()
        cls.addClassCleanup(cls.up.close)
        began = time.monotonic()
        cls.rgw = start(cls.up)
        print(f"radosgw ready in {time.monotonic() - began:.1f} s", file=sys.stderr)
        cls.call("s3", "create_bucket", Bucket=BUCKET)

    @classmethod
    def call(cls, service: str, call: str, credentials: Any = None, **arguments: Any) -> Any:
        """The answer, or the code of the error."""
        request = {"service": service, "call": call, "args": arguments, "at": "rgw"}
        reply = cls.up.ask(**request, **({"as": credentials} if credentials else {}))
        return reply["ok"] if "ok" in reply else reply["error"]["code"]

    def user(self, uid: str) -> tuple[dict[str, str], str]:
        user = self.up.ask(rgw="create-user", args={"uid": uid})["ok"]
        return user, user.pop("arn")

    def role(self, name: str, trust: dict[str, Any], *policies: dict[str, Any]) -> str:
        created = self.call(
            "iam", "create_role", RoleName=name, AssumeRolePolicyDocument=document(trust)
        )
        if policies:
            self.call(
                "iam", "put_role_policy",
                RoleName=name, PolicyName="p", PolicyDocument=document(*policies),
            )  # fmt: skip
        return created["Role"]["Arn"]

    def assume(self, credentials: dict[str, str], role: str, **more: Any) -> Any:
        arguments = {"RoleArn": role, "RoleSessionName": "check", **more}
        return self.session(self.call("sts", "assume_role", credentials, **arguments))

    def session(self, answer: Any) -> Any:
        if isinstance(answer, str):
            return answer
        made = answer["Credentials"]
        return {
            "access_key": made["AccessKeyId"],
            "secret_key": made["SecretAccessKey"],
            "session_token": made["SessionToken"],
        }

    def put(self, session: dict[str, str], key: str) -> Any:
        answer = self.call("s3", "put_object", session, Bucket=BUCKET, Key=key, Body="x")
        return answer if isinstance(answer, str) else "done"


class AssumeRole(Case):
    def test_trust_policy(self) -> None:
        alice, arn = self.user("alice")
        bob, _ = self.user("bob")
        role = self.role("for-alice", allow("sts:AssumeRole", Principal={"AWS": arn}))
        self.assertEqual(role, "arn:aws:iam::123456789012:role/for-alice")
        self.assertIn("session_token", self.assume(alice, role))
        self.assertEqual(self.assume(bob, role), "AccessDenied")
        self.assertEqual(self.assume(alice | {"secret_key": "no"}, role), "SignatureDoesNotMatch")
        self.call(
            "iam", "update_assume_role_policy", RoleName="for-alice",
            PolicyDocument=document(
                allow("sts:AssumeRole", Principal={"AWS": "*"}),
                {"Effect": "Deny", "Action": "sts:AssumeRole", "Principal": {"AWS": arn}},
            ),
        )  # fmt: skip
        self.assertEqual(self.assume(alice, role), "AccessDenied")
        self.assertIn("session_token", self.assume(bob, role))

    def test_permission_policy(self) -> None:
        carol, arn = self.user("carol")
        role = self.role(
            "paths",
            allow("sts:AssumeRole", Principal={"AWS": arn}),
            allow(["s3:PutObject", "s3:GetObject"], Resource=f"arn:aws:s3:::{BUCKET}/quay/*"),
        )
        session = self.assume(carol, role)
        self.assertEqual(self.put(session, "quay/a"), "done")
        self.assertEqual(self.put(session, "other/a"), "AccessDenied")
        listed = self.call("s3", "list_objects_v2", session, Bucket=BUCKET, Prefix="quay/")
        self.assertEqual(listed, "AccessDenied")
        narrow = document(allow("s3:GetObject", Resource="*"))
        reader = self.assume(carol, role, Policy=narrow)
        self.assertEqual(self.put(reader, "quay/a"), "AccessDenied")
        self.call("iam", "delete_role_policy", RoleName="paths", PolicyName="p")
        self.assertEqual(self.put(session, "quay/a"), "AccessDenied")  # at once

    def test_calls_of_quay(self) -> None:
        erin, arn = self.user("erin")
        bucket = f"arn:aws:s3:::{BUCKET}"
        in_objects = ["GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload"]
        in_bucket = ["ListBucket", "GetBucketLocation", "ListBucketMultipartUploads"]
        role = self.role(
            "quay",
            allow("sts:AssumeRole", Principal={"AWS": arn}),
            allow([f"s3:{action}" for action in in_objects], Resource=f"{bucket}/quay/*"),
            allow([f"s3:{action}" for action in in_bucket], Resource=bucket),
        )
        session = self.assume(erin, role)

        def done(call: str, **arguments: Any) -> Any:
            answer = self.call("s3", call, session, Bucket=BUCKET, **arguments)
            self.assertIsInstance(answer, dict, f"{call}: {answer}")
            return answer

        done("head_bucket")
        done("get_bucket_location")
        done("list_multipart_uploads")
        done("put_object", Key="quay/a", Body="abc", ServerSideEncryption="AES256")
        self.assertEqual(done("head_object", Key="quay/a")["ContentLength"], 3)
        self.assertEqual(done("get_object", Key="quay/a")["Body"], "abc")
        done("copy_object", Key="quay/b", CopySource=f"{BUCKET}/quay/a")
        for last in ("complete_multipart_upload", "abort_multipart_upload"):
            upload = {"Key": "quay/m"}
            made = done("create_multipart_upload", **upload, ServerSideEncryption="AES256")
            upload["UploadId"] = made["UploadId"]
            tag = done("upload_part", **upload, PartNumber=1, Body="x")["ETag"]
            end = {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": tag}]}}
            done(last, **upload, **(end if last.startswith("complete") else {}))
        listed = done("list_objects_v2", Prefix="quay/")["Contents"]
        self.assertEqual([found["Key"] for found in listed], ["quay/a", "quay/b", "quay/m"])
        done("delete_object", Key="quay/a")

    def test_where_radosgw_differs_from_aws(self) -> None:
        dave, arn = self.user("dave")
        trust = allow("sts:AssumeRole", Principal={"AWS": arn})
        role = self.role("differs", trust, allow("s3:*", Resource="*"))
        # The identity policy of the caller is not asked. AWS answers AccessDenied.
        deny = document({"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*"})
        policy = {"UserName": "dave", "PolicyName": "p", "PolicyDocument": deny}
        self.call("iam", "put_user_policy", **policy)
        session = self.assume(dave, role)
        self.assertIn("session_token", session)
        # These conditions are never met, not even when they hold.
        holds = {"sts:RoleSessionName": "check", "sts:ExternalId": "xx"}
        for number, (key, value) in enumerate(holds.items()):
            condition = {"StringEquals": {key: value}}
            never = self.role(f"never-{number}", trust | {"Condition": condition})
            self.assertEqual(self.assume(dave, never, ExternalId="xx"), "AccessDenied")
        # AWS answers AccessDenied, InvalidClientTokenId, the caller, and takes the name.
        missing = "arn:aws:iam::123456789012:role/there-is-none"
        self.assertEqual(self.assume(dave, missing), "NoSuchEntity")
        unknown = dave | {"access_key": "AKIA0000000000000000"}
        self.assertEqual(self.assume(unknown, role), "InvalidAccessKeyId")
        self.assertEqual(self.call("sts", "get_caller_identity", dave), "MethodNotAllowed")
        named = {"RoleName": "a_b", "AssumeRolePolicyDocument": document(trust)}
        self.assertEqual(self.call("iam", "create_role", **named), "InvalidInput")
        # No session may copy into a part of an upload, whatever its role allows.
        self.assertEqual(self.put(session, "from"), "done")
        upload = {"Bucket": BUCKET, "Key": "to"}
        made = self.call("s3", "create_multipart_upload", session, **upload)
        copy = upload | {"UploadId": made["UploadId"], "PartNumber": 1}
        copy["CopySource"] = f"{BUCKET}/from"
        self.assertEqual(self.call("s3", "upload_part_copy", session, **copy), "AccessDenied")
        # AES256 is taken, and neither done nor told.
        plain = {"Bucket": BUCKET, "Key": "plain"}
        self.call("s3", "put_object", session, **plain, Body="x", ServerSideEncryption="AES256")
        head = self.call("s3", "head_object", session, **plain)
        self.assertNotIn("ServerSideEncryption", head)
        # What a session writes is its user's, without any policy that says so.
        self.assertIn("ETag", self.call("s3", "head_object", dave, **plain))


class WebIdentity(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.kube("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        for name in (APP, "other"):
            path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
            cls.kube(path, {"metadata": {"name": name}})
        cls.call(
            "iam", "create_open_id_connect_provider", Url=cls.rgw["issuer_url"],
            ClientIDList=[AUDIENCE], ThumbprintList=[cls.rgw["thumbprint"]],
        )  # fmt: skip
        cls.issuer = cls.rgw["issuer_url"].removeprefix("https://")
        cls.provider = f"arn:aws:iam::123456789012:oidc-provider/{cls.issuer}"

    @classmethod
    def kube(cls, path: str, body: Any) -> Any:
        reply = cls.up.ask(kube="POST", path=path, body=body)
        assert reply["status"] == 201, reply
        return reply["body"]

    def token(self, account: str = APP, *audiences: str) -> str:
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token"
        spec = {"audiences": audiences or [AUDIENCE], "expirationSeconds": 600}
        return self.kube(path, {"spec": spec})["status"]["token"]

    def trust(self, **pinned: str) -> dict[str, Any]:
        equal = {f"{self.issuer}:{key}": value for key, value in pinned.items()}
        principal = {"Federated": self.provider}
        condition = {"StringEquals": equal}
        return allow("sts:AssumeRoleWithWebIdentity", Principal=principal, Condition=condition)

    def assume_as(self, role: str, token: str) -> Any:
        # Keys that nobody has: the call is not signed.
        return self.session(
            self.call(
                "sts", "assume_role_with_web_identity", {"access_key": "x", "secret_key": "x"},
                RoleArn=role, RoleSessionName="check", WebIdentityToken=token,
            )
        )  # fmt: skip

    def test_admitted_and_refused(self) -> None:
        role = self.role(
            "app",
            self.trust(sub=SUBJECT, aud=AUDIENCE),
            allow("s3:PutObject", Resource=f"arn:aws:s3:::{BUCKET}/quay/*"),
        )
        good = self.token()
        self.assertEqual(parts(good)[1]["iss"], self.rgw["issuer_url"])
        session = self.assume_as(role, good)
        self.assertEqual(self.put(session, "quay/a"), "done")
        self.assertEqual(self.put(session, "other/a"), "AccessDenied")

        own = os.path.join(self.up.info["dir"], "service-account.key")
        self.assertIn("session_token", self.assume_as(role, forged(good, own)))
        long_ago = int(time.time()) - 7200
        refused = {
            "another account": self.token("other"),
            "another audience": self.token(APP, "https://kubernetes.default.svc"),
            "another key": forged(good),
            "another issuer": forged(good, own, iss="https://127.0.0.1:1/id/other"),
            "another issuer and key": forged(good, iss="https://127.0.0.1:1/id/other"),
            "expired": forged(good, own, iat=long_ago, nbf=long_ago, exp=long_ago + 600),
            "not yet": forged(good, own, nbf=int(time.time()) + 600),
            "not a token": "a.b.c",
        }
        for what, token in refused.items():
            with self.subTest(what):
                self.assertEqual(self.assume_as(role, token), "AccessDenied")

    def test_pins_are_checked(self) -> None:
        good = self.token()
        for number, pins in enumerate([{"sub": "x"}, {"aud": "x"}, {"client_id": AUDIENCE}]):
            role = self.role(f"pinned-{number}", self.trust(**pins))
            self.assertEqual(self.assume_as(role, good), "AccessDenied", pins)
        plain = allow("sts:AssumeRole", Principal={"Federated": self.provider})
        self.assertEqual(self.assume_as(self.role("plain", plain), good), "AccessDenied")

    def test_where_radosgw_differs_from_aws(self) -> None:
        # `app_id` is a second name of the audience there. AWS has no such key.
        role = self.role("app-id", self.trust(app_id=AUDIENCE))
        self.assertIn("session_token", self.assume_as(role, self.token()))
        # The account in the provider's ARN does not count.
        elsewhere = self.provider.replace(":::", "::123456789012:")
        trust = self.trust(sub=SUBJECT) | {"Principal": {"Federated": elsewhere}}
        role = self.role("elsewhere", trust)
        self.assertIn("session_token", self.assume_as(role, self.token()))


if __name__ == "__main__":
    unittest.main()
