"""Checks what the AWS peer's IAM keeps and refuses: python3 -m unittest -v test_iam_entities

(in this folder; ten seconds). And how it is made older, and made to fail.
"""

import json
import unittest
from datetime import datetime, timedelta

from iam_case import ACCOUNT, ASSUME, TAGS, Iam, allow, arn, trust


class Entities(Iam):
    def test_boundaries_that_are_not_there(self) -> None:
        nowhere = arn("policy/nowhere")
        self.user("b")
        made = {"RoleName": "b", "AssumeRolePolicyDocument": trust(ACCOUNT)}
        self.refused("NoSuchEntity", "create_user", UserName="c", PermissionsBoundary=nowhere)
        self.refused("NoSuchEntity", "get_user", UserName="c")
        self.refused("NoSuchEntity", "create_role", **made, PermissionsBoundary=nowhere)
        put = {"UserName": "b", "PermissionsBoundary": nowhere}
        self.refused("NoSuchEntity", "put_user_permissions_boundary", **put)
        listed = self.ok("list_users")["Users"]
        self.assertFalse([one for one in listed if "PermissionsBoundary" in one])

    def test_who_has_something_left_is_not_deleted(self) -> None:
        key = self.user("kept", allow("s3:*"))
        self.ok("attach_user_policy", UserName="kept", PolicyArn=self.boundary)
        error = self.refusal("iam", "delete_user", UserName="kept")
        self.assertEqual((error["code"], error["status"]), ("DeleteConflict", 409))
        self.ok("delete_access_key", UserName="kept", AccessKeyId=key["access_key"])
        self.refused("DeleteConflict", "delete_user", UserName="kept")
        self.ok("delete_user_policy", UserName="kept", PolicyName="own")
        self.refused("DeleteConflict", "delete_user", UserName="kept")
        self.ok("detach_user_policy", UserName="kept", PolicyArn=self.boundary)
        self.ok("delete_user", UserName="kept")
        self.refused("NoSuchEntity", "delete_user", UserName="kept")

    def test_keys(self) -> None:
        key = self.user("keyed", allow("*"))
        self.key("keyed")
        error = self.refusal("iam", "create_access_key", UserName="keyed")
        self.assertEqual((error["code"], error["status"]), ("LimitExceeded", 409))

        def switch(status: str) -> None:
            named = {"UserName": "keyed", "AccessKeyId": key["access_key"]}
            self.ok("update_access_key", **named, Status=status)

        self.ok("list_users", key)
        switch("Inactive")
        for service, call, code in [
            ("iam", "list_users", "InvalidClientTokenId"),
            ("sts", "get_caller_identity", "InvalidClientTokenId"),
            ("s3", "list_buckets", "InvalidAccessKeyId"),
        ]:
            error = self.up.ask(**{"service": service, "call": call, "as": key})["error"]
            self.assertEqual((error["code"], error["status"]), (code, 403))
        used = self.ok("get_access_key_last_used", AccessKeyId=key["access_key"])
        self.assertEqual(used["AccessKeyLastUsed"]["ServiceName"], "iam")
        switch("Active")
        self.ok("list_users", key)

    def test_trust_names_who_is_there(self) -> None:
        self.ok("create_user", UserName="trusted", Path="/t/")
        own = arn("user/t/trusted")
        for nobody in ["user/trusted", "user/t/*", "role/t", "group/t"]:
            wrong = {"RoleName": "t", "AssumeRolePolicyDocument": trust(own, arn(nobody))}
            error = self.refusal("iam", "create_role", **wrong)
            self.assertEqual((error["code"], error["status"]), ("MalformedPolicyDocument", 400))
            said = f'Invalid principal in policy: "AWS":"{arn(nobody)}"'
            self.assertEqual(error["message"], said)
        role = self.role("t", trust(own, "arn:aws:iam::222222222222:user/unseen"))
        change = {"RoleName": "t", "PolicyDocument": trust(arn("user/none"))}
        self.refused("MalformedPolicyDocument", "update_assume_role_policy", **change)
        self.ok("update_assume_role_policy", RoleName="t", PolicyDocument=trust(own))
        gone = self.ok("get_user", UserName="trusted")["User"]["UserId"]
        self.assertTrue(gone.startswith("AIDA"), gone)
        self.ok("delete_user", UserName="trusted")
        shown = self.ok("get_role", RoleName="t")["Role"]["AssumeRolePolicyDocument"]
        self.assertEqual(shown["Statement"][0]["Principal"], {"AWS": gone})
        # Another of that name is another one.
        again = self.user("trusted", ASSUME, Path="/t/")
        self.assertEqual(self.assume(again, role), "AccessDenied")
        stale = {"RoleName": "t", "PolicyDocument": json.dumps(shown)}
        self.refused("MalformedPolicyDocument", "update_assume_role_policy", **stale)
        self.ok("update_assume_role_policy", RoleName="t", PolicyDocument=trust(own))
        self.assertIn("session_token", self.assume(again, role))

    def test_tags(self) -> None:
        made = {"Key": "registry-sts.dev/key-AKIAIOSFODNN7EXAMPLE", "Value": "a b_.:/=+-@é"}
        self.ok("create_user", UserName="tagged", Tags=[made])
        self.role("tagged", trust(ACCOUNT), Tags=[made])
        self.assertEqual(self.ok("get_user", UserName="tagged")["User"]["Tags"], [made])
        self.assertEqual(self.ok("get_role", RoleName="tagged")["Role"]["Tags"], [made])
        self.ok("tag_user", UserName="tagged", Tags=[{"Key": "k" * 128, "Value": ""}])
        for key, value in [("a,b", ""), ("k" * 129, ""), ("a", '{"b": 1}'), ("a", "v" * 257)]:
            wrong = [{"Key": key, "Value": value}]
            expected = ("ValidationError", "ParamValidationError")  # of AWS, or of boto before it
            for call in ({"UserName": "tagged"}, {"RoleName": "tagged"}):
                kind = "user" if "UserName" in call else "role"
                self.assertIn(self.up.aws("iam", f"tag_{kind}", Tags=wrong, **call), expected)
        more = [{"Key": f"k{number}", "Value": ""} for number in range(49)]
        self.refused("LimitExceeded", "tag_user", UserName="tagged", Tags=more)
        self.ok("tag_role", RoleName="tagged", Tags=more)
        self.refused("LimitExceeded", "tag_role", RoleName="tagged", Tags=TAGS)


