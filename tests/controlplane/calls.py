"""Calls of boto3 client methods on one endpoint, as any user, with plain JSON answers."""

import base64
import html
import json
import re
import threading
from collections.abc import Callable
from typing import Any

import botocore.config
import botocore.exceptions
import botocore.session

REGION = "us-east-1"
CACHED_CLIENTS = 64


class AwsError(Exception):
    """An error answer, or a request that could not be made."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status  # of the HTTP answer, where there was one


class Caller:
    """Clients of one AWS-protocol server; `more` goes to botocore's Config."""

    def __init__(
        self, url: str, before_sign: Callable[..., None] | None = None, **more: Any
    ) -> None:
        self.url = url
        self._before_sign = before_sign  # may change a request
        self._more = more
        self._clients: dict[tuple[str, ...], Any] = {}
        self._making_client = threading.Lock()
        self._session = botocore.session.Session()
        self._answer = threading.local()  # the body of the last answer to this thread

    def call(
        self,
        service: str,
        method: str,
        arguments: dict[str, Any] | None,
        credentials: dict[str, str],
    ) -> dict[str, Any]:
        """One call; raises AwsError for an error answer."""
        try:
            client = self._client(service, credentials)
            operation = getattr(client, method, None)
            if operation is None:
                raise AwsError("UnknownCall", f"{service} has no {method}")
            self._answer.body = b""
            answer = operation(**(arguments or {}))
        except botocore.exceptions.ClientError as error:
            raise _told(error.response, self._answer.body) from error
        except botocore.exceptions.BotoCoreError as error:
            raise AwsError(type(error).__name__, str(error)) from error
        answer.pop("ResponseMetadata", None)
        return json.loads(json.dumps(answer, default=_plain))

    def _client(self, service: str, credentials: dict[str, str]) -> Any:
        access, secret = credentials["access_key"], credentials["secret_key"]
        session_token = credentials.get("session_token")
        key = (service, access, secret, session_token or "")
        # Clients may be used from many threads, but not made.
        with self._making_client:
            if key not in self._clients:
                if len(self._clients) >= CACHED_CLIENTS:
                    self._clients.pop(next(iter(self._clients)))
                client = self._session.create_client(
                    service,
                    region_name=REGION,
                    endpoint_url=self.url,
                    aws_access_key_id=access,
                    aws_secret_access_key=secret,
                    aws_session_token=session_token,
                    config=botocore.config.Config(
                        retries={"total_max_attempts": 1},
                        s3={"addressing_style": "path"},
                        connect_timeout=5,
                        read_timeout=30,
                        max_pool_connections=32,
                        proxies={},
                        **self._more,
                    ),
                )
                client.meta.events.register("before-parse", self._keep_body)
                if self._before_sign is not None:
                    client.meta.events.register("before-sign", self._before_sign)
                self._clients[key] = client
            return self._clients[key]

    def _keep_body(self, response_dict: dict[str, Any], **_: Any) -> None:
        self._answer.body = response_dict["body"]


def _told(response: dict[str, Any], body: Any) -> AwsError:
    error = response.get("Error", {})
    code, message = error.get("Code", "Unknown"), error.get("Message", "")
    # botocore does not see what it expects elsewhere: where moto refuses a caller of a
    # service that speaks JSON (ECR does) in XML, and where radosgw puts the error at the
    # top of its answer instead of in an ErrorResponse.
    text = body.decode(errors="replace") if isinstance(body, bytes) else ""
    if found := re.search(r"<Code>(.*?)</Code>", text, re.DOTALL):
        code = html.unescape(found[1])
    if found := re.search(r"<Message>(.*?)</Message>", text, re.DOTALL):
        message = html.unescape(found[1])
    return AwsError(code, message, response.get("ResponseMetadata", {}).get("HTTPStatusCode"))


def _plain(value: Any) -> Any:
    """What JSON has no form for: times, bytes, and bodies that are read as a stream."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, bytes):
        return plain_text(value)
    return str(value)


def plain_text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return base64.b64encode(content).decode()
