"""`/docs`: Swagger UI over `/openapi.json`, from files that come with the service.

The files of Swagger UI are those of its package, unchanged: `assets/manifest.json` names the version and the checksums.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse

router = APIRouter(include_in_schema=False)

ASSETS = Path(__file__).parent / "assets"
_KINDS = {"swagger-ui-bundle.js": "text/javascript", "reference.js": "text/javascript", "swagger-ui.css": "text/css"}
# What stands in the page, and nothing that stands in an answer shown on it, is run; only this service is asked.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Addresses are relative: a proxy may have put the service below a path of its own.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Frontrunner: HTTP interface</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
<script src="docs/assets/swagger-ui-bundle.js" defer></script>
<script src="docs/assets/reference.js" defer></script>
</head>
<body>
<main id="reference"></main>
<noscript>This page is drawn by a script; the document itself is at <a href="openapi.json">openapi.json</a>.</noscript>
</body>
</html>
"""


@router.get("/docs")
async def show_reference() -> HTMLResponse:
    """The page."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/assets/{name}")
def read_asset(name: Literal["swagger-ui-bundle.js", "reference.js", "swagger-ui.css"]) -> FileResponse:
    """A file of the page."""
    return FileResponse(ASSETS / name, media_type=_KINDS[name], headers={"Cache-Control": "public, max-age=3600"})
