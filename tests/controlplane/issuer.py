"""The issuer of the API server's service account tokens, reachable on a loopback port.

Serves what an AWS-protocol server looks up before it takes such a token: the discovery
document, and the public key with a certificate (`x5c`), by which Ceph's radosgw goes.
"""

import base64
import datetime
import hashlib
import http.server
import ipaddress
import json
import socketserver
import ssl
import threading
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
# EKS has a path in its issuers too, so that no code comes to rely on there being none.
PATH = "/id/test"


class Issuer:
    """`key_file` is for kube-apiserver, to sign tokens with; `ca_file` is for TLS clients."""

    def __init__(self, directory: Path) -> None:
        self.key_file = directory / "service-account.key"
        self.ca_file = directory / "issuer.crt"
        key = _new_key(self.key_file)
        certificate = _self_signed(key, "service accounts")
        # What a provider at radosgw is registered with. AWS wants the thumbprint of the
        # certificate of the HTTPS server there.
        self.thumbprint = certificate.fingerprint(hashes.SHA1()).hex()

        tls_file = directory / "issuer.key"
        served = _self_signed(_new_key(tls_file), HOST)
        self.ca_file.write_bytes(served.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca_file, tls_file)

        documents: dict[str, bytes] = {}
        self._server = _Server((HOST, 0), _handler(documents))
        self._server.socket = context.wrap_socket(
            self._server.socket,
            server_side=True,
            do_handshake_on_connect=False,  # else one silent client would block all
        )
        self.url = f"https://{HOST}:{self._server.server_port}{PATH}"
        self.keys_url = f"{self.url}/keys"
        documents[f"{PATH}/.well-known/openid-configuration"] = json.dumps(
            {
                "issuer": self.url,
                "jwks_uri": self.keys_url,
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        ).encode()
        documents[f"{PATH}/keys"] = json.dumps({"keys": [_jwk(key, certificate)]}).encode()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # the other one asks DNS for a name
        self.server_name, self.server_port = self.server_address

    def handle_error(self, *_: Any) -> None:
        """A connection that a client broke off is no news."""


def _handler(documents: dict[str, bytes]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            body = documents.get(self.path)
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def _new_key(file: Path) -> rsa.RSAPrivateKey:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file.touch(0o600)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return key


def _self_signed(key: rsa.RSAPrivateKey, name: str) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address(HOST))
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _jwk(key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> dict[str, Any]:
    numbers = key.public_key().public_numbers()
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    shown = certificate.public_bytes(serialization.Encoding.DER)
    return {
        "use": "sig",
        "kty": "RSA",
        "alg": "RS256",
        # As kube-apiserver names the key in the tokens that it signs.
        "kid": _url_safe(hashlib.sha256(der).digest()),
        "n": _url_safe(numbers.n.to_bytes(256)),
        "e": _url_safe(numbers.e.to_bytes(3)),
        "x5c": [base64.b64encode(shown).decode()],
    }


def _url_safe(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
