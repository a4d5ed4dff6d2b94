"""What `python -m benchmarks.service.interface_changes` says of changes to the kept document."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys

import pytest

from benchmarks.service.interface_changes import breaking_changes, main, says_so
from tests.conftest import ROOT

KEPT = json.loads((ROOT / "docs" / "openapi.json").read_text())


def edited(edit) -> dict:
    document = copy.deepcopy(KEPT)
    edit(document)
    return document


def schemas(document):
    return document["components"]["schemas"]


def drop_operation(d):
    del d["paths"]["/v1/jobs/{job_id}/retry"]["post"]


def rename_operation(d):
    d["paths"]["/v1/scores"]["get"]["operationId"] = "getScores"


def drop_request_field(d):
    del schemas(d)["RankingSubmission"]["properties"]["budget"]


def require_request_field(d):
    schemas(d)["RankingSubmission"]["required"].append("budget")


def lower_bound(d):
    schemas(d)["RankingSubmission"]["properties"]["max_examples"]["maximum"] = 10


def drop_value(d):
    schemas(d)["RankingSubmission"]["properties"]["adaptation"]["enum"].remove("lora")


def drop_method(d):
    methods = schemas(d)["TuningSubmission"]["properties"]["method"]["oneOf"]
    methods.remove({"$ref": "#/components/schemas/LoRAOptions"})


def refuse_null(d):
    schemas(d)["RankingSubmission"]["properties"]["rank_by"]["anyOf"].pop()


def drop_answer_field(d):
    del schemas(d)["RankedCheckpoint"]["properties"]["parameters"]


def loosen_answer_field(d):
    schemas(d)["JobResource"]["required"].remove("status")


def answer_null(d):
    schemas(d)["JobResource"]["properties"]["kind"] = {"anyOf": [{"type": "string"}, {"type": "null"}]}


def drop_parameter(d):
    d["paths"]["/v1/jobs"]["get"]["parameters"].pop(0)


def require_parameter(d):
    d["paths"]["/v1/jobs"]["get"]["parameters"][0]["required"] = True


def drop_status(d):
    del d["paths"]["/v1/jobs/{job_id}"]["get"]["responses"]["304"]


def drop_kind(d):
    d["paths"]["/v1/datasets"]["post"]["requestBody"]["content"] = {"application/zip": {"schema": {}}}


def need_scope(d):
    d["paths"]["/v1/scores"]["get"]["security"] = [{"key": ["read", "admin"]}]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (drop_operation, "POST /v1/jobs/{job_id}/retry: the operation is gone"),
        (rename_operation, "GET /v1/scores: it is called getScores and no more listScores"),
        (drop_request_field, "POST /v1/rankings body.budget: the field is gone"),
        (require_request_field, "POST /v1/rankings body.budget: has to be given now"),
        (lower_bound, "POST /v1/rankings body.max_examples: maximum is 10 now"),
        (drop_value, 'POST /v1/rankings body.adaptation: "lora" is not accepted any more'),
        (drop_method, "POST /v1/tunings body.method: LoRAOptions is not accepted any more"),
        (refuse_null, "POST /v1/rankings body.rank_by: null is not accepted any more"),
        (drop_answer_field, "GET /v1/rankings/{ranking_id} 200.ranking[].parameters: the field is gone"),
        (loosen_answer_field, "GET /v1/jobs/{job_id} 200.status: may be missing now"),
        (answer_null, "GET /v1/jobs/{job_id} 200.kind: null may come now"),
        (drop_parameter, "GET /v1/jobs: the query parameter status is gone"),
        (require_parameter, "GET /v1/jobs: the query parameter status has to be given now"),
        (drop_status, "GET /v1/jobs/{job_id}: does not answer 304 any more"),
        (drop_kind, "POST /v1/datasets body: multipart/form-data is gone"),
        (need_scope, "GET /v1/scores: needs key:admin now"),
    ],
)
def test_what_breaks_clients_is_named(edit, said):
    assert said in breaking_changes(KEPT, edited(edit))


def add_operation(d):
    d["paths"]["/v1/news"] = {"get": {"operationId": "listNews", "responses": {}}}


def add_request_field(d):
    schemas(d)["RankingSubmission"]["properties"]["mood"] = {"type": "string"}


def add_answer_field(d):
    schemas(d)["RankedCheckpoint"]["properties"]["mood"] = {"type": "string"}
    schemas(d)["RankedCheckpoint"]["required"].append("mood")


def raise_bound(d):
    schemas(d)["RankingSubmission"]["properties"]["max_examples"]["maximum"] = 10**9


def add_value(d):
    schemas(d)["RankingSubmission"]["properties"]["adaptation"]["enum"].append("prompt")


def add_status_of_a_job(d):
    schemas(d)["Status"]["enum"].append("paused")


def say_otherwise(d):
    schemas(d)["RankingSubmission"]["properties"]["budget"]["description"] = "other words"


@pytest.mark.parametrize(
    "edit",
    [add_operation, add_request_field, add_answer_field, raise_bound, add_value, add_status_of_a_job, say_otherwise],
)
def test_what_breaks_nobody_is_not(edit):
    changed = edited(edit)
    assert changed != KEPT
    assert breaking_changes(KEPT, changed) == []


@pytest.mark.parametrize(
    ("old", "new", "may_break"),
    [
        ("0.1.0", "0.1.5", False),
        ("0.1.0", "0.2.0", True),
        ("1.2.0", "1.3.0", False),
        ("1.2.0", "2.0.0", True),
        ("0.9.0", "1.0.0", True),
    ],
)
def test_a_version_says_whether_clients_may_break(old, new, may_break):
    assert says_so({"info": {"version": old}}, {"info": {"version": new}}) is may_break


def test_the_command_fails_where_something_breaks_unsaid(tmp_path, capsys):
    for name, document in (("old", KEPT), ("broken", edited(drop_operation))):
        (tmp_path / name).write_text(json.dumps(document))
    assert main([str(tmp_path / "old"), str(tmp_path / "old")]) == 0
    assert main([str(tmp_path / "old"), str(tmp_path / "broken")]) == 1
    assert "1 changes break clients" in capsys.readouterr().out
    said = edited(drop_operation)
    said["info"]["version"] = "1.0.0"
    (tmp_path / "said").write_text(json.dumps(said))
    assert main([str(tmp_path / "old"), str(tmp_path / "said")]) == 0


class Repository:
    """One with CI's script, and what git and the script say in it."""

    def __init__(self, folder):
        self.folder = folder

    def git(self, *arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]
        subprocess.run(["git", *identity, *arguments], cwd=self.folder, check=True, capture_output=True)

    def commit(self, document, tag=None):
        (self.folder / "docs").mkdir(exist_ok=True)
        (self.folder / "docs" / "openapi.json").write_text(json.dumps(document))
        self.git("add", ".")
        self.git("commit", "-qm", "a change", "--allow-empty")
        if tag is not None:
            self.git("tag", tag)

    def diff(self):
        (self.folder / ".ci").mkdir(exist_ok=True)
        script = self.folder / ".ci" / "api-diff"
        script.write_bytes((ROOT / ".ci" / "api-diff").read_bytes())
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(["bash", script, sys.executable], capture_output=True, text=True, env=environment)


