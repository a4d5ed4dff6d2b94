"""The embedded transport: messages are whole and taken once."""

from __future__ import annotations

import threading
from queue import Empty

import pytest

from frontrunner.settings import Settings
from jobs.notification import celery_app, notify_workers


@pytest.fixture
def channel(tmp_path):
    app = celery_app(Settings(home=tmp_path))
    with app.connection_for_write() as connection:
        yield connection.default_channel


def take(channel, queue="cpu"):
    try:
        return channel._get(queue)
    except Empty:
        return None


def test_messages_come_in_order_and_by_queue(channel):
    for number in range(3):
        channel._put("cpu", {"number": number})
    channel._put("gpu", {"number": 9})
    assert [take(channel)["number"] for _ in range(3)] == [0, 1, 2]
    assert take(channel) is None
    assert take(channel, "gpu") == {"number": 9}


def test_of_many_readers_each_message_reaches_one_and_whole(channel):
    body = "x" * 100_000
    taken = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set() or channel._size("cpu"):
            if (message := take(channel)) is not None:
                taken.append(message)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(200):
        channel._put("cpu", {"number": number, "body": body})
    stop.set()
    for reader in readers:
        reader.join()
    assert sorted(message["number"] for message in taken) == list(range(200))
    assert {len(message["body"]) for message in taken} == {100_000}


def test_nothing_is_left_of_taken_messages(channel, tmp_path):
    channel._put("cpu", {})
    take(channel)
    assert list((tmp_path / "messages").iterdir()) == []


def test_a_broker_that_is_away_does_not_fail_the_request(tmp_path):
    app = celery_app(Settings(home=tmp_path, broker_url="redis://127.0.0.1:1/0"))
    notify_workers(app, ["cpu", "cpu"])
