"""Rates: no window of a limit's length ever holds more messages than it allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.delivery.base import Deferred
from invites.delivery.smtp import SmtpDelivery
from invites.delivery.smtp_connection import Pace, Relay
from invites.errors import TryAgainError
from invites.settings.quantities import RateLimit, rate
from tests.delivery.conftest import Recorder, message_id_of, messages
from tests.delivery.contract import never
from tests.peers.smtp_server import ScriptedServer


@dataclass
class Clock:
    """A clock that moves only when somebody sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def read(self) -> float:
        """Return the time in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.slept.append(seconds)
        self.now += seconds


def sent_before(counts: dict[timedelta, int]) -> Callable[[timedelta], int]:
    """Return a ledger's count for each period."""
    return lambda span: counts.get(span, 0)


def limited(server: ScriptedServer, text: str, clock: Clock, counts: dict[timedelta, int]):  # noqa: ANN201
    """Return a delivery with the rate that `text` says, on a clock of its own."""
    relay = Relay(host="127.0.0.1", port=server.port, security="none", rate=rate(text))
    return SmtpDelivery(relay, sent_since=sent_before(counts), clock=clock.read, sleep=clock.sleep)


@given(
    limits=st.lists(
        st.tuples(st.integers(1, 5), st.sampled_from([1, 60, 3600])), min_size=1, max_size=3
    ),
    already=st.integers(0, 7),
    gaps=st.lists(st.floats(0, 100), min_size=1, max_size=25),
)
def test_no_window_holds_more_than_its_limit(
    limits: list[tuple[int, int]], already: int, gaps: list[float]
) -> None:
    """Whatever the gaps between messages, and whatever the run before had sent."""
    clock = Clock()
    bounds = [RateLimit(count=count, period=timedelta(seconds=span)) for count, span in limits]
    pace = Pace(bounds, sent_since=lambda _: already, clock=clock.read)
    starts: list[float] = []
    for gap in gaps:
        clock.now += gap
        while (wait := pace.wait()) > 0:
            clock.now += max(wait, 1e-6)
        pace.count()
        starts.append(clock.now)
    for bound in bounds:
        span = bound.period.total_seconds()
        earlier = [1000.0] * min(already, bound.count)
        for end in starts:
            # A millisecond of slack for floating point.
            window = [one for one in earlier + starts if end - span + 0.001 < one <= end]
            assert len(window) <= bound.count


def test_without_limits_nothing_waits() -> None:
    """The default rate is none."""
    pace = Pace((), sent_since=sent_before({}))
    pace.count()
    assert pace.wait() == 0
    assert pace.spent is None


def test_a_minutes_limit_is_waited_for(journal: Recorder) -> None:
    """Seven messages at three a minute take two minutes, in naps of at most a second."""
    clock = Clock()
    with ScriptedServer() as server:
        delivery = limited(server, "3/m", clock, {})
        delivery.deliver(messages(7), journal, stop=never)
    assert len(server.accepted) == 7
    assert 120 <= sum(clock.slept) <= 121
    assert max(clock.slept) <= 1
    assert server.connections == 3  # a connection is not kept open for half a minute and more


def test_what_an_earlier_run_sent_this_minute_counts(journal: Recorder) -> None:
    """The ledger says two of three: one goes at once, the next a minute later."""
    clock = Clock()
    with ScriptedServer() as server:
        delivery = limited(server, "3/m", clock, {timedelta(minutes=1): 2})
        delivery.deliver(messages(2), journal, stop=never)
    assert 60 <= sum(clock.slept) <= 61
    assert len(server.accepted) == 2


def test_a_days_limit_ends_the_run_and_the_rest_waits(journal: Recorder) -> None:
    """9,998 of 10,000 are gone: two go out, exit 75, nothing deferred."""
    clock = Clock()
    with ScriptedServer() as server:
        delivery = limited(server, "100/s, 10000/d", clock, {timedelta(days=1): 9_998})
        with pytest.raises(TryAgainError, match="limit of 10000 messages in a day"):
            delivery.deliver(messages(5), journal, stop=never)
    assert server.ids() == [message_id_of(1), message_id_of(2)]
    assert journal.kinds() == {1: "Sent", 2: "Sent"}
    assert clock.slept == []


def test_a_days_limit_that_is_not_exceeded_is_no_error(journal: Recorder) -> None:
    """The last message that is allowed is the last there is."""
    with ScriptedServer() as server:
        delivery = limited(server, "2/d", Clock(), {})
        delivery.deliver(messages(2), journal, stop=never)
    assert len(server.accepted) == 2


def test_a_signal_ends_the_waiting(journal: Recorder) -> None:
    """Within a second, and with everything noted."""
    clock = Clock()
    with ScriptedServer() as server:
        delivery = limited(server, "1/h", clock, {})
        with pytest.raises(TryAgainError, match="stopped"):
            delivery.deliver(messages(3), journal, stop=lambda: len(clock.slept) >= 2)
    assert journal.kinds() == {1: "Sent"}
    assert len(clock.slept) == 2
    assert not any(isinstance(each, Deferred) for each in journal.outcomes.values())
