"""Who sits at a browser: a signed cookie that names a key, and a token that every form of ours carries.

The cookie holds the key's id and never the key. It is good while the key is, and until it expires: each request looks
the key up again, so that revoking it ends the session within the seconds that any key is remembered. What a form
carries is made from a second cookie that no other site can read: a page elsewhere that makes a browser send a form
cannot know it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

SESSION_COOKIE = "frontrunner_session"
VISITOR_COOKIE = "frontrunner_visitor"
CSRF_FIELD = "csrf"
_NONCE_BYTES = 16
_NONCE = re.compile(r"[0-9a-f]{32}")
_KEY_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class PageSession:
    """A browser that has shown a key.

    Attributes:
        key_id: the key's part that is no secret.
        expires_at: seconds since the epoch, by this machine's clock.
    """

    key_id: str
    expires_at: int


class Sessions:
    """Signs and reads the cookies of pages.

    Args:
        secret: the service's; another one makes every session void.
        valid_s: how long a browser stays signed in.
    """

    def __init__(self, secret: bytes, valid_s: int) -> None:
        # Each use has a key of its own, so that what was signed for one is good for no other.
        self._cookie_key = hmac.digest(secret, b"frontrunner pages session", "sha256")
        self._form_key = hmac.digest(secret, b"frontrunner pages form", "sha256")
        self._valid_s = valid_s

    def begin(self, request: Request, response: Response, key_id: str) -> None:
        """Sign a browser in; it gets a new visitor's cookie too, so that forms from before are void."""
        expires_at = int(time.time()) + self._valid_s
        said = f"{key_id}.{expires_at}"
        _set(request, response, SESSION_COOKIE, f"{said}.{self._signature(said)}", self._valid_s)
        _set(request, response, VISITOR_COOKIE, new_visitor(), None)

    def end(self, request: Request, response: Response) -> None:
        """Sign a browser out."""
        for name in (SESSION_COOKIE, VISITOR_COOKIE):
            response.delete_cookie(name, path="/", secure=_is_secure(request), httponly=True, samesite="lax")

    def read(self, request: Request) -> PageSession | None:
        """The session of a request; None where there is none that we signed, or it is over."""
        key_id, _, rest = request.cookies.get(SESSION_COOKIE, "").partition(".")
        expires, _, signature = rest.partition(".")
        if not (_KEY_ID.fullmatch(key_id) and expires.isascii() and expires.isdigit() and len(expires) < 20):
            return None
        if not hmac.compare_digest(signature.encode(), self._signature(f"{key_id}.{expires}").encode()):
            return None
        return PageSession(key_id, int(expires)) if int(expires) > time.time() else None

    def form_token(self, visitor: str, session: PageSession | None) -> str:
        """What a form of this browser carries."""
        said = f"{visitor}\n{'' if session is None else session.key_id}"
        return _text(hmac.digest(self._form_key, said.encode(), "sha256"))

    def is_own_form(self, request: Request, token: str) -> bool:
        """Whether a form that came with this request was made for this browser, as it is signed in now."""
        visitor = visitor_of(request)
        if visitor is None:
            return False
        return hmac.compare_digest(token.encode(), self.form_token(visitor, self.read(request)).encode())

    def _signature(self, said: str) -> str:
        return _text(hmac.new(self._cookie_key, said.encode(), hashlib.sha256).digest())


def visitor_of(request: Request) -> str | None:
    """What the visitor's cookie says; None where the browser has none yet."""
    found = request.cookies.get(VISITOR_COOKIE, "")
    return found if _NONCE.fullmatch(found) else None


def new_visitor() -> str:
    """The content of a visitor's cookie."""
    return secrets.token_hex(_NONCE_BYTES)


def keep_visitor(request: Request, response: Response, visitor: str) -> None:
    """Give a browser its visitor's cookie, until it is closed."""
    _set(request, response, VISITOR_COOKIE, visitor, None)


def _set(request: Request, response: Response, name: str, value: str, max_age_s: int | None) -> None:
    response.set_cookie(
        name, value, max_age=max_age_s, path="/", secure=_is_secure(request), httponly=True, samesite="lax"
    )


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
