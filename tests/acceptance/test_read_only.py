"""As a pod of the chart has it: a file system that cannot be written but for two folders, and no capability at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.acceptance.service import serving
from tests.servers import require

pytestmark = pytest.mark.acceptance

# In a mount namespace of its own everything is read-only, the folder $1 excepted; then the command, without rights.
SEALED = """
mount --make-rprivate / && mount --bind / / && mount --options remount,ro,bind / &&
mount --bind "$1" "$1" && mount --options remount,rw,bind "$1" && shift &&
exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"""


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """The writable folder, and the command under which nothing else can be written."""
    folder = tmp_path_factory.mktemp("pod")
    unshare = require(shutil.which("unshare"), "unshare")
    under = [unshare, "--mount", "bash", "-c", SEALED, "_", str(folder)]
    tried = subprocess.run([*under, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"no mount namespace can be made here: {tried.stderr.strip()}")
    return folder, under


def test_nothing_else_can_be_written_there_and_no_right_is_left(sealed, tmp_path):
    folder, under = sealed
    places = [str(folder / "inside"), str(tmp_path / "outside")]
    code = "import sys; open(sys.argv[1], 'w'); print(open('/proc/self/status').read()); open(sys.argv[2], 'w')"
    done = subprocess.run([*under, sys.executable, "-c", code, *places], capture_output=True, text=True)
    assert "Read-only file system" in done.stderr
    assert (folder / "inside").exists()
    assert "CapEff:\t0000000000000000" in done.stdout


def test_a_ranking_of_images_needs_no_other_place_to_write(sealed, hub, colours, monkeypatch):
    folder, under = sealed
    (folder / "tmp").mkdir()
    for name, value in {"HOME": folder, "TMPDIR": folder / "tmp", "PYTHONDONTWRITEBYTECODE": 1}.items():
        monkeypatch.setenv(name, str(value))
    with serving(folder / "state", hub, under=under, poll_period_s=0.3) as service:
        job = service.recommend(colours, checkpoints=["local:resnet", "local:vit"])
        assert service.wait(job)["status"] == "succeeded", service.log.read_text()[-3000:]
        ranking = service.ranking(job)
    assert {line["checkpoint"] for line in ranking["ranking"]} == {"local:resnet", "local:vit"}
    assert ranking["skipped"] == []
    assert "Read-only file system" not in service.log.read_text()
    assert os.listdir(folder / "state")
