"""Jobs: in which order they are worked off, how they end, and what a restart makes of them."""

from __future__ import annotations

import threading

import pytest

from core.contract.progress import Progress
from core.errors import InputError, StageError
from studio.jobs import Jobs
from studio.store import Store

WAIT = 10.0


class Workshop:
    """Work that says what it does and waits to be let go on."""

    def __init__(self, store):
        self.began: list[tuple[str, int | None]] = []
        self.gate = threading.Event()
        self.under_way = threading.Event()
        self.told: list[str] = []
        self.fault: Exception | None = None
        self.jobs = Jobs(store, self.work, lambda job: self.told.append(job.state))

    def work(self, job, report, token):
        self.began.append((job.purpose, job.shot))
        self.under_way.set()
        report(Progress("dedust", 0, 1, 4, 3.0))
        while not self.gate.wait(0.005):
            token.check()
        token.check()
        if self.fault is not None:
            raise self.fault
        return {"frames": 4}


@pytest.fixture
def store(tmp_path):
    opened = Store.create(tmp_path / "project.db")
    yield opened
    opened.close()


@pytest.fixture
def shop(store):
    made = Workshop(store)
    yield made
    made.jobs.close()


def busy(shop, **what):
    """A job that is under way."""
    job = shop.jobs.start("deliver", out="film.mp4", **what)
    assert shop.under_way.wait(WAIT)
    return job


def test_a_job_tells_how_far_it_is_and_what_came_of_it(shop, store):
    job = busy(shop, version=7)
    running = shop.jobs.get(job)
    assert (running.state, running.stage, running.done, running.total, running.version) == (
        "running", "dedust", 1, 4, 7,
    )  # fmt: skip
    shop.gate.set()
    done = shop.jobs.wait(job, WAIT)
    assert (done.state, done.result, done.seconds_left) == ("done", {"frames": 4}, None)
    assert [row["state"] for row in store.jobs()] == ["done"]
    assert shop.told[0] == "queued"
    assert shop.told[-1] == "done"


def test_deliveries_go_in_order_and_shots_newest_first(shop):
    first = busy(shop)
    others = [
        shop.jobs.start("deliver", shot=10, out="a.mp4"),
        shop.jobs.start("shot", shot=1),
        shop.jobs.start("deliver", shot=11, out="b.mp4"),
        shop.jobs.start("shot", shot=2),
    ]
    shop.gate.set()
    for job in (first, *others):
        assert shop.jobs.wait(job, WAIT).state == "done"
    assert shop.began == [("deliver", None), ("shot", 2), ("shot", 1), ("deliver", 10), ("deliver", 11)]


def test_the_newest_request_for_a_shot_wins(shop):
    delivery = busy(shop)
    old, new = shop.jobs.start("shot", shot=3), shop.jobs.start("shot", shot=3)
    assert shop.jobs.get(old).state == "cancelled"
    shop.gate.set()
    assert shop.jobs.wait(new, WAIT).state == "done"
    assert shop.jobs.wait(delivery, WAIT).state == "done"


def test_a_running_render_of_a_shot_gives_way_to_a_newer_one(shop):
    old = shop.jobs.start("shot", shot=3)
    assert shop.under_way.wait(WAIT)
    new = shop.jobs.start("shot", shot=3)
    assert shop.jobs.wait(old, WAIT).state == "cancelled"
    shop.gate.set()
    assert shop.jobs.wait(new, WAIT).state == "done"


def test_a_shot_asked_for_during_a_delivery_is_rendered_between_its_frames(store):
    order = []
    shot_done = threading.Event()

    def work(job, report, token):
        if job.purpose == "shot":
            order.append("shot")
            shot_done.set()
            return {}
        order.append("delivery begins")
        jobs.start("shot", shot=0)
        jobs.serve_shots()
        order.append("delivery ends")
        return {}

    jobs = Jobs(store, work, lambda job: None)
    assert jobs.wait(jobs.start("deliver", out="x.mp4"), WAIT).state == "done"
    jobs.close()
    assert shot_done.is_set()
    assert order == ["delivery begins", "shot", "delivery ends"]


def test_cancelling(shop):
    running = busy(shop)
    queued = shop.jobs.start("deliver", out="b.mp4")
    shop.jobs.cancel(queued)
    shop.jobs.cancel(running)
    assert shop.jobs.wait(running, WAIT).state == "cancelled"
    assert shop.jobs.get(queued).state == "cancelled"
    shop.jobs.cancel(running)  # once it has ended: nothing happens
    assert shop.jobs.get(running).state == "cancelled"
    assert len(shop.began) == 1


def test_a_cancelled_job_can_be_resumed_and_a_finished_one_not(shop):
    job = busy(shop)
    shop.jobs.cancel(job)
    shop.jobs.wait(job, WAIT)
    shop.gate.set()
    assert shop.jobs.resume(job) == job
    assert shop.jobs.wait(job, WAIT).state == "done"
    with pytest.raises(InputError, match="is done"):
        shop.jobs.resume(job)


def test_a_failure_is_told_in_one_line_and_the_next_job_runs(shop):
    shop.fault = StageError("stage dedust failed on frame 3")
    job = busy(shop)
    shop.gate.set()
    failed = shop.jobs.wait(job, WAIT)
    assert (failed.state, failed.error) == ("failed", "stage dedust failed on frame 3")
    shop.fault = None
    assert shop.jobs.wait(shop.jobs.start("deliver", out="b.mp4"), WAIT).state == "done"


@pytest.mark.logs_error
def test_an_unforeseen_fault_does_not_kill_the_worker(shop):
    shop.fault = ZeroDivisionError("division by zero")
    job = busy(shop)
    shop.gate.set()
    assert shop.jobs.wait(job, WAIT).error == "ZeroDivisionError: division by zero"
    shop.fault = None
    assert shop.jobs.wait(shop.jobs.start("shot", shot=0), WAIT).state == "done"


def test_what_a_closed_program_left_is_interrupted_and_can_be_resumed(store):
    shop = Workshop(store)
    running, queued = busy(shop), shop.jobs.start("deliver", out="b.mp4")
    shop.jobs.close()

    again = Workshop(store)
    again.gate.set()
    assert [job.state for job in again.jobs.all()] == ["interrupted", "interrupted"]
    again.jobs.resume(running)
    assert again.jobs.wait(running, WAIT).state == "done"
    assert again.jobs.get(queued).state == "interrupted"
    again.jobs.close()


def test_what_a_dead_program_left_is_interrupted(store):
    """The rows of a program that was killed say ``running``; the next one knows better."""
    row = {"id": "a", "purpose": "shot", "shot": 1, "out": None, "queued": 1.0, "state": "running", "done": 3}
    store.put_job(row)
    shop = Workshop(store)
    shop.jobs.interrupt_orphans()
    assert [(row["state"], row["done"]) for row in store.jobs()] == [("interrupted", 3)]
    shop.jobs.close()


def test_an_unknown_job_is_named(shop):
    for act in (shop.jobs.get, shop.jobs.cancel, shop.jobs.resume):
        with pytest.raises(InputError, match="nobody"):
            act("nobody")
