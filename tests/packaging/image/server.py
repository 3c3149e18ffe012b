"""A TLS server on loopback that is nobody's API, with an authority of its own.

    server.py FILE

Writes the authority to FILE, prints its port, and ends with its input.
"""

import datetime
import http.server
import ipaddress
import ssl
import sys
import tempfile
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
PEM = serialization.Encoding.PEM


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, by: ec.EllipticCurvePrivateKey
):
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
    builder = x509.CertificateBuilder(named(issuer), named(name), key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - day).not_valid_after(now + day)
    constraints = x509.BasicConstraints(ca=name == issuer, path_length=None)
    builder = builder.add_extension(constraints, critical=True).add_extension(
        address, critical=False
    )
    return builder.sign(by, hashes.SHA256())


def main() -> None:
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _certificate("authority", authority_key, "authority", authority_key)
    Path(sys.argv[1]).write_bytes(authority.public_bytes(PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        shape = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        file.write(key.private_bytes(PEM, *shape))
        file.write(_certificate("server", key, "authority", authority_key).public_bytes(PEM))
        file.flush()
        context.load_cert_chain(file.name)
    # What it does not implement it answers with 501.
    server = http.server.ThreadingHTTPServer((HOST, 0), http.server.BaseHTTPRequestHandler)
    wrapped = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.socket = wrapped
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


main()
