"""Every page, by its address."""

from __future__ import annotations

from api.pages import admin, compare, datasets, files, history, home, hub, jobs, rankings, sign_in, tasks, tunings

_PARTS = (home, sign_in, datasets, rankings, tunings, jobs, hub, compare, tasks, history, admin, files)
ROUTERS = tuple(part.router for part in _PARTS)