def with_operation(path):
    return edited(lambda d: d["paths"].update({path: {"get": {"operationId": "old", "responses": {}}}}))


@pytest.fixture
def released(tmp_path):
    """A repository with a release whose interface had `/v1/old`, a later one of another branch, and a commit after."""
    repository = Repository(tmp_path / "repository")
    repository.folder.mkdir()
    repository.git("init", "-q")
    repository.commit(with_operation("/v1/older"), "v0.0.9")
    repository.commit(with_operation("/v1/old"), f"v{KEPT['info']['version']}")
    repository.commit(with_operation("/v1/later"), "v9.0.0")
    repository.commit(KEPT)
    return repository


def test_ci_compares_with_the_last_release_up_to_this_version(released):
    done = released.diff()
    assert (done.returncode, "GET /v1/old: the operation is gone" in done.stdout) == (1, True), done.stderr
    assert "later" not in done.stdout


def test_ci_does_so_in_a_clone_of_one_commit_without_tags(released, tmp_path):
    url = released.folder.as_uri()
    released.git("clone", "-q", "--depth", "1", "--no-tags", url, str(tmp_path / "clone"))
    clone = Repository(tmp_path / "clone")
    done = clone.diff()
    assert (done.returncode, "GET /v1/old: the operation is gone" in done.stdout) == (1, True), done.stderr
    clone.git("remote", "set-url", "origin", (tmp_path / "away").as_uri())
    done = clone.diff()
    assert (done.returncode, "origin does not answer; nothing was compared" in done.stdout) == (0, True), done.stderr


def test_ci_says_that_nothing_is_released(tmp_path):
    repository = Repository(tmp_path)
    assert "nothing is released yet" in repository.diff().stdout, "not even a repository"
    repository.git("init", "-q")
    repository.commit(KEPT, "v1.0.0-rc1")
    done = repository.diff()
    assert (done.returncode, "nothing is released yet" in done.stdout) == (0, True), done.stderr
