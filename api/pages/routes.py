"""Every page, by its address."""

from __future__ import annotations

from api.pages import admin, datasets, files, home, jobs, rankings, sign_in, tunings

ROUTERS = tuple(part.router for part in (home, sign_in, datasets, rankings, tunings, jobs, admin, files))
