"""Renders as durable jobs: rows in the project's own table, worked off by one thread.

A job outlives the browser tab that asked for it. Renders of a shot are for looking at: the newest request
wins. Deliveries are promises: first in, first out; a shot asked for meanwhile is rendered between two
frames of the delivery. A job that was under way when the program died is shown as interrupted and can be
resumed; its finished frames are in the cache.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from core.contract.progress import CancelToken, Progress, Report
from core.errors import Cancelled, InputError, PochoirError
from studio.store import Store

log = logging.getLogger(__name__)

Purpose = Literal["shot", "deliver"]
State = Literal["queued", "running", "done", "cancelled", "failed", "interrupted"]
OPEN: tuple[State, ...] = ("queued", "running")
# A row written per frame would cost a disk flush per frame; progress is worth less than that.
SAVE_EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class Job:
    """A render that was asked for.

    Attributes:
        id: its name.
        purpose: ``shot`` (into the cache, to look at) or ``deliver`` (into a file or folder).
        shot: number of the shot; None for the whole film.
        out: where a delivery goes.
        queued: when it was asked for  [seconds since 1970].
        version: of the project when it began.
        state: where it stands.
        stage, done, total, seconds_left: its progress, as `core.contract.progress` counts.
        error: why it failed, in one line.
        result: what it reports once done (frames, rendered, reused, seconds, output, fell_short).
    """

    id: str
    purpose: Purpose
    shot: int | None
    out: str | None
    queued: float
    version: int = 0
    state: State = "queued"
    stage: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    error: str = ""
    result: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


Work = Callable[[Job, Report, CancelToken], Mapping[str, Any]]


class Jobs:
    """The job table of one project and the thread that works it off.

    Args:
        store: where the rows are kept.
        work: renders one job and returns its result; called in the worker's thread.
        changed: told of every change of a job; called in the worker's thread.
    """

    def __init__(self, store: Store, work: Work, changed: Callable[[Job], None]) -> None:
        self._store = store
        self._work = work
        self._changed = changed
        self._jobs = {row["id"]: Job(**row) for row in store.jobs()}
        self._tokens: dict[str, CancelToken] = {}
        self._wake = threading.Condition(threading.RLock())
        self._saved = 0.0
        self._closing = False
        self._worker: threading.Thread | None = None

    def interrupt_orphans(self) -> None:
        """Mark what an earlier program left open; called once, when the project is opened for writing."""
        for job in list(self._jobs.values()):
            if job.state in OPEN:
                self._put(replace(job, state="interrupted", seconds_left=None), durably=True)

    def start(self, purpose: Purpose, *, shot: int | None = None, out: str | None = None, version: int = 0) -> str:
        """Queue a render.

        Returns:
            The job's id, once its row is on disk.
        """
        with self._wake:
            if purpose == "shot":
                self._supersede(shot)
            job = Job(uuid.uuid4().hex[:12], purpose, shot, out, time.time(), version)
            self._put(job, durably=True)
            self._wake_worker()
        return job.id

    def get(self, job_id: str) -> Job:
        """One job.

        Raises:
            InputError: there is none of that id.
        """
        with self._wake:
            if job_id not in self._jobs:
                raise InputError(f"job '{job_id}': this project has no such job; see its list of jobs")
            return self._jobs[job_id]

    def all(self) -> list[Job]:
        """All jobs, oldest first."""
        with self._wake:
            return sorted(self._jobs.values(), key=lambda job: job.queued)

    def cancel(self, job_id: str) -> None:
        """Stop a job between two frames, or take it out of the queue; nothing where it has ended.

        Raises:
            InputError: there is none of that id.
        """
        with self._wake:
            job = self.get(job_id)
            if job.state == "queued":
                self._put(replace(job, state="cancelled"), durably=True)
            elif job_id in self._tokens:
                self._tokens[job_id].cancel()

    def resume(self, job_id: str) -> str:
        """Queue again a job that did not come to its end; what it finished is reused.

        Raises:
            InputError: there is none of that id, or it needs no resuming.
        """
        with self._wake:
            job = self.get(job_id)
            if job.state in (*OPEN, "done"):
                raise InputError(f"job '{job_id}' is {job.state}; only a job that was stopped can be resumed")
            self._put(replace(job, state="queued", error="", done=0, total=0), durably=True)
            self._wake_worker()
        return job_id

    def wait(self, job_id: str, timeout_seconds: float | None = None) -> Job:
        """Block until a job has ended or the time is up."""
        with self._wake:
            self._wake.wait_for(lambda: self.get(job_id).state not in OPEN, timeout_seconds)
            return self.get(job_id)

    def serve_shots(self) -> None:
        """Render the shots asked for meanwhile; a delivery calls this between two frames."""
        while (job := self._take(only="shot")) is not None:
            self._run(job)

    def close(self) -> None:
        """Stop the worker between two frames; what is open will show as interrupted."""
        with self._wake:
            self._closing = True
            for token in self._tokens.values():
                token.cancel()
            self._wake.notify_all()
            worker = self._worker
        if worker is not None:
            worker.join()
        self.interrupt_orphans()

    # ------------------------------------------------------------------ inside

    def _supersede(self, shot: int | None) -> None:
        for job in list(self._jobs.values()):
            if job.purpose == "shot" and job.shot == shot and job.state in OPEN:
                self.cancel(job.id)

    def _wake_worker(self) -> None:
        if self._worker is None:
            # A daemon: a program that dies must not hang on a render; `close` is the orderly end.
            self._worker = threading.Thread(target=self._loop, name="pochoir-jobs", daemon=True)
            self._worker.start()
        self._wake.notify_all()

    def _loop(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._closing or self._next() is not None)
                if self._closing:
                    return
                job = self._take()
            if job is not None:
                self._run(job)

    def _next(self, only: Purpose | None = None) -> Job | None:
        queued = [job for job in self._jobs.values() if job.state == "queued" and not self._closing]
        shots = [job for job in queued if job.purpose == "shot"]
        if shots:
            return max(shots, key=lambda job: job.queued)
        if only is None and queued:
            return min(queued, key=lambda job: job.queued)
        return None

    def _take(self, only: Purpose | None = None) -> Job | None:
        with self._wake:
            job = self._next(only)
            if job is not None:
                self._tokens[job.id] = CancelToken()
                job = replace(job, state="running")
                self._put_if_possible(job)
            return job

    def _run(self, job: Job) -> None:
        token = self._tokens[job.id]
        try:
            result = self._work(job, lambda progress: self._report(job.id, progress), token)
            end = replace(self.get(job.id), state="done", result=dict(result), seconds_left=None)
        except Cancelled:
            state: State = "interrupted" if self._closing else "cancelled"
            end = replace(self.get(job.id), state=state, seconds_left=None)
        except PochoirError as error:
            end = replace(self.get(job.id), state="failed", error=str(error), seconds_left=None)
        except Exception as error:
            # The worker must live on for the next job; the fault is logged whole and shown in a line.
            log.exception("job %s failed", job.id)
            end = replace(self.get(job.id), state="failed", error=f"{type(error).__name__}: {error}")
        with self._wake:
            self._tokens.pop(job.id, None)
            self._put_if_possible(end)

    def _report(self, job_id: str, progress: Progress) -> None:
        job = replace(
            self.get(job_id),
            stage=progress.stage,
            done=progress.done,
            total=progress.total,
            seconds_left=progress.seconds_left,
        )
        now = time.monotonic()
        if now - self._saved > SAVE_EVERY_SECONDS:
            self._saved = now
            self._put_if_possible(job)
        else:
            self._put(job, durably=False)

    def _put_if_possible(self, job: Job) -> None:
        """Keep a job's row on disk; on a full disk in memory only, for the worker must live on."""
        try:
            self._put(job, durably=True)
        except PochoirError as error:
            log.warning("how job %s stands is not on disk: %s", job.id, error)
            self._put(job, durably=False)

    def _put(self, job: Job, *, durably: bool) -> None:
        with self._wake:
            if durably:
                self._store.put_job(job.to_json())
            self._jobs[job.id] = job
            self._wake.notify_all()
        self._changed(job)
