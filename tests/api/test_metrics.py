"""What Prometheus scrapes."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from jobs import lifecycle
from tests.api.asking import claim, finish, upload_features


def scrape(client):
    """Every sample, by name and labels."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_follow_jobs_through_queues_claims_and_ends(client, database, tmp_path):
    dataset = upload_features(client, tmp_path)
    for seed in range(3):
        client.post("/v1/rankings", json={"dataset": dataset, "seed": seed})
    before = scrape(client)
    assert before["frontrunner_queue_steps", "io"] == 3
    assert before["frontrunner_queue_age_seconds", "io"] >= 0
    assert before["frontrunner_jobs", "ranking", "queued"] == 3
    assert before["frontrunner_workers",] == 0
    finish(database, claim(database))
    held = claim(database)
    with database.write_transaction() as session:
        lifecycle.fail_step(session, held, "checkpoint_unreadable", "r")
    lost = claim(database)
    with database.write_transaction() as session:
        lifecycle.give_up_attempt(session, lost, "runner_crashed", "r")
    claim(database)
    after = scrape(client)
    assert ("frontrunner_queue_steps", "io") not in after
    assert after["frontrunner_steps_running", "io"] == 1
    assert after["frontrunner_steps_total", "ranking", "succeeded"] == 1
    assert after["frontrunner_steps_total", "ranking", "failed"] == 1
    assert after["frontrunner_attempts_lost_total", "runner_crashed"] == 1
    assert after["frontrunner_forward_examples_total", "ranking"] == 10
    assert after["frontrunner_cached_examples_total", "ranking"] == 0
    assert after["frontrunner_claim_seconds_count", "io"] == 4
    assert after["frontrunner_claim_seconds_bucket", "+Inf", "io"] == 4
    assert 0 < after["frontrunner_claim_seconds_sum", "io"] < 60


def test_http_latency_is_counted_by_route_and_not_by_path(client):
    for name in ("a", "b"):
        client.get(f"/v1/jobs/job_{name}")
    client.get("/nowhere")
    found = scrape(client)
    assert found["frontrunner_http_seconds_count", "GET", "/v1/jobs/{job_id}", "404"] == 2
    assert found["frontrunner_http_seconds_count", "GET", "unknown", "404"] == 1


def test_metrics_answer_without_a_database(client, settings, monkeypatch):
    monkeypatch.setattr("api.access.KNOWN_FOR_S", 0.0)
    assert scrape(client)["frontrunner_database_up",] == 1
    (settings.home / "frontrunner.db").rename(settings.home / "elsewhere.db")
    (settings.home / "frontrunner.db").mkdir()
    client.app.state.frontrunner.database.engine.dispose()
    assert scrape(client)["frontrunner_database_up",] == 0
