"""Checks the evaluation of policies by itself: python3 -m unittest -v test_iam_evaluation"""

import unittest
from typing import Any

from iam_conditions import NotEvaluated
from iam_evaluation import evaluate, trusts

USER = "arn:aws:iam::123456789012:user/team/one"
ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
KEYS: dict[str, Any] = {
    "aws:RequestTag/Owner": "one",
    "aws:TagKeys": ["Owner", "Stage"],
    "iam:PermissionsBoundary": "arn:aws:iam::123456789012:policy/b/limit",
    "aws:SecureTransport": "true",
    "aws:username": "st*r",
}


def allowed(*statements: dict[str, Any], boundary: Any = None, **more: Any) -> bool:
    limit = None if boundary is None else {"Statement": boundary}
    call = {"action": "iam:CreateUser", "resource": USER, "context": KEYS} | more
    return evaluate([{"Statement": list(statements)}], limit, **call)


def allow(**elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "iam:*", "Resource": "*"} | elements


def deny(**elements: Any) -> dict[str, Any]:
    return allow(**elements) | {"Effect": "Deny"}


class Evaluation(unittest.TestCase):
    def table(self, rows: list[tuple[bool, dict[str, Any]]]) -> None:
        for expected, elements in rows:
            with self.subTest(elements):
                self.assertEqual(allowed(allow(**elements)), expected)

    def test_effects(self) -> None:
        self.assertFalse(allowed())
        self.assertTrue(allowed(ALL))
        self.assertFalse(allowed(ALL, deny()))
        self.assertFalse(allowed(deny(), ALL))
        self.assertTrue(allowed(ALL, deny(Action="iam:DeleteUser")))
        self.assertFalse(
            evaluate([{"Statement": ALL}, {"Statement": deny()}], None, "iam:A", "*", {})
        )

    def test_boundary(self) -> None:
        self.assertTrue(allowed(ALL, boundary=[ALL]))
        self.assertFalse(allowed(ALL, boundary=[]))
        self.assertFalse(allowed(ALL, boundary=[allow(Action="s3:*")]))
        self.assertFalse(allowed(ALL, boundary=[ALL, deny()]))
        self.assertFalse(allowed(boundary=[ALL]))  # it gives nothing

    def test_actions(self) -> None:
        self.table([
            (True, {"Action": "iam:CreateUser"}),
            (True, {"Action": "IAM:createuser"}),
            (True, {"Action": ["s3:GetObject", "iam:Create*"]}),
            (True, {"Action": "iam:CreateUse?"}),
            (False, {"Action": "iam:CreateUser?"}),
            (False, {"Action": "iam:Create"}),
            (False, {"Action": "iam.CreateUser"}),
        ])  # fmt: skip
        other = {"Effect": "Allow", "Resource": "*"}
        self.assertTrue(allowed(other | {"NotAction": "s3:*"}))
        self.assertFalse(allowed(other | {"NotAction": ["s3:*", "iam:CreateU*"]}))

    def test_resources(self) -> None:
        account = "arn:aws:iam::123456789012"
        self.table([
            (True, {"Resource": USER}),
            (True, {"Resource": f"{account}:user/team/*"}),
            (True, {"Resource": ["*"]}),
            (True, {"Resource": "arn:aws:iam::*:user/*"}),
            (True, {"Resource": f"{account}:user/te?m/one"}),
            (True, {"Resource": f"{account}:user/*e"}),
            (False, {"Resource": f"{account}:user/Team/*"}),
            (False, {"Resource": f"{account}:user/one"}),
            (False, {"Resource": f"{account}:role/*"}),
            (False, {"Resource": "arn:aws:iam::*"}),  # no wildcard reaches over a colon
            (False, {"Resource": f"{account}.user/team/one"}),
        ])  # fmt: skip
        other = {"Effect": "Allow", "Action": "*"}
        self.assertTrue(allowed(other | {"NotResource": f"{account}:role/*"}))
        self.assertFalse(allowed(other | {"NotResource": f"{account}:user/team/*"}))
        own = allow(Resource=f"{account}:user/${{aws:username}}")
        self.assertTrue(allowed(own, resource=f"{account}:user/st*r"))
        self.assertFalse(allowed(own, resource=f"{account}:user/star"))
        self.assertFalse(allowed(own, resource=f"{account}:user/", context={}))

    def test_conditions_on_one_value(self) -> None:
        tag, boundary = "aws:RequestTag/Owner", "iam:PermissionsBoundary"
        arn = KEYS[boundary]
        for expected, operator, key, value in [
            (True, "StringEquals", tag, "one"),
            (True, "StringEquals", tag.upper(), ["two", "one"]),
            (False, "StringEquals", tag, "One"),
            (False, "StringEquals", tag, "o*"),
            (True, "StringNotEquals", tag, "two"),
            (False, "StringNotEquals", tag, ["two", "one"]),
            (True, "StringLike", tag, "o?*"),
            (False, "StringLike", tag, "O*"),
            (False, "StringNotLike", tag, "o*"),
            (True, "StringNotLike", tag, "two*"),
            (True, "ArnEquals", boundary, arn),
            (True, "ArnEquals", boundary, "arn:aws:iam::*:policy/b/*"),
            (True, "ArnLike", boundary, "arn:*:iam:*:*:policy/*/limit"),
            (False, "ArnLike", boundary, "arn:aws:iam::*"),
            (False, "ArnNotEquals", boundary, arn),
            (True, "ArnNotLike", boundary, "arn:aws:iam::*:policy/c/*"),
            (True, "Bool", "aws:SecureTransport", True),
            (False, "Bool", "aws:SecureTransport", "false"),
            (True, "Null", tag, "false"),
            (False, "Null", tag, True),
            (True, "StringLike", "aws:username", "st${*}r"),
            (False, "StringLike", tag, "${aws:nothing}*"),
        ]:
            with self.subTest(operator=operator, key=key, value=value):
                self.assertEqual(allowed(allow(Condition={operator: {key: value}})), expected)

    def test_conditions_on_a_key_that_is_not_there(self) -> None:
        for expected, operator in [
            (False, "StringEquals"),
            (True, "StringNotEquals"),
            (False, "StringLike"),
            (True, "StringNotLike"),
            (False, "ArnEquals"),
            (True, "ArnNotEquals"),
            (False, "ArnLike"),
            (False, "Bool"),
            (True, "StringEqualsIfExists"),
            (True, "ArnLikeIfExists"),
            (True, "StringNotEqualsIfExists"),
            (True, "ForAllValues:StringEquals"),
            (False, "ForAnyValue:StringEquals"),
            (False, "ForAnyValue:StringNotEquals"),
            (True, "ForAnyValue:StringEqualsIfExists"),
            (True, "Null"),
        ]:
            with self.subTest(operator):
                one = allow(Condition={operator: {"aws:RequestTag/None": "true"}})
                self.assertEqual(allowed(one), expected)
        self.assertTrue(allowed(ALL, deny(Condition={"StringEquals": {"a:b": "c"}})))
        self.assertFalse(allowed(ALL, deny(Condition={"StringNotEquals": {"a:b": "c"}})))

    def test_conditions_on_several_values(self) -> None:
        for expected, operator, value in [
            (True, "ForAllValues:StringEquals", ["Owner", "Stage", "More"]),
            (False, "ForAllValues:StringEquals", ["Owner"]),
            (True, "ForAllValues:StringLike", "*"),
            (False, "ForAllValues:StringNotEquals", "Stage"),
            (True, "ForAnyValue:StringEquals", "Stage"),
            (False, "ForAnyValue:StringEquals", "stage"),
            (True, "ForAnyValue:StringNotEquals", "Stage"),
            (True, "ForAnyValue:StringLike", "S*"),
        ]:
            with self.subTest(operator=operator, value=value):
                one = allow(Condition={operator: {"aws:TagKeys": value}})
                self.assertEqual(allowed(one), expected)

    def test_all_operators_and_keys_have_to_hold(self) -> None:
        tag, boundary = "aws:RequestTag/Owner", "iam:PermissionsBoundary"
        for expected, conditions in [
            (True, {"StringEquals": {tag: "one", boundary: KEYS[boundary]}}),
            (False, {"StringEquals": {tag: "one", boundary: "other"}}),
            (True, {"StringEquals": {tag: "one"}, "Null": {boundary: "false"}}),
            (False, {"StringEquals": {tag: "one"}, "Null": {boundary: "true"}}),
            (True, {}),
        ]:
            with self.subTest(conditions):
                self.assertEqual(allowed(allow(Condition=conditions)), expected)

    def test_what_is_not_evaluated_is_an_error_whatever_the_call_is(self) -> None:
        for operator in ["NumericEquals", "stringEquals", "ForSome:StringEquals", "NullIfExists"]:
            one = allow(Action="s3:*", Condition={operator: {"a": "b"}})
            with self.subTest(operator), self.assertRaises(NotEvaluated):
                allowed(ALL, one)
        with self.assertRaises(NotEvaluated):
            allowed(
                allow(Condition={"StringEquals": {"a": "${aws:username, 'x'}"}}), context={"a": "b"}
            )

    def test_trust(self) -> None:
        names = {USER, "123456789012"}

        def trusted(principal: Any, effect: str = "Allow", **more: Any) -> bool:
            one = {"Effect": effect, "Action": "sts:AssumeRole", "Principal": principal} | more
            context = {"sts:ExternalId": "e"}
            return trusts({"Statement": [one]}, names, "sts:AssumeRole", context)

        self.assertTrue(trusted({"AWS": USER}))
        self.assertTrue(trusted({"AWS": ["arn:aws:iam::123456789012:user/x", USER]}))
        self.assertTrue(trusted({"AWS": "123456789012"}))
        self.assertTrue(trusted("*"))
        self.assertFalse(trusted({"AWS": USER + "s"}))
        self.assertFalse(trusted({"AWS": [USER + "s", USER[:-1]]}))
        self.assertFalse(trusted({"Service": USER}))
        self.assertFalse(trusted({"AWS": USER}, "Deny"))
        self.assertTrue(trusted({"AWS": USER}, Condition={"StringEquals": {"sts:ExternalId": "e"}}))
        self.assertFalse(
            trusted({"AWS": USER}, Condition={"StringEquals": {"sts:ExternalId": "f"}})
        )
        with self.assertRaises(NotEvaluated):
            trusts({"Statement": [deny(NotPrincipal={"AWS": USER})]}, names, "iam:A", {})


if __name__ == "__main__":
    unittest.main()
