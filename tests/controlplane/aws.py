"""The AWS peer: moto with IAM enforcement on, its set-up user, calls and recordings."""

import base64
import http.client
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from calls import REGION, AwsError, Caller, plain_text
from cluster import HOST, wait_until
from processes import Child
from progress import HERE, SetupError

ACCOUNT = "123456789012"
SETUP_USER = "setup-admin"
ALLOW_EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
# The calls in `_make_setup_user`: moto lets this many pass before it checks any.
FREE_CALLS = 3


class AwsPeer:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.setup_key = {"access_key": "setup", "secret_key": "setup"}

    def start(self, started: Callable[[Child], None]) -> Child:
        """Starts the process; it takes a while to import, so `finish` waits for it."""
        self._port_file = self.directory / "aws.port"
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.directory),
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "INITIAL_NO_AUTH_ACTION_COUNT": str(FREE_CALLS),
            "MOTO_RECORDER_FILEPATH": str(self.directory / "aws-recording.jsonl"),
        }
        command = [sys.executable, "-I", HERE / "aws_server.py", self._port_file]
        self.child = Child("aws", command, self.directory / "aws-access.log", environment)
        started(self.child)
        return self.child

    def finish(self) -> None:
        """Waits for the server, makes the set-up user and proves that keys are checked."""
        wait_until(self.child, self._port_file.exists)
        self.port = int(self._port_file.read_text())
        self.url = f"http://{HOST}:{self.port}"
        self._caller = Caller(self.url)
        self._make_setup_user()
        unknown = {"access_key": "AKIA0000000000000000", "secret_key": "x"}
        try:
            self.call("iam", "list_users", {}, unknown)
        except AwsError as error:
            if error.code == "InvalidClientTokenId":
                self.call("iam", "list_users")  # while the set-up key is good
                return
            raise SetupError(f"the AWS peer answers an unknown key with {error}") from error
        raise SetupError("the AWS peer accepts an unknown key, it does not enforce IAM")

    def call(
        self,
        service: str,
        method: str,
        arguments: dict[str, Any] | None = None,
        credentials: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """One call, as the set-up user unless other credentials are given."""
        return self._caller.call(service, method, arguments, credentials or self.setup_key)

    def start_recording(self) -> None:
        """Forgets the recording so far, if any, and starts a new one."""
        self._moto_api("POST", "/recorder/reset-recording")
        self._moto_api("POST", "/recorder/start-recording")

    def stop_recording(self) -> None:
        self._moto_api("POST", "/recorder/stop-recording")

    def recording(self) -> list[dict[str, Any]]:
        """The requests recorded so far, oldest first."""
        lines = self._moto_api("GET", "/recorder/download-recording").splitlines()
        return [_readable(json.loads(line)) for line in lines]

    def age(self, bucket: str, seconds: int) -> None:
        """Makes every object of a bucket so much older."""
        self._disturb("age", bucket=bucket, seconds=seconds)

    def age_keys(self, user: str, seconds: int, key: str | None = None) -> None:
        """Makes the access keys of a user, or one of them, and their last use so much older."""
        self._disturb("age-keys", user=user, seconds=seconds, key=key)

    def flap(self, **what: Any) -> None:
        """Has the next calls that match answered with an error; see flaps.Flap."""
        self._disturb("flap", **what)

    def _make_setup_user(self) -> None:
        self.call("iam", "create_user", {"UserName": SETUP_USER})
        policy = {
            "UserName": SETUP_USER,
            "PolicyName": "everything",
            "PolicyDocument": json.dumps(ALLOW_EVERYTHING),
        }
        self.call("iam", "put_user_policy", policy)
        key = self.call("iam", "create_access_key", {"UserName": SETUP_USER})["AccessKey"]
        self.setup_key = {"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}

    def _disturb(self, request: str, **arguments: Any) -> None:
        self._ask("POST", f"/peer/{request}", json.dumps(arguments))

    def _moto_api(self, method: str, path: str) -> str:
        return self._ask(method, f"/moto-api{path}")

    def _ask(self, method: str, path: str, body: str | None = None) -> str:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status != 200:
            raise AwsError("PeerFailed", f"{path}: HTTP {response.status}: {text[:500]}")
        return text


def _readable(entry: dict[str, Any]) -> dict[str, Any]:
    """One recorded request, with what a test looks for picked out of it."""
    headers = entry["headers"]
    body = entry.get("body") or ""
    if entry.get("body_encoded"):
        body = plain_text(base64.b64decode(body))
    # Credential=KEY/DATE/REGION/SERVICE/aws4_request
    authorization = headers.get("Authorization", "")
    scope = authorization.partition("Credential=")[2].partition(",")[0].split("/")
    signed = len(scope) == 5
    parameters = dict(parse_qsl(urlsplit(entry["url"]).query))
    if headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        parameters |= dict(parse_qsl(body))
    target = headers.get("X-Amz-Target", "").rpartition(".")[2]
    return {
        "method": entry["method"],
        "url": entry["url"],
        "headers": headers,
        "body": body,
        "service": scope[3] if signed else None,
        "access_key": scope[0] if signed else None,
        "action": parameters.get("Action") or target or None,
        "parameters": parameters,
    }
