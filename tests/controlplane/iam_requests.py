"""What an IAM or STS call is about: the ARN of its resource, and its condition keys.

As the Service Authorization Reference has them for IAM. What does not exist has no path and
no tags that anybody could know: it is at `user/NAME`, whatever path a caller thinks of.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.iam.models import IAMBackend, OpenIDConnectProvider, Policy, Role, User

# The first parameter that a call has says what it is about.
NAMES = {
    "GroupName": "group",
    "InstanceProfileName": "instance-profile",
    "UserName": "user",
    "RoleName": "role",
    "PolicyName": "policy",  # CreatePolicy's; all others that have it have another name first
}
ARNS = ("PolicyArn", "OpenIDConnectProviderArn", "RoleArn")
LISTS = {
    "ListGroups": "group/",
    "ListInstanceProfiles": "instance-profile/",
    "ListOpenIDConnectProviders": "oidc-provider/",
    "ListPolicies": "policy/",
    "ListRoles": "role/",
    "ListUsers": "user/",
}
# These mean the caller where they name nobody.
OF_THE_CALLER = ("CreateAccessKey", "GetUser", "ListAccessKeys")
REQUESTED_BOUNDARY = (
    "CreateRole", "CreateUser", "PutRolePermissionsBoundary", "PutUserPermissionsBoundary",
)  # fmt: skip
# No other action knows iam:PermissionsBoundary: CreateAccessKey, DeleteUser, TagUser or
# UpdateAssumeRolePolicy with a condition on it are allowed to nobody.
STORED_BOUNDARY = tuple(
    f"{verb}{kind}{what}"
    for kind in ("Role", "User")
    for verb, what in [
        ("Attach", "Policy"), ("Delete", "PermissionsBoundary"), ("Delete", "Policy"),
        ("Detach", "Policy"), ("Put", "Policy"),
    ]
)  # fmt: skip
# To create something with tags takes the right to tag it, too.
TAGGING = {
    "CreateOpenIDConnectProvider": "TagOpenIDConnectProvider",
    "CreatePolicy": "TagPolicy",
    "CreateRole": "TagRole",
    "CreateUser": "TagUser",
}


@dataclass(frozen=True)
class Call:
    """One call: its action without the service, and its parameters as they were sent."""

    action: str
    parameters: Mapping[str, str]
    caller: User | Role | None

    def actions(self) -> list[str]:
        """All that the caller has to have the right to."""
        more = TAGGING.get(self.action) if self._members("Tags", "Key") else None
        return [self.action, *([more] if more else [])]

    def subject(self, backend: IAMBackend) -> tuple[str, Any]:
        """The ARN of what the call is about, and what is stored there, if anything is."""
        account = f"arn:{backend.partition}:iam::{backend.account_id}:"
        for parameter, kind in NAMES.items():
            if name := self.parameters.get(parameter):
                found = None if self._creates() else _stored(backend, kind, name)
                if found is not None:
                    return found.arn, found
                path = self.parameters.get("Path") or "/"
                return f"{account}{kind}{path if self._creates() else '/'}{name}", None
        for parameter in ARNS:
            if arn := self.parameters.get(parameter):
                return arn, _stored_at(backend, arn)
        if url := self.parameters.get("Url"):
            return f"{account}oidc-provider/{url.removeprefix('https://')}", None
        if key := self.parameters.get("AccessKeyId"):
            owner = backend.get_user_from_access_key_id(key)
            return (owner.arn, owner) if owner else (f"{account}user/", None)
        if self.action in OF_THE_CALLER and isinstance(self.caller, User):
            return self.caller.arn, self.caller
        return (account + LISTS[self.action] if self.action in LISTS else "*"), None

    def context(self, stored: Any) -> dict[str, str | list[str]]:
        """The condition keys; `stored` is what `subject` found."""
        keys: dict[str, str | list[str]] = {}
        for name, parameter in [
            ("iam:PolicyARN", "PolicyArn"),
            ("sts:ExternalId", "ExternalId"),
            ("sts:RoleSessionName", "RoleSessionName"),
        ]:
            if value := self.parameters.get(parameter):
                keys[name] = value
        values = self._members("Tags", "Value")
        tags = {key: values.get(n, "") for n, key in self._members("Tags", "Key").items()}
        keys |= {f"aws:RequestTag/{key}": value for key, value in tags.items()}
        if named := [*tags, *self._members("TagKeys").values()]:
            keys["aws:TagKeys"] = named
        for key, value in tags_of(stored).items():
            keys[f"aws:ResourceTag/{key}"] = keys[f"iam:ResourceTag/{key}"] = value
        boundary = None
        if self.action in REQUESTED_BOUNDARY:
            boundary = self.parameters.get("PermissionsBoundary")
        elif self.action in STORED_BOUNDARY:
            boundary = boundary_of(stored)
        return keys | ({"iam:PermissionsBoundary": boundary} if boundary else {})

    def _creates(self) -> bool:
        # These three create something of what they name, which has to be there.
        of_another = ("CreateAccessKey", "CreateLoginProfile", "CreatePolicyVersion")
        return self.action.startswith("Create") and self.action not in of_another

    def _members(self, name: str, field: str = "") -> dict[str, str]:
        """The values of NAME.member.N, or of NAME.member.N.FIELD, by N."""
        start, end = f"{name}.member.", f".{field}" if field else ""
        return {
            parameter.removeprefix(start).removesuffix(end): value
            for parameter, value in self.parameters.items()
            if parameter.startswith(start) and parameter.endswith(end)
        }


def tags_of(stored: Any) -> dict[str, str]:
    if isinstance(stored, User | Role):
        tags = stored.tags or []
    elif isinstance(stored, Policy | OpenIDConnectProvider):
        tags = list((stored.tags or {}).values())
    else:
        tags = []
    return {tag["Key"]: tag["Value"] for tag in tags}


def boundary_of(stored: Any) -> str | None:
    """The ARN of the permissions boundary of a user or role, if it has one."""
    return getattr(stored, "permissions_boundary_arn", None)


def _stored(backend: IAMBackend, kind: str, name: str) -> Any:
    if kind == "user":
        return backend.users.get(name)
    if kind == "group":
        return backend.groups.get(name)
    among = {"role": backend.roles, "instance-profile": backend.instance_profiles}.get(kind, {})
    return next((one for one in list(among.values()) if one.name == name), None)


def _stored_at(backend: IAMBackend, arn: str) -> Any:
    if arn in backend.open_id_providers:
        return backend.open_id_providers[arn]
    if arn in backend.managed_policies:
        return backend.managed_policies[arn]
    return next((role for role in list(backend.roles.values()) if role.arn == arn), None)
