"""An error answer in the form that AWS gives it for IAM and STS."""

from xml.sax.saxutils import escape

from werkzeug.exceptions import HTTPException


class Refusal(HTTPException):
    """moto answers with the description where it finds this raised."""

    def __init__(self, code: str, message: str, status: int) -> None:
        kind = "Sender" if status < 500 else "Receiver"
        super().__init__(
            f"<ErrorResponse><Error><Type>{kind}</Type><Code>{escape(code)}</Code>"
            f"<Message>{escape(message)}</Message></Error>"
            "<RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
        )
        self.code = status

    def get_body(self, *_: object, **__: object) -> str:
        return self.description or ""

    def get_headers(self, *_: object, **__: object) -> list[tuple[str, str]]:
        return [("Content-Type", "text/xml")]