class Disturbances(Iam):
    def test_age_of_keys(self) -> None:
        key, other = self.user("aged", allow("iam:*")), self.key("aged")
        self.ok("list_users", key)

        def times() -> list[datetime]:
            listed = self.ok("list_access_keys", UserName="aged")["AccessKeyMetadata"]
            made = {one["AccessKeyId"]: one["CreateDate"] for one in listed}
            used = self.ok("get_access_key_last_used", AccessKeyId=key["access_key"])
            last = used["AccessKeyLastUsed"]["LastUsedDate"]
            found = [made[key["access_key"]], made[other["access_key"]], last]
            return [datetime.fromisoformat(one) for one in found]

        before = times()
        self.assertEqual(
            self.up.ask(peer="age-keys", args={"user": "aged", "seconds": 60}), {"ok": {}}
        )
        older = {"user": "aged", "seconds": 3600, "key": other["access_key"]}
        self.up.ask(peer="age-keys", args=older)
        changes = [old - new for old, new in zip(before, times(), strict=True)]
        self.assertEqual(changes, [timedelta(seconds=one) for one in (60, 3660, 60)])
        self.ok("list_users", key)
        self.assertGreater(times()[2], before[2] - timedelta(seconds=60))
        nobody = self.up.ask(peer="age-keys", args={"user": "nobody", "seconds": 1})
        self.assertEqual(nobody["error"]["code"], "PeerFailed")

    def test_flaps(self) -> None:
        flap = {
            "actions": ["CreateRole", "AssumeRole"], "code": "MalformedPolicyDocument",
            "message": 'Invalid principal in policy: "AWS":"x<y"',
        }  # fmt: skip
        made = {"RoleName": "flapping", "AssumeRolePolicyDocument": trust(ACCOUNT)}
        asked = flap | {"user": "flapping", "times": 2}
        self.assertEqual(self.up.ask(peer="flap", args=asked), {"ok": {}})
        self.role("steady", trust(ACCOUNT))  # another name
        self.up.ask(peer="start-recording")
        for _ in range(2):
            error = self.refusal("iam", "create_role", **made)
            told = (error["code"], error["message"], error["status"])
            self.assertEqual(told, (flap["code"], flap["message"], 400))
        self.up.ask(peer="stop-recording")
        self.assertEqual(len(self.up.ask(peer="recording")["ok"]), 2)
        self.refused("NoSuchEntity", "get_role", RoleName="flapping")
        self.role("flapping", trust(ACCOUNT))

        # By who asks, and by what is in the request or who signed it.
        key, other = self.user("caller", ASSUME), self.user("other-caller", ASSUME)
        for which in ({"user": "caller"}, {"match": key["access_key"]}):
            slow = {"code": "Throttling", "message": "Rate exceeded", "status": 503}
            self.up.ask(peer="flap", args=flap | slow | which)
            role = arn("role/flapping")
            self.assertIn("session_token", self.assume(other, role))
            self.assertEqual(self.assume(key, role), "Throttling")
            self.assertIn("session_token", self.assume(key, role))
        self.up.ask(peer="flap", args=flap | {"match": "RoleSessionName=one"})
        self.assertIn("session_token", self.assume(key, role))
        flapped = self.assume(key, role, RoleSessionName="one")
        self.assertEqual(flapped, "MalformedPolicyDocument")
        wrong = self.up.ask(peer="flap", args={"actions": []})["error"]["code"]
        self.assertEqual(wrong, "PeerFailed")


if __name__ == "__main__":
    unittest.main()
