"""The port of `[schedule] listen`: `/healthz` for a supervisor, `/metrics` for Prometheus.

It is about jobs and counts, and names no address, no meeting and no link; and a stranger can hold
up nothing.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from invites import __version__
from invites.errors import SettingsError
from invites.jobs.options import LONGEST_RUN, JobStatus, WakeUpReport, missed
from invites.ledger.history import PastRun
from invites.times import local

if TYPE_CHECKING:
    from invites.settings.types import Listen


ASLEEP_AFTER = timedelta(minutes=15)
"""A program that wakes up every five minutes and has not for this long is not alive."""


class Health:
    """What is known of this process and its jobs; written by one thread, read by others."""

    def __init__(self, clock: Callable[[], datetime], timezone: str) -> None:
        """Count from now on; `clock` gives an aware present, `timezone` (IANA) is for people."""
        self._clock, self._timezone = clock, timezone
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
            kind = {"reminders": "reminder", "links": "link"}.get(side.what, "deferred")
            for name, count in side.ended.items():
                self._messages[side.scope, kind, name] += count

    def healthz(self) -> tuple[bool, dict[str, object]]:
        """Tell whether this process wakes up as it should, and in words why not."""
        now = self._clock()
        with self._lock:
            trouble, began, ended = self._trouble, self._awake_since, self._last_wake_up
            if began is None and now - ended > ASLEEP_AFTER:
                trouble = f"no wake-up since {local(ended, self._timezone)}"
            elif began is not None and now - began > LONGEST_RUN:
                trouble = f"one wake-up has lasted since {local(began, self._timezone)}"
            late = {status.job: missed(status, now=now) for status in self._statuses}
            facts: dict[str, object] = {
                "alive": not trouble,
                "trouble": trouble,
                "last_wake_up": ended.isoformat(),
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


_PER_JOB: Sequence[tuple[str, str, Callable[[JobStatus, datetime], float | None]]] = (
    (
        "last_success_timestamp_seconds",
        "When the last run ended that completed its due time (exit 0 or 4).",
        lambda status, _: _ended(status.last_done),
    ),
    (
        "last_run_timestamp_seconds",
        "When the last run ended, however it did.",
        lambda status, _: _ended(status.last),
    ),
    (
        "last_exit_code",
        "The last run's exit code.",
        lambda status, _: None if status.last is None else status.last.exit_code,
    ),
    ("last_duration_seconds", "How long the last run took.", lambda status, _: _took(status.last)),
    (
        "next_due_timestamp_seconds",
        "When the job is due next.",
        lambda status, _: status.next_due.timestamp(),
    ),
    (
        "missed",
        "1 where the last due time was missed or is held up.",
        lambda status, now: float(missed(status, now=now) is not None),
    ),
)
"""What is told of each job: the metric's name, its help, and its value, None for none."""


def _job_metrics(statuses: Sequence[JobStatus], now: datetime) -> Iterator[Metric]:
    for name, text, value in _PER_JOB:
        values = [({"job": status.job}, value(status, now)) for status in statuses]
        samples = [(labels, number) for labels, number in values if number is not None]
        yield _gauge(f"job_{name}", text, samples)
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


def _took(run: PastRun | None) -> float | None:
    return None if run is None or run.took is None else run.took.total_seconds()


def _ended(run: PastRun | None) -> float | None:
    return None if run is None or run.finished is None else run.finished.timestamp()


MOST_CONNECTIONS = 64
"""More than these at once would take the file handles that ledger and mail need."""

REQUEST_SECONDS = 5.0
"""How long a request may take, all of it; a supervisor's comes in one piece."""

REQUEST_BYTES = 8192


@contextmanager
def serving(health: Health, listen: Listen | None) -> Iterator[int | None]:
    """Answer on `listen` while the block lasts; gives the port, None where nothing listens.

    Raises SettingsError for an address that can't be listened on.
    """
    if listen is None:
        yield None
        return
    try:
        family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        sock = socket.create_server((listen.host, listen.port), family=family, backlog=128)
    except OSError as error:
        raise SettingsError(
            f"[schedule] listen: {listen.host}:{listen.port} can't be listened on "
            f"({error.strerror or error}); expected a free address of this machine"
        ) from None
    loop = asyncio.new_event_loop()
    # Whoever resets a connection is no news for the log.
    loop.set_exception_handler(lambda _loop, _context: None)
    endpoint = _Endpoint(health, _names_of(listen))
    thread = threading.Thread(
        target=loop.run_until_complete, args=(endpoint.serve(sock),), name="health", daemon=True
    )
    thread.start()
    try:
        yield sock.getsockname()[1]
    finally:
        loop.call_soon_threadsafe(endpoint.ended.set)
        thread.join()
        loop.close()


class _Endpoint:
    """Answers each connection once, and closes it."""

    def __init__(self, health: Health, names: frozenset[str]) -> None:
        self.ended = asyncio.Event()
        self._health, self._names = health, names
        self._open: dict[asyncio.StreamWriter, None] = {}

    async def serve(self, sock: socket.socket) -> None:
        server = await asyncio.start_server(self._connected, sock=sock, limit=REQUEST_BYTES)
        await self.ended.wait()
        server.close()
        for writer in self._open:
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Slow ones can't keep a supervisor out: whoever came first makes room for the latest.
        self._open[writer] = None
        if len(self._open) > MOST_CONNECTIONS:
            oldest = next(iter(self._open))
            self._open.pop(oldest)
            oldest.transport.abort()
        faults = (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
        with suppress(*faults):
            async with asyncio.timeout(REQUEST_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer_to(request.decode("latin-1")))
                await writer.drain()
        self._open.pop(writer, None)
        writer.close()

    def _answer_to(self, request: str) -> bytes:
        line, *headers = request.split("\r\n")
        method, _, rest = line.partition(" ")
        hosts = [h.partition(":")[2].strip() for h in headers if h.lower().startswith("host:")]
        if any(_host(host) not in self._names and not _is_ip(_host(host)) for host in hosts):
            # A page in somebody's browser reaches this port under a name of its own.
            text = "this name is not the one of [schedule] listen\n"
            return _page(HTTPStatus.MISDIRECTED_REQUEST, text)
        if method not in {"GET", "HEAD"}:
            return _page(HTTPStatus.METHOD_NOT_ALLOWED, "GET /healthz or /metrics\n")
        answer = self._page_at(rest.split(" ")[0].partition("?")[0])
        return answer if method == "GET" else answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    def _page_at(self, path: str) -> bytes:
        match path:
            case "/healthz":
                alive, facts = self._health.healthz()
                status = HTTPStatus.OK if alive else HTTPStatus.SERVICE_UNAVAILABLE
                return _page(status, json.dumps(facts) + "\n", "application/json")
            case "/metrics":
                return _page(HTTPStatus.OK, self._health.metrics(), "text/plain; version=0.0.4")
            case _:
                return _page(HTTPStatus.NOT_FOUND, "/healthz or /metrics\n")


def _page(status: HTTPStatus, text: str, kind: str = "text/plain") -> bytes:
    body = text.encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Server: invites",
        f"Content-Type: {kind}; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + body


def _names_of(listen: Listen) -> frozenset[str]:
    """Return the names, besides plain addresses, by which this port is asked for."""
    names = {listen.host, "localhost"}
    if not (_is_ip(listen.host) and ip_address(listen.host).is_loopback):
        names |= {socket.gethostname(), socket.getfqdn()}
    return frozenset(name.lower() for name in names)


def _host(text: str) -> str:
    """Return a Host header's name or address without its port."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].lower()


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
