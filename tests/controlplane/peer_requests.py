"""What up.py asks of the AWS peer itself, beside the calls that it answers as AWS does."""

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.iam.models import AccessKeyLastUsed, iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.s3.models import s3_backends

import flaps

# Beside moto's own /moto-api, whose routes are fixed.
PREFIX = "/peer/"


def age(bucket: str, seconds: int) -> None:
    """moto has no other way to make an object older than it is."""
    objects = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[bucket].keys.values()
    for one in list(objects):
        one.last_modified -= timedelta(seconds=seconds)


def age_keys(user: str, seconds: int, key: str | None = None) -> None:
    """As if the access keys of a user, or one of them, were made and used so much earlier."""
    older = timedelta(seconds=seconds)
    found = iam_backends[DEFAULT_ACCOUNT_ID]["aws"].get_user(user)
    keys = found.access_keys if key is None else [found.get_access_key_by_id(key)]
    for one in keys:
        one.create_date -= older
        if used := one.last_used:
            one.last_used = AccessKeyLastUsed(used.timestamp - older, used.service, used.region)


def flap(**arguments: Any) -> None:
    flaps.add(flaps.Flap(**arguments))


REQUESTS: dict[str, Callable[..., None]] = {"age": age, "age-keys": age_keys, "flap": flap}


class WithPeerRequests:
    """moto, and these requests: POST /peer/NAME with the arguments as JSON."""

    def __init__(self, moto: DomainDispatcherApplication) -> None:
        self._moto = moto

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith(PREFIX):
            return self._moto(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        try:
            REQUESTS[path.removeprefix(PREFIX)](**json.loads(body))
        except Exception as error:  # whatever it is, the caller has to hear of it
            start_response("400 Bad Request", [])
            return [f"{type(error).__name__}: {error}".encode()]
        start_response("200 OK", [])
        return [b""]
