"""Checks that the AWS peer decides on calls as AWS does.

python3 -m unittest -v test_iam_permissions (in this folder; ten seconds). iam_evaluation.py
has its own tests, without a server.
"""

import unittest

from iam_case import ACCOUNT, ASSUME, CLUSTER, TAGS, Iam, allow, arn, document, trust


class Permissions(Iam):
    def test_creation_is_limited_to_a_path_a_boundary_and_tags(self) -> None:
        tagged = {f"aws:ResourceTag/{CLUSTER}": "one"}
        wanted = {"iam:PermissionsBoundary": self.boundary, f"aws:RequestTag/{CLUSTER}": "one"}
        key = self.user(
            "maker",
            allow(
                ["iam:CreateUser", "iam:TagUser"], arn("user/made/*"),
                StringEquals=wanted, **{"ForAllValues:StringLike": {"aws:TagKeys": "registry-*"}},
            ),
            allow("iam:GetUser", arn("user/made/*"), StringEquals=tagged),
        )  # fmt: skip
        right = {"Path": "/made/", "PermissionsBoundary": self.boundary, "Tags": TAGS}
        self.ok("create_user", key, UserName="made-1", **right)
        made = self.ok("get_user", key, UserName="made-1")["User"]
        self.assertEqual(made["Arn"], arn("user/made/made-1"))
        self.assertEqual(made["PermissionsBoundary"]["PermissionsBoundaryArn"], self.boundary)
        self.assertEqual(made["Tags"], TAGS)
        self.ok("create_policy", PolicyName="another", PolicyDocument=document(allow("iam:*")))
        for wrong in [
            {"Path": "/"},
            {"Path": "/other/"},
            {"PermissionsBoundary": arn("policy/another")},
            {"Tags": [{"Key": CLUSTER, "Value": "two"}]},
            {"Tags": [*TAGS, {"Key": "Owner", "Value": "x"}]},
            {"Tags": []},
        ]:
            self.denied("create_user", key, UserName="made-2", **(right | wrong))
        without = {name: value for name, value in right.items() if name != "PermissionsBoundary"}
        self.denied("create_user", key, UserName="made-2", **without)
        self.denied("delete_user", key, UserName="made-1")
        self.denied("get_user", key, UserName="maker")
        # What is not there is in no path, whatever the caller thinks.
        self.denied("get_user", key, UserName="made-2")
        self.permit("maker", allow("iam:CreateUser"))
        self.denied("create_user", key, UserName="made-2", **right)  # without iam:TagUser
        self.ok("create_user", key, UserName="made-2", **(right | {"Tags": []}))

    def test_the_same_for_roles(self) -> None:
        tagged = {"StringEquals": {f"iam:ResourceTag/{CLUSTER}": "one"}}
        key = self.user(
            "role-maker",
            allow(
                ["iam:CreateRole", "iam:PutRolePermissionsBoundary"], arn("role/made/*"),
                ArnEquals={"iam:PermissionsBoundary": self.boundary},
            ),
            allow("iam:PutRolePolicy", StringEquals={"iam:PermissionsBoundary": self.boundary}),
            allow("iam:TagRole", StringEquals={f"aws:RequestTag/{CLUSTER}": "one"}),
            allow(["iam:DeleteRole", "iam:UpdateAssumeRolePolicy", "iam:GetRole"], **tagged),
            allow("iam:AttachRolePolicy", ArnLike={"iam:PolicyARN": arn("policy/lim*")}),
        )  # fmt: skip
        made = {
            "RoleName": "made-1", "Path": "/made/", "Tags": TAGS,
            "AssumeRolePolicyDocument": trust(arn("user/role-maker")),
        }  # fmt: skip
        self.denied("create_role", key, **made)
        self.ok("create_role", key, **made, PermissionsBoundary=self.boundary)
        role = self.ok("get_role", key, RoleName="made-1")["Role"]
        self.assertEqual(role["PermissionsBoundary"]["PermissionsBoundaryArn"], self.boundary)
        inline = {"PolicyName": "p", "PolicyDocument": document(allow("s3:*"))}
        self.ok("put_role_policy", key, RoleName="made-1", **inline)
        self.role("unlimited", trust(ACCOUNT))
        self.denied("put_role_policy", key, RoleName="unlimited", **inline)
        self.denied("delete_role", key, RoleName="unlimited")
        self.denied("get_role", key, RoleName="unlimited")
        new = trust(ACCOUNT)
        self.ok("update_assume_role_policy", key, RoleName="made-1", PolicyDocument=new)
        self.ok("attach_role_policy", key, RoleName="made-1", PolicyArn=self.boundary)
        self.denied("attach_role_policy", key, RoleName="made-1", PolicyArn=arn("policy/x"))
        self.denied("tag_role", key, RoleName="made-1", Tags=[{"Key": "a", "Value": "b"}])
        self.denied("untag_role", key, RoleName="made-1", TagKeys=[CLUSTER])

    def test_condition_keys_that_an_action_does_not_know(self) -> None:
        limited = {"StringEquals": {"iam:PermissionsBoundary": self.boundary}}
        self.user("bounded", PermissionsBoundary=self.boundary)
        calls = ["iam:CreateAccessKey", "iam:TagUser", "iam:DeleteUser", "iam:PutUserPolicy"]
        key = self.user("asker", allow(calls, **limited))
        inline = {"PolicyName": "p", "PolicyDocument": document(allow("s3:*"))}
        self.ok("put_user_policy", key, UserName="bounded", **inline)
        self.denied("create_access_key", key, UserName="bounded")
        self.denied("tag_user", key, UserName="bounded", Tags=TAGS)
        self.denied("delete_user", key, UserName="bounded")

    def test_keys_belong_to_their_user(self) -> None:
        other = self.user("other")
        of_tagged = {"StringEquals": {f"aws:ResourceTag/{CLUSTER}": "one"}}
        key = self.user("keeper", allow("iam:*", arn("user/kept/*"), **of_tagged))
        kept = self.user("kept-1", Path="/kept/", Tags=TAGS)
        self.ok("get_access_key_last_used", key, AccessKeyId=kept["access_key"])
        self.denied("get_access_key_last_used", key, AccessKeyId=other["access_key"])
        self.denied("get_access_key_last_used", key, AccessKeyId="AKIA0000000000000000")
        self.denied("delete_access_key", key, AccessKeyId=other["access_key"])
        self.ok("delete_access_key", key, UserName="kept-1", AccessKeyId=kept["access_key"])
        self.denied("list_access_keys", key)  # its own
        self.denied("list_users", key)
        self.permit("keeper", allow("iam:ListUsers", arn("user/*")))
        self.ok("list_users", key)

    def test_the_refusal_says_who_what_and_where(self) -> None:
        key = self.user("told", Path="/a/b/")
        request = {"service": "iam", "call": "delete_user", "args": {"UserName": "told"}, "as": key}
        error = self.up.ask(**request)["error"]
        said = f"User: {arn('user/a/b/told')} is not authorized to perform: iam:DeleteUser"
        self.assertEqual((error["code"], error["status"]), ("AccessDenied", 403))
        self.assertTrue(error["message"].startswith(said), error)
        who = self.ok("get_caller_identity", key, "sts")
        self.assertEqual(who["Arn"], arn("user/a/b/told"))
        self.permit("told", allow("iam:*", StringEqualsIgnoreCase={"a:b": "c"}))
        self.refused("NotImplemented", "list_users", key)

    def test_the_boundary_of_users_and_roles_limits_them(self) -> None:
        key = self.user("limited", allow("*"))
        self.ok("list_users", key)
        self.up.aws("s3", "create_bucket", Bucket="limited")
        self.up.aws("s3", "put_object", Bucket="limited", Key="a", Body="a")
        self.ok(
            "put_user_permissions_boundary", UserName="limited", PermissionsBoundary=self.boundary
        )
        self.denied("list_users", key)
        self.ok("get_user", key)
        self.ok("get_object", key, "s3", Bucket="limited", Key="a")
        self.assertEqual(self.up.aws("s3", "list_objects", key, Bucket="limited"), "AccessDenied")
        role = self.role("limited", trust(arn("user/limited")), PermissionsBoundary=self.boundary)
        everything = document(allow("*"))
        self.ok("put_role_policy", RoleName="limited", PolicyName="p", PolicyDocument=everything)
        session = self.assume(key, role)
        self.denied("list_users", session)
        self.ok("get_object", session, "s3", Bucket="limited", Key="a")
        self.assertEqual(
            self.up.aws("s3", "list_objects", session, Bucket="limited"), "AccessDenied"
        )
        self.ok("delete_role_permissions_boundary", RoleName="limited")
        self.ok("list_users", session)
        self.ok("delete_user_permissions_boundary", UserName="limited")
        self.ok("list_users", key)
        self.assertNotIn("PermissionsBoundary", self.ok("get_user", UserName="limited")["User"])

    def test_conditions_count_in_s3(self) -> None:
        self.up.aws("s3", "create_bucket", Bucket="conditional")
        ours, theirs = ({"StringEquals": {"aws:ResourceAccount": one}} for one in (ACCOUNT, "0"))
        key = self.user("conditional", allow("s3:ListBucket", **ours))
        self.ok("list_objects", key, "s3", Bucket="conditional")
        self.permit("conditional", allow("s3:ListBucket", **theirs))
        listed = self.up.aws("s3", "list_objects", key, Bucket="conditional")
        self.assertEqual(listed, "AccessDenied")
        not_denied = allow("s3:*", **theirs) | {"Effect": "Deny"}
        self.permit("conditional", allow("s3:*"), not_denied)
        self.ok("list_objects", key, "s3", Bucket="conditional")
        by_kms = allow("s3:*", StringLike={"kms:ViaService": "*"})
        self.permit("conditional", by_kms)
        listed = self.up.aws("s3", "list_objects", key, Bucket="conditional")
        self.assertEqual(listed, "AccessDenied")

    def test_trust(self) -> None:
        key = self.user("in-path", ASSUME, Path="/p/")
        # A name that is the beginning of the other's.
        short = self.user("in-pat", ASSUME, Path="/p/")
        own = arn("user/p/in-path")
        role = self.role("listed", trust(own, ACCOUNT.replace("1", "2")))
        self.assertIn("session_token", self.assume(key, role))
        self.assertEqual(self.assume(short, role), "AccessDenied")
        with_id = trust(own, Condition={"StringEquals": {"sts:ExternalId": "ee"}})
        self.ok("update_assume_role_policy", RoleName="listed", PolicyDocument=with_id)
        self.assertEqual(self.assume(key, role), "AccessDenied")
        self.assertEqual(self.assume(key, role, ExternalId="ff"), "AccessDenied")
        session = self.assume(key, role, ExternalId="ee")
        self.ok("get_caller_identity", session, "sts")
        self.permit("in-path", allow("sts:AssumeRole", arn("role/other")))
        self.assertEqual(self.assume(key, role, ExternalId="ee"), "AccessDenied")
        self.assertEqual(self.assume(key, arn("role/nothing")), "AccessDenied")
        # A session is a principal, too, and its role's name is its own.
        two = self.role("two", trust(role))
        self.ok(
            "put_role_policy", RoleName="listed", PolicyName="p", PolicyDocument=document(ASSUME)
        )
        self.assertIn("session_token", self.assume(session, two))
        self.ok("delete_role_policy", RoleName="listed", PolicyName="p")
        self.ok("delete_role", RoleName="listed")
        self.assertEqual(self.assume(session, two), "AccessDenied")


if __name__ == "__main__":
    unittest.main()
