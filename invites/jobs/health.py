"""The health endpoint: `/healthz` for a supervisor, `/metrics` for Prometheus.

It tells of jobs and counts, of no address, no meeting and no link.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from invites import __version__
from invites.errors import SettingsError
from invites.jobs.options import WakeUpReport
from invites.jobs.status import LONGEST_RUN, JobStatus, missed
from invites.report.metrics import Metric, exposition

if TYPE_CHECKING:
    from invites.settings.types import Listen

ASLEEP_AFTER = timedelta(minutes=15)
"""A program that wakes up every five minutes and has not for this long is not alive."""


class Health:
    """What is known of this process and its jobs; written by one thread, read by others."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """Count from now on; `clock` gives an aware present."""
        self._clock = clock
        self._lock = threading.Lock()
        self._last_wake_up = self._started = clock()
        self._awake_since: datetime | None = None
        self._trouble = ""
        self._statuses: tuple[JobStatus, ...] = ()
        self._wake_ups = 0
        self._messages: Counter[tuple[str, str, str]] = Counter()
        self._attempts: Counter[tuple[str, int]] = Counter()

    def woke(self) -> None:
        """Hear that a wake-up begins."""
        with self._lock:
            self._awake_since = self._clock()
            self._wake_ups += 1

    def slept(
        self, report: WakeUpReport | None, statuses: Sequence[JobStatus], trouble: str
    ) -> None:
        """Hear how a wake-up ended; `trouble` is "" where the ledger could be worked with."""
        with self._lock:
            self._last_wake_up, self._awake_since = self._clock(), None
            self._trouble = trouble
            self._statuses = tuple(statuses) or self._statuses
            if report is not None:
                self._count(report)

    def _count(self, report: WakeUpReport) -> None:
        for outcome in report.outcomes:
            self._attempts[outcome.job, int(outcome.exit_code)] += 1
            for state, count in ({} if outcome.run is None else outcome.run.ended).items():
                self._messages[outcome.job, "invitation", state.value] += count
        for side in report.sides:
            kind = "reminder" if side.what == "reminders" else "deferred"
            for name, count in side.ended.items():
                self._messages[side.scope, kind, name] += count

    def healthz(self) -> tuple[bool, dict[str, object]]:
        """Tell whether this process wakes up as it should, and in words why not."""
        now = self._clock()
        with self._lock:
            asleep = now - self._last_wake_up > ASLEEP_AFTER and self._awake_since is None
            stuck = self._awake_since is not None and now - self._awake_since > LONGEST_RUN
            trouble = self._trouble
            if asleep:
                trouble = f"no wake-up since {self._last_wake_up.isoformat()}"
            elif stuck:
                trouble = f"one wake-up has lasted since {self._awake_since}"
            late = {status.job: missed(status, now=now) for status in self._statuses}
            facts: dict[str, object] = {
                "alive": not trouble,
                "trouble": trouble,
                "last_wake_up": self._last_wake_up.isoformat(),
                "jobs_missed": {job: why for job, why in late.items() if why},
            }
        return not trouble, facts

    def metrics(self) -> str:
        """Return what Prometheus scrapes."""
        now = self._clock()
        with self._lock:
            own = [
                Metric("invites_info", "gauge", "The program.", [({"version": __version__}, 1)]),
                Metric("invites_wake_ups_total", "counter", "Wake-ups.", [({}, self._wake_ups)]),
                Metric(
                    "invites_last_wake_up_timestamp_seconds",
                    "gauge",
                    "When the last wake-up ended.",
                    [({}, self._last_wake_up.timestamp())],
                ),
                Metric(
                    "invites_attempts_total",
                    "counter",
                    "Attempts at due times by this process.",
                    [
                        ({"job": job, "exit_code": str(code)}, count)
                        for (job, code), count in sorted(self._attempts.items())
                    ],
                ),
                Metric(
                    "invites_messages_total",
                    "counter",
                    "Messages by this process.",
                    [
                        ({"job": job, "kind": kind, "outcome": outcome}, count)
                        for (job, kind, outcome), count in sorted(self._messages.items())
                    ],
                ),
            ]
            return exposition([*own, *_job_metrics(self._statuses, now)])


def _job_metrics(statuses: Sequence[JobStatus], now: datetime) -> Iterator[Metric]:
    def each(name: str, text: str, value: Callable[[JobStatus], float | None]) -> Metric:
        values = [({"job": status.job}, value(status)) for status in statuses]
        samples = [(labels, number) for labels, number in values if number is not None]
        return Metric(f"invites_job_{name}", "gauge", text, samples)

    yield each(
        "last_success_timestamp_seconds",
        "When the last run ended that completed its due time (exit 0 or 4).",
        lambda status: _ended(status.last_done),
    )
    yield each(
        "last_run_timestamp_seconds",
        "When the last run ended, however it did.",
        lambda status: _ended(status.last),
    )
    yield each(
        "last_exit_code",
        "The last run's exit code.",
        lambda status: None if status.last is None else status.last.exit_code,
    )
    yield each(
        "last_duration_seconds",
        "How long the last run took.",
        lambda status: (
            None
            if status.last is None or status.last.took is None
            else status.last.took.total_seconds()
        ),
    )
    yield each(
        "next_due_timestamp_seconds",
        "When the job is due next.",
        lambda status: status.next_due.timestamp(),
    )
    yield each(
        "missed",
        "1 where the last due time was missed or is held up.",
        lambda status: float(missed(status, now=now) is not None),
    )
    yield Metric(
        "invites_job_last_run_count",
        "gauge",
        "What the last run's plan and delivery counted.",
        [
            ({"job": status.job, "what": what}, count)
            for status in statuses
            if status.last is not None
            for what, count in status.last.counts.items()
        ],
    )


def _ended(run: object) -> float | None:
    finished = getattr(run, "finished", None)
    return finished.timestamp() if isinstance(finished, datetime) else None


@contextmanager
def serving(health: Health, listen: Listen | None) -> Iterator[int | None]:
    """Answer on `listen` while the block lasts; gives the port, None where nothing listens.

    Raises SettingsError for an address that can't be listened on.
    """
    if listen is None:
        yield None
        return
    try:
        server = _Server((listen.host, listen.port), _handler(health))
    except OSError as error:
        raise SettingsError(
            f"[schedule] listen: {listen.host}:{listen.port} can't be listened on "
            f"({error.strerror or error}); expected a free address of this machine"
        ) from None
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="health", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


def _handler(health: Health) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version = "invites"
        sys_version = ""
        timeout = 10

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/healthz":
                    alive, facts = health.healthz()
                    status = HTTPStatus.OK if alive else HTTPStatus.SERVICE_UNAVAILABLE
                    self._answer(status, json.dumps(facts) + "\n", "application/json")
                case "/metrics":
                    self._answer(HTTPStatus.OK, health.metrics(), "text/plain; version=0.0.4")
                case _:
                    self._answer(HTTPStatus.NOT_FOUND, "/healthz or /metrics\n", "text/plain")

        def _answer(self, status: HTTPStatus, text: str, kind: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: each scrape would be a line."""

    return Handler
