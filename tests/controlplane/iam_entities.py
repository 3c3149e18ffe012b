"""What moto's IAM keeps and refuses otherwise than AWS's: boundaries of users, trust, tags.

`install` puts it into moto's classes; the wrapped functions of moto do the rest.
"""

import json
import re
import threading
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.core.serialize import never_return
from moto.iam.exceptions import (
    DeleteConflictException,
    LimitExceededException,
    MalformedPolicyDocument,
    NoSuchEntity,
    ValidationError,
)
from moto.iam.models import IAMBackend, Role, User
from moto.iam.policy_validation import IAMTrustPolicyDocumentValidator
from moto.iam.responses import IamResponse
from moto.iam.utils import generate_access_key_id_from_account_id
from moto.sts.responses import TokenResponse

from iam_evaluation import aws_principals, statements
from iam_requests import tags_of

TAGS_OF_ONE = 50
TAG_VALUE = re.compile(r"[\w .:/=+\-@]*")
OTHER_PRINCIPAL = re.compile(r"\*|[0-9]{12}|arn:aws:iam::[0-9]{12}:root")
OF_AN_ACCOUNT = re.compile(r"arn:aws:(?:iam|sts)::([0-9]{12}):[^*?]+")
# moto's tables are plain dicts, which must not change while another thread goes through them.
_one_at_a_time = threading.RLock()


def install() -> None:
    for responses in (IamResponse, TokenResponse):
        responses.call_action = _alone(responses.call_action)
    # Calls of other services look roles up, too.
    IAMBackend.get_roles = lambda backend: list(backend.roles.values())

    User.__init__ = _with_unique_id(User.__init__)
    User.permissions_boundary_arn = None
    User.permissions_boundary = Role.permissions_boundary
    transformers = IamResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER
    transformers["ListUsersResponse.Users.User.PermissionsBoundary"] = never_return
    IamResponse.create_user = _with_boundary(IamResponse.create_user)
    IamResponse.put_user_permissions_boundary = _put_user_permissions_boundary
    IamResponse.delete_user_permissions_boundary = _delete_user_permissions_boundary
    IAMBackend.put_role_permissions_boundary = _to_be_there(
        IAMBackend.put_role_permissions_boundary
    )

    IAMBackend.create_role = _checked_role(IAMBackend.create_role)
    IAMBackend.update_assume_role_policy = _checked_trust(IAMBackend.update_assume_role_policy)
    IAMBackend.delete_user = _delete_user(IAMBackend.delete_user)
    IAMBackend.delete_role = _delete_role(IAMBackend.delete_role)

    IAMBackend._tag_verification = _checked_tags(IAMBackend._tag_verification)
    IAMBackend.tag_user = _limited_tags(IAMBackend.tag_user, IAMBackend.get_user)
    IAMBackend.tag_role = _limited_tags(IAMBackend.tag_role, IAMBackend.get_role)


def _alone(call: Callable[..., Any]) -> Callable[..., Any]:
    def called(response: IamResponse | TokenResponse) -> Any:
        with _one_at_a_time:
            return call(response)

    return called


def _with_unique_id(make: Callable[..., None]) -> Callable[..., None]:
    def made(user: User, account_id: str, *arguments: Any, **named: Any) -> None:
        make(user, account_id, *arguments, **named)
        user.id = generate_access_key_id_from_account_id(account_id, "AIDA", total_length=21)

    return made


def _with_boundary(create: Callable[..., ActionResult]) -> Callable[..., ActionResult]:
    def create_user(response: IamResponse) -> ActionResult:
        boundary = response._get_param("PermissionsBoundary")
        _must_be_there(response.backend, boundary)
        response.backend._tag_verification(response._get_param("Tags", []))
        result = create(response)
        result.result["User"].permissions_boundary_arn = boundary
        return result

    return create_user


def _put_user_permissions_boundary(response: IamResponse) -> ActionResult:
    boundary = response._get_param("PermissionsBoundary")
    user = response.backend.get_user(response._get_param("UserName"))
    _must_be_there(response.backend, boundary)
    user.permissions_boundary_arn = boundary
    return EmptyResult()


def _delete_user_permissions_boundary(response: IamResponse) -> ActionResult:
    response.backend.get_user(response._get_param("UserName")).permissions_boundary_arn = None
    return EmptyResult()


def _to_be_there(put: Callable[..., None]) -> Callable[..., None]:
    def put_role_permissions_boundary(backend: IAMBackend, name: str, boundary: str) -> None:
        _must_be_there(backend, boundary)
        put(backend, name, boundary)

    return put_role_permissions_boundary


