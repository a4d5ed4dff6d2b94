"""A download is stopped while bytes arrive, whichever way they come, and the next one finishes it."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save

from frontrunner.hub import HubAccess
from frontrunner.hub.fetching.remote import describe_remote, fetch
from frontrunner.progress import Silent, Stage
from frontrunner.settings import Settings
from tests.hub.loopback import Hub, Repository, serving

ID = "hf:org/mobilenet"


@pytest.fixture
def server(hub):
    with serving(Hub({"org/mobilenet": Repository.of(hub / "mobilenet")})) as running:
        yield running


@pytest.fixture
def access(server, tmp_path):
    return HubAccess.of(Settings(home=tmp_path / "home", hub_endpoint=server.address))


class Heard(Silent):
    """Keeps what it hears; from `stop_at` bytes on it wants the work stopped."""

    def __init__(self, stop_at=float("inf"), stop=None):
        self.heard = []
        self.stop_at = stop_at
        self.stop = stop or Stop()

    def advance(self, stage, done, total, *, of=""):
        self.heard.append((stage, done, total, of))

    def safe_point(self):
        if self.heard[-1][1] >= self.stop_at:
            raise self.stop


class Stop(BaseException):
    pass


def files(server):
    return server.repositories["org/mobilenet"].files


@pytest.fixture
def keep_for_xet(server, tmp_path, monkeypatch):
    """Lets the client's other transport bring a file, from a store in a folder."""
    hf_xet = pytest.importorskip("hf_xet")
    from huggingface_hub.utils import _xet

    session = _xet.get_xet_session
    monkeypatch.setenv("HF_XET_CACHE", str(tmp_path / "xet-cache"))

    class TellingOften:
        """A folder is faster than a network: in the tenth of a second between two reports all may have come."""

        def new_file_download_group(self, **options):
            return session().new_file_download_group(progress_interval_ms=1, **options)

    monkeypatch.setattr(_xet, "get_xet_session", TellingOften)

    def keep(name, data):
        server.xet_store = f"local://{tmp_path / 'xet-store'}"
        (tmp_path / name).write_bytes(data)
        with hf_xet.XetSession().new_upload_commit(endpoint=server.xet_store) as commit:
            upload = commit.start_upload_file(str(tmp_path / name))
        server.xet_hashes[name] = upload.result().xet_info.hash

    return keep


@pytest.mark.parametrize(
    ("transport", "values", "stop"),
    # Xet brings 64 MB at a time.
    [("http", 6_000_000, Stop()), ("http", 6_000_000, RuntimeError("enough")), ("xet", 50_000_000, Stop())],
)
def test_a_download_stops_in_the_middle_and_the_next_call_finishes_it(
    server, access, keep_for_xet, transport, values, stop
):
    large = save({"weight": torch.rand(values)})
    files(server)["model.safetensors"] = large
    if transport == "xet":
        keep_for_xet("model.safetensors", large)
    described = describe_remote(ID, access)
    stopped = Heard(stop_at=0, stop=stop)
    with pytest.raises(type(stop)) as caught:
        fetch(ID, described.remote, access, stopped)
    assert caught.value is stop
    assert len(stopped.heard) == 1
    assert stopped.heard[0][1] < len(large)
    assert not [path for path in access.folder.rglob("*") if path.is_file() and path.stat().st_size > 1_000_000]
    again = Heard()
    folder = fetch(ID, described.remote, access, again)
    assert (folder / "model.safetensors").read_bytes() == large
    total = sum(file.bytes for file in described.remote.files)
    assert again.heard[-1] == (Stage.FETCH, total, total, ID)


def test_a_wish_to_stop_that_comes_with_the_last_bytes_is_heard(server, access, keep_for_xet):
    """Of a small file Xet tells once it is there, and drops what is raised then."""
    keep_for_xet("model.safetensors", files(server)["model.safetensors"])
    described = describe_remote(ID, access)
    with pytest.raises(Stop):
        fetch(ID, described.remote, access, Heard(stop_at=0))
    folder = fetch(ID, described.remote, access)
    assert (folder / "model.safetensors").read_bytes() == files(server)["model.safetensors"]


def test_a_download_may_be_stopped_between_two_files_and_keeps_what_is_whole(server, access):
    described = describe_remote(ID, access)
    weights, *_ = described.remote.files
    with pytest.raises(Stop):
        fetch(ID, described.remote, access, Heard(stop_at=weights.bytes))
    asked = len(server.bodies_of("model.safetensors"))
    fetch(ID, described.remote, access)
    assert len(server.bodies_of("model.safetensors")) == asked
