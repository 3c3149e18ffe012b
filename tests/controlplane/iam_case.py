"""What the tests of the AWS peer's IAM have in common."""

import json
import unittest
from typing import Any

from test_up import Up

ACCOUNT = "123456789012"
CLUSTER = "registry-sts.dev/cluster-id"
TAGS = [{"Key": CLUSTER, "Value": "one"}]
ASSUME = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}


def arn(what: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:{what}"


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str | list[str], resource: str = "*", **condition: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def trust(*principals: str, **more: Any) -> str:
    named = principals[0] if len(principals) == 1 else list(principals)
    return document({
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": named}, **more,
    })  # fmt: skip


class Iam(unittest.TestCase):
    """A test case with a peer of its own. Names in it are used once."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.up = Up()
        cls.boundary = cls.ok(
            "create_policy", PolicyName="limit",
            PolicyDocument=document(allow(["sts:*", "s3:GetObject", "iam:GetUser"])),
        )["Policy"]["Arn"]  # fmt: skip

    @classmethod
    def tearDownClass(cls) -> None:
        cls.up.close()

    @classmethod
    def ok(cls, call: str, credentials: Any = None, service: str = "iam", **arguments: Any) -> Any:
        answer = cls.up.aws(service, call, credentials, **arguments)
        assert isinstance(answer, dict), f"{call}: {answer}"
        return answer

    def refused(self, code: str, call: str, credentials: Any = None, **arguments: Any) -> None:
        self.assertEqual(self.up.aws("iam", call, credentials, **arguments), code, call)

    def denied(self, *call: Any, **arguments: Any) -> None:
        self.refused("AccessDenied", *call, **arguments)

    def refusal(self, service: str, call: str, **arguments: Any) -> dict[str, Any]:
        return self.up.ask(service=service, call=call, args=arguments)["error"]

    def user(self, name: str, *statements: dict[str, Any], **more: Any) -> dict[str, str]:
        self.ok("create_user", UserName=name, **more)
        if statements:
            self.permit(name, *statements)
        return self.key(name)

    def permit(self, user: str, *statements: dict[str, Any]) -> None:
        permitted = document(*statements)
        self.ok("put_user_policy", UserName=user, PolicyName="own", PolicyDocument=permitted)

    def key(self, user: str) -> dict[str, str]:
        key = self.ok("create_access_key", UserName=user)["AccessKey"]
        return {"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}

    def role(self, name: str, trusted: str, **more: Any) -> str:
        made = self.ok("create_role", RoleName=name, AssumeRolePolicyDocument=trusted, **more)
        return made["Role"]["Arn"]

    def assume(self, key: dict[str, str], role: str, **more: Any) -> Any:
        arguments = {"RoleArn": role, "RoleSessionName": "check", **more}
        answer = self.up.aws("sts", "assume_role", key, **arguments)
        if isinstance(answer, str):
            return answer
        session = answer["Credentials"]
        return {
            "access_key": session["AccessKeyId"],
            "secret_key": session["SecretAccessKey"],
            "session_token": session["SessionToken"],
        }
