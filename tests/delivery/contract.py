"""What every delivery promises; each backend's tests subclass it and say how to open and read one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from invites.delivery.base import Delivery, OutgoingMessage
from invites.errors import TryAgainError
from tests.delivery.conftest import Recorder, message, message_id_of, messages


def never() -> bool:
    """Never stop."""
    return False


class DeliveryContract:
    """Subclasses give the fixture `delivery` and the method `arrived`."""

    def arrived(self) -> list[str]:
        """Return the Message-IDs that reached the other side, in order."""
        raise NotImplementedError

    def test_each_message_arrives_once_and_is_noted_as_sent(
        self, delivery: Delivery, journal: Recorder
    ) -> None:
        """Twelve messages: twelve messages at the other side, twelve outcomes."""
        with delivery:
            delivery.deliver(messages(12), journal, stop=never)
        assert sorted(self.arrived()) == sorted(map(message_id_of, range(1, 13)))
        assert journal.kinds() == dict.fromkeys(range(1, 13), "Sent")

    def test_nothing_arrives_that_was_not_announced(
        self, delivery: Delivery, journal: Recorder
    ) -> None:
        """A journal that fails at its first note keeps every message in."""
        journal.fails_at = 0
        with delivery, pytest.raises(Exception, match="No space left"):
            delivery.deliver(messages(3), journal, stop=never)
        assert self.arrived() == []
        assert journal.notes == []

    def test_every_sent_message_was_announced_before(
        self, delivery: Delivery, journal: Recorder
    ) -> None:
        """In the order of the notes each key is in `sending` before its outcome comes."""
        with delivery:
            delivery.deliver(messages(5), journal, stop=never)
        announced: set[object] = set()
        for outcomes, sending in journal.notes:
            assert {outcome.key for outcome in outcomes} <= announced
            announced.update(sending)
        assert announced == {1, 2, 3, 4, 5}

    def test_a_run_that_is_stopped_before_it_starts_sends_nothing(
        self, delivery: Delivery, journal: Recorder
    ) -> None:
        """`stop` is asked before the first message is taken."""
        with delivery, pytest.raises(TryAgainError, match="run again"):
            delivery.deliver(messages(3), journal, stop=lambda: True)
        assert self.arrived() == []
        assert journal.outcomes == {}

    def test_a_stopped_run_leaves_nothing_in_doubt(
        self, delivery: Delivery, journal: Recorder
    ) -> None:
        """Stopped in the middle: what was announced has its outcome, and only that arrived."""
        taken: list[OutgoingMessage] = []

        def noticed() -> Iterator[OutgoingMessage]:
            for each in messages(9):
                taken.append(each)
                yield each

        with delivery, pytest.raises(TryAgainError):
            delivery.deliver(noticed(), journal, stop=lambda: len(taken) >= 4)
        assert set(journal.sending) == set(journal.outcomes)
        assert sorted(self.arrived()) == sorted(message_id_of(key) for key in journal.outcomes)
        assert len(journal.outcomes) <= 5

    def test_a_fault_in_composing_is_raised_and_leaves_nothing_in_doubt(
        self, delivery: Delivery, journal: Recorder
    ) -> None:
        """The third message can't be made: what was announced has its outcome, the fault comes up."""

        def breaking() -> Iterator[OutgoingMessage]:
            yield from messages(2)
            raise ZeroDivisionError

        with delivery, pytest.raises(ZeroDivisionError):
            delivery.deliver(breaking(), journal, stop=never)
        assert set(journal.sending) == set(journal.outcomes)
        assert sorted(self.arrived()) == sorted(message_id_of(key) for key in journal.outcomes)

    def test_no_messages_leave_no_trace(self, delivery: Delivery, journal: Recorder) -> None:
        """Nothing to send: nothing noted, nothing at the other side."""
        with delivery:
            delivery.deliver([], journal, stop=never)
        assert self.arrived() == []
        assert journal.notes == []

    def test_answers_are_one_short_printable_line(
        self, delivery: Delivery, journal: Recorder
    ) -> None:
        """The history can hold every answer as it is."""
        with delivery:
            delivery.deliver([message(1)], journal, stop=never)
        answer = journal.outcomes[1].answer
        assert answer
        assert answer.isprintable()
        assert len(answer) <= 200

    def test_a_trace_is_never_wrong(self, delivery: Delivery, journal: Recorder) -> None:
        """What arrived is traced or not known; what did not arrive is never said to have."""
        with delivery:
            delivery.deliver([message(1)], journal, stop=never)
            traced = delivery.traced([message_id_of(1), message_id_of(2)])
        assert traced.get(message_id_of(1), True)
        assert not traced.get(message_id_of(2), False)
