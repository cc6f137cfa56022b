"""What the health endpoint tells: `/healthz` for a supervisor, `/metrics` for Prometheus.

It is about jobs and counts, and names no address, no meeting and no link.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from invites import __version__
from invites.jobs.options import WakeUpReport
from invites.jobs.status import LONGEST_RUN, JobStatus, missed
from invites.ledger.history import PastRun

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
        """Return what Prometheus scrapes (text format 0.0.4)."""
        now = self._clock()
        with self._lock:
            found = [*self._own_metrics(), *_job_metrics(self._statuses, now)]
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Found([metric for metric in found if metric.samples]))
        return generate_latest(registry).decode()

    def _own_metrics(self) -> Iterator[Metric]:
        yield _gauge("info", "The program.", [({"version": __version__}, 1)])
        yield _counter("wake_ups", "Wake-ups.", [({}, self._wake_ups)])
        yield _gauge(
            "last_wake_up_timestamp_seconds",
            "When the last wake-up ended.",
            [({}, self._last_wake_up.timestamp())],
        )
        yield _counter(
            "attempts",
            "Attempts at due times by this process.",
            [
                ({"job": job, "exit_code": str(code)}, count)
                for (job, code), count in sorted(self._attempts.items())
            ],
        )
        yield _counter(
            "messages",
            "Messages by this process.",
            [
                ({"job": job, "kind": kind, "outcome": outcome}, count)
                for (job, kind, outcome), count in sorted(self._messages.items())
            ],
        )


class _Found(Collector):
    """Metrics that were read off at one moment."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


_Samples = Iterable[tuple[Mapping[str, str], float]]


def _gauge(name: str, text: str, samples: _Samples) -> Metric:
    return _filled(GaugeMetricFamily(f"invites_{name}", text, labels=()), samples)


def _counter(name: str, text: str, samples: _Samples) -> Metric:
    return _filled(CounterMetricFamily(f"invites_{name}", text, labels=()), samples, "_total")


def _filled(metric: Metric, samples: _Samples, suffix: str = "") -> Metric:
    for labels, value in samples:
        metric.add_sample(metric.name + suffix, dict(labels), value)
    return metric


def _job_metrics(statuses: Sequence[JobStatus], now: datetime) -> Iterator[Metric]:
    def each(name: str, text: str, value: Callable[[JobStatus], float | None]) -> Metric:
        values = [({"job": status.job}, value(status)) for status in statuses]
        samples = [(labels, number) for labels, number in values if number is not None]
        return _gauge(f"job_{name}", text, samples)

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
    yield _gauge(
        "job_last_run_count",
        "What the last run's plan and delivery counted.",
        [
            ({"job": status.job, "what": what}, count)
            for status in statuses
            if status.last is not None
            for what, count in status.last.counts.items()
        ],
    )


def _ended(run: PastRun | None) -> float | None:
    return None if run is None or run.finished is None else run.finished.timestamp()
