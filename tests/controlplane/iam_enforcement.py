"""Makes moto decide on calls as AWS does: resources, conditions, boundaries and trust.

moto matches IAM's actions against the resource "*" alone, ignores conditions, knows no
boundaries, and lets an inactive access key in. Who it is and the signature stay its own.
"""

from collections.abc import Callable
from typing import Any

import moto.iam.models
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import AccessDeniedError
from moto.iam.access_control import (
    AssumedRoleAccessKey,
    CreateAccessKeyFailure,
    IAMPolicy,
    IAMRequestBase,
    IAMUserAccessKey,
)
from moto.iam.models import IAMBackend, Role, User

from iam_conditions import NotEvaluated
from iam_evaluation import Document, evaluate, trusts
from iam_requests import Call, boundary_of, tags_of
from refusal import Refusal

Key = IAMUserAccessKey | AssumedRoleAccessKey
NOTHING: Document = {"Statement": []}
# The calls that AWS has no action of their own for.
ASKED_AS = {"HeadBucket": "ListBucket"}


def install() -> None:
    IAMUserAccessKey.__init__ = _active_only(IAMUserAccessKey.__init__)
    IAMUserAccessKey.arn = property(lambda key: key.backend.get_user(key._owner_user_name).arn)
    IAMRequestBase.check_action_permitted = _check
    ActionAuthenticatorMixin._authenticate_and_authorize_action = _unless_by_token(
        ActionAuthenticatorMixin._authenticate_and_authorize_action
    )
    moto.iam.models.mark_account_as_visited = _unless_inactive(
        moto.iam.models.mark_account_as_visited
    )


def _active_only(make: Callable[..., None]) -> Callable[..., None]:
    def made(key: IAMUserAccessKey, *arguments: Any, **named: Any) -> None:
        make(key, *arguments, **named)
        user = key.backend.get_user(key._owner_user_name)
        if user.get_access_key_by_id(key._access_key_id).status != "Active":
            raise CreateAccessKeyFailure(reason="InvalidId")

    return made


def _unless_by_token(authorize: Callable[..., None]) -> Callable[..., None]:
    """Who shows a token has no key to sign with, and needs none."""

    def authorized(request: Any, *arguments: Any, **named: Any) -> None:
        signed = "Authorization" in request.headers
        if signed or request._get_action() != "AssumeRoleWithWebIdentity":
            authorize(request, *arguments, **named)

    return authorized


def _unless_inactive(mark: Callable[..., None]) -> Callable[..., None]:
    def marked(account_id: str, access_key: str, service: str, region: str) -> None:
        backend = moto.iam.models.iam_backends[account_id]["aws"]
        key = backend.access_keys.get(access_key)
        if key is None or key.status == "Active":
            mark(account_id, access_key, service, region)

    return marked


def _check(request: IAMRequestBase, resource: str) -> None:
    if request._action == "sts:GetCallerIdentity":  # AWS allows it even against a Deny
        return
    try:
        _check_call(request, resource)
    except NotEvaluated as cause:
        raise Refusal(
            "NotImplemented", f"The AWS peer of these tests lacks {cause}.", 501
        ) from cause


def _check_call(request: IAMRequestBase, resource: str) -> None:
    service, action = request._action.split(":", 1)
    backend, key = request.backend, request._access_key
    owner = _owner(backend, key)
    context = _of_the_caller(key, owner) | {"aws:ResourceAccount": backend.account_id}
    actions, role = [ASKED_AS.get(action, action)], None
    if service in ("iam", "sts"):
        sent = {name: value[0] for name, value in request._data.items()}
        call = Call(action, sent, owner)
        resource, stored = call.subject(backend)
        actions, context = call.actions(), context | call.context(stored)
        role = stored if isinstance(stored, Role) else None
    # The session of a role that is gone may nothing any more.
    attached = [] if owner is None else key.collect_policies()
    policies = [IAMPolicy(one)._policy_json for one in attached]
    boundary = _boundary(backend, owner)
    for one in actions:
        permitted = evaluate(policies, boundary, f"{service}:{one}", resource, context)
        if permitted and (service, one) == ("sts", "AssumeRole"):
            permitted = role is not None and _trusted(role, key, owner, context)
        if not permitted and service in ("iam", "sts"):
            raise AccessDeniedError(key.arn, f"{service}:{one} on resource: {resource}")
        if not permitted:
            request._raise_access_denied()


def _owner(backend: IAMBackend, key: Key) -> User | Role | None:
    """The user or role behind a key; a role may be gone while its keys are still about."""
    if isinstance(key, IAMUserAccessKey):
        return backend.get_user(key._owner_user_name)
    roles = list(backend.roles.values())
    return next((role for role in roles if role.name == key._owner_role_name), None)


def _of_the_caller(key: Key, owner: User | Role | None) -> dict[str, Any]:
    context: dict[str, Any] = {"aws:PrincipalAccount": key.account_id}
    if owner is None:
        return context
    context["aws:PrincipalArn"] = owner.arn
    if isinstance(owner, User):
        context |= {"aws:username": owner.name, "aws:userid": owner.id}
    else:
        context["aws:userid"] = f"{owner.id}:{key._session_name}"
    return context | {f"aws:PrincipalTag/{tag}": value for tag, value in tags_of(owner).items()}


def _boundary(backend: IAMBackend, owner: User | Role | None) -> Document | None:
    arn = boundary_of(owner)
    if arn is None:
        return None
    policy = backend.managed_policies.get(arn)
    return IAMPolicy(policy)._policy_json if policy else NOTHING


def _trusted(role: Role, key: Key, owner: User | Role | None, context: dict[str, Any]) -> bool:
    """Whether the role trusts the caller, by any of the names that AWS knows it by."""
    account = key.account_id
    names = {key.arn, account, f"arn:{key.partition}:iam::{account}:root"}
    names |= {owner.arn, owner.id} if owner else set()
    trust = IAMPolicy(role.assume_role_policy_document)._policy_json
    return trusts(trust, names, "sts:AssumeRole", context)