def _must_be_there(backend: IAMBackend, boundary: str | None) -> None:
    if boundary is not None and boundary not in backend.managed_policies:
        raise NoSuchEntity(f"Scope ARN: {boundary} does not exist or is not attachable.")


def _checked_role(create: Callable[..., Role]) -> Callable[..., Role]:
    def create_role(
        backend: IAMBackend,
        role_name: str,
        assume_role_policy_document: str,
        path: str,
        permissions_boundary: str | None,
        *more: Any,
        **named: Any,
    ) -> Role:
        IAMTrustPolicyDocumentValidator(assume_role_policy_document).validate()
        _check_principals(backend, assume_role_policy_document)
        _must_be_there(backend, permissions_boundary)
        first = (role_name, assume_role_policy_document, path, permissions_boundary)
        return create(backend, *first, *more, **named)

    return create_role


def _checked_trust(update: Callable[..., None]) -> Callable[..., None]:
    def update_assume_role_policy(backend: IAMBackend, name: str, document: str) -> None:
        before = backend.get_role(name).assume_role_policy_document
        update(backend, name, document)
        try:
            _check_principals(backend, document)
        except MalformedPolicyDocument:
            backend.get_role(name).assume_role_policy_document = before
            raise

    return update_assume_role_policy


def _check_principals(backend: IAMBackend, document: str) -> None:
    for statement in statements(json.loads(document)):
        for named in aws_principals(statement.get("Principal")):
            if not _is_known(backend, named):
                raise MalformedPolicyDocument(f'Invalid principal in policy: "AWS":"{named}"')


def _is_known(backend: IAMBackend, principal: str) -> bool:
    if OTHER_PRINCIPAL.fullmatch(principal):
        return True
    found = OF_AN_ACCOUNT.fullmatch(principal)
    if found and found[1] != backend.account_id:
        return True  # nobody here knows who is there
    if found and ":assumed-role/" in principal:
        return principal.split("/")[1] in (role.name for role in backend.get_roles())
    known = [*backend.users.values(), *backend.get_roles()]
    return any(principal in (one.arn, one.id) for one in known)


def _delete_user(delete: Callable[..., None]) -> Callable[..., None]:
    def delete_user(backend: IAMBackend, user_name: str) -> None:
        user = backend.get_user(user_name)
        for what, left in [
            ("delete access keys", user.access_keys),
            ("delete login profile", user.password),
            ("remove user from groups", backend.get_groups_for_user(user_name)),
        ]:
            if left:
                raise DeleteConflictException(f"Cannot delete entity, must {what} first.")
        delete(backend, user_name)
        _forget_in_trust(backend, user)

    return delete_user


def _delete_role(delete: Callable[..., None]) -> Callable[..., None]:
    def delete_role(backend: IAMBackend, role_name: str) -> None:
        role = backend.get_role(role_name)
        delete(backend, role_name)
        _forget_in_trust(backend, role)

    return delete_role


def _forget_in_trust(backend: IAMBackend, gone: User | Role) -> None:
    """Trust in somebody deleted shows the unique id, which another of that name has not."""
    for role in backend.get_roles():
        document = json.loads(role.assume_role_policy_document)
        named = False
        for statement in statements(document):
            principals = aws_principals(statement.get("Principal"))
            if gone.arn in principals:
                named = True
                ids = [gone.id if one == gone.arn else one for one in principals]
                statement["Principal"]["AWS"] = ids[0] if len(ids) == 1 else ids
        if named:
            role.assume_role_policy_document = json.dumps(document)


def _checked_tags(verify: Callable[..., Any]) -> Callable[..., Any]:
    def verified(backend: IAMBackend, tags: list[dict[str, str]]) -> Any:
        for number, tag in enumerate(tags, 1):
            if not TAG_VALUE.fullmatch(tag["Value"]):
                raise ValidationError(
                    f"1 validation error detected: Value at 'tags.{number}.member.value' failed "
                    "to satisfy constraint: Member must satisfy regular expression pattern: "
                    r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*"
                )
        return verify(backend, tags)

    return verified


def _limited_tags(
    tag: Callable[..., None], find: Callable[[IAMBackend, str], User | Role]
) -> Callable[..., None]:
    def tagged(backend: IAMBackend, name: str, tags: list[dict[str, str]]) -> None:
        backend._tag_verification(tags)
        kept = {key.lower() for key in tags_of(find(backend, name))}
        if len(kept | {one["Key"].lower() for one in tags}) > TAGS_OF_ONE:
            raise LimitExceededException(f"Cannot exceed quota for tags: {TAGS_OF_ONE}")
        tag(backend, name, tags)

    return tagged
