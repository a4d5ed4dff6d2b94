"""`/assets`: styles and scripts, each at an address that changes with its content, so that browsers may keep it."""

from __future__ import annotations

import functools
import gzip
import hashlib
from importlib import resources

from fastapi import APIRouter, Request, Response

from api.problems import NotFound
from frontrunner.report import assets

router = APIRouter(prefix="/assets", include_in_schema=False)

_SCRIPT, _STYLE = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
_OWN = {"pages.css": _STYLE, "pages.js": _SCRIPT, "zip.js": _SCRIPT}
_FOR_EVER = "public, max-age=31536000, immutable"


@functools.cache
def version() -> str:
    """Names the content of the pages' own files."""
    digest = hashlib.sha256()
    for name in sorted(_OWN):
        digest.update(_own(name))
    return digest.hexdigest()[:16]


# The pages' own come first: the shared address would take them.
@router.get("/pages/{digest}/{name}")
def read_own(digest: str, name: str, request: Request) -> Response:
    """A file of the pages alone."""
    if digest != version() or name not in _OWN:
        raise NotFound(f"there is no asset '{name}'")
    return _answer(request, f"pages/{name}", _own(name), _OWN[name])


@router.get("/{digest}/{name:path}")
def read_shared(digest: str, name: str, request: Request) -> Response:
    """A file that pages share with reports."""
    if digest != assets.version() or name not in assets.names():
        raise NotFound(f"there is no asset '{name}'")
    found = assets.read(name)
    return _answer(request, name, found.content, found.media_type)


@functools.cache
def _own(name: str) -> bytes:
    return (resources.files("api.pages") / "assets" / name).read_bytes()


@functools.lru_cache(maxsize=64)
def _packed(name: str, content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)


def _answer(request: Request, name: str, content: bytes, media_type: str) -> Response:
    headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = _packed(name, content), "gzip"
    return Response(content, headers=headers, media_type=media_type)
