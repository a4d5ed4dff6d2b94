"""Workers that start at once on fresh databases; `python -m benchmarks.service.starts` tries ten of them."""

from __future__ import annotations

import pytest

from benchmarks.service.starts import starts

pytestmark = pytest.mark.acceptance


def test_three_workers_that_start_at_once_on_a_fresh_database_all_live(postgres, redis, tmp_path):
    assert len(starts(postgres, redis, tmp_path, databases=2, workers=3)) == 2
