"""Calls of IAM and STS that are refused: in AWS's words, or as a test asked for."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from moto.core.exceptions import _RESTError as RESTError
from moto.core.responses import BaseResponse
from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse
from moto.sts.models import sts_backends
from moto.sts.responses import TokenResponse

from refusal import Refusal


@dataclass
class Flap:
    actions: list[str]
    code: str
    message: str
    status: int = 400
    times: int = 1
    user: str | None = None  # or a role: in the request, or whose key it was signed with
    match: str | None = None  # in the parameters, or in the Authorization header

    def meets(self, response: BaseResponse) -> bool:
        if self.times <= 0 or response._get_action() not in self.actions:
            return False
        sent = {name: value[0] for name, value in response.data.items()}
        if self.user is not None and self.user not in _names(response, sent):
            return False
        plain = "\n".join(f"{name}={value}" for name, value in sent.items())
        texts = (urlencode(sent), plain, response.headers.get("Authorization", ""))
        return self.match is None or any(self.match in text for text in texts)


_flaps: list[Flap] = []
_taking = threading.Lock()


def add(flap: Flap) -> None:
    with _taking:
        _flaps.append(flap)


def install() -> None:
    for responses in (IamResponse, TokenResponse):
        responses._authenticate_and_authorize_normal_action = _flapping(
            responses._authenticate_and_authorize_normal_action
        )


def _flapping(authorize: Callable[..., None]) -> Callable[..., None]:
    def authorized(response: BaseResponse, resource: str = "*") -> None:
        # First: only who may make the call sees it flap, as with AWS.
        try:
            authorize(response, resource)
        except RESTError as error:  # in a form of moto's own, in which SDKs see no code
            raise Refusal(error.error_type, error.message, error.code) from error
        with _taking:
            flap = next((one for one in _flaps if one.meets(response)), None)
            if flap is None:
                return
            flap.times -= 1
            _flaps[:] = [one for one in _flaps if one.times > 0]
        raise Refusal(flap.code, flap.message, flap.status)

    return authorized


def _names(response: BaseResponse, sent: dict[str, str]) -> set[str]:
    named = {sent.get(parameter, "") for parameter in ("UserName", "RoleName")}
    named.add(sent.get("RoleArn", "").rpartition("/")[2])
    account, partition, key = response.current_account, response.partition, response.access_key
    if user := iam_backends[account][partition].get_user_from_access_key_id(key):
        named.add(user.name)
    if session := sts_backends[account][partition].get_assumed_role_from_access_key(key):
        named.add(session.role_arn.rpartition("/")[2])
    return named
