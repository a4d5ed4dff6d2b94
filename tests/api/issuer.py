"""An OpenID Connect issuer on this machine: discovery, keys, and tokens that it signs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm


class Issuer:
    """Answers as an issuer does.

    Attributes:
        url: its name, and where it answers.
        keys: by their names: those that it publishes.
        asked: paths that it was asked for.
        answers: False while it is out of order.
        says: what its discovery document says besides.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/realm"
        self.keys: dict[str, Any] = {}
        self.asked: list[str] = []
        self.answers = True
        self.says: dict[str, Any] = {}

    def new_key(self, name: str, kind: str = "RSA") -> Any:
        """Make a key and publish it."""
        made = rsa.generate_private_key(65_537, 2048) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())
        self.keys[name] = made
        return made

    def token(self, name: str, algorithm: str = "RS256", key: Any = None, **said: Any) -> str:
        """A token, good unless `said` says otherwise; a claim that is None is left out."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": "frontrunner", "sub": "anna@example", "exp": now + 300, "iat": now}
        claims |= {"tenant": "anna", "scope": "openid read write", **said}
        claims = {claim: value for claim, value in claims.items() if value is not None}
        return jwt.encode(claims, self.keys[name] if key is None else key, algorithm, headers={"kid": name})

    def public_pem(self, name: str) -> bytes:
        """The public half of a key, as everybody has it."""
        pem: bytes = self.keys[name].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem

    def document(self, path: str) -> dict[str, Any] | None:
        """What is at a path."""
        if path == "/realm/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"} | self.says
        if path == "/realm/keys":
            return {"keys": [_public(name, key) for name, key in self.keys.items()]}
        return None


def _public(name: str, key: Any) -> dict[str, Any]:
    kind = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return json.loads(kind.to_jwk(key.public_key())) | {"kid": name, "use": "sig"}


@contextmanager
def loopback_issuer() -> Iterator[Issuer]:
    """An issuer for as long as the block lasts."""
    issuer: Issuer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            found = issuer.document(self.path) if issuer.answers else None
            body = json.dumps(found or {}).encode()
            self.send_response(200 if found else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = Issuer(server.server_address[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
