"""What becomes of a whole `send` by SMTP whose ledger, or its mark, goes while it is at work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.smtp_server import ScriptedServer
from tests.support import LEDGER_GOES, Answer
from tests.world import CommandWorld, many, smtp

PEOPLE, AT_MESSAGE = 12, 4


@dataclass
class Accident:
    """Does something to the ledger's folder while the server has a message in hand."""

    deed: Callable[[Path], None]
    path: Path
    messages: int = 0

    def __call__(self, _content: bytes) -> None:
        """Count a message, and strike at the fourth; the server has not answered it yet."""
        self.messages += 1
        if self.messages == AT_MESSAGE:
            self.deed(self.path)


@pytest.mark.parametrize("deed", LEDGER_GOES)
def test_a_send_whose_ledger_goes_stops_at_its_next_commit(
    invites: Callable[..., Answer], tmp_path: Path, deed: Callable[[Path], None]
) -> None:
    """Exit 5 with what to do, what had gone out is told, and no message goes out after that."""
    with ScriptedServer(on_content=Accident(deed, tmp_path / "invites.db")) as server:
        world = CommandWorld.ready(invites, tmp_path, smtp(server))
        answer = world.send_mail(many(PEOPLE))
    assert answer.code == 5
    assert "deleted or replaced while this run was at work" in answer.err
    assert "put back the latest copy, and go on with it by --after-restore" in answer.err
    assert f"{AT_MESSAGE - 1} of {PEOPLE} messages sent" in answer.out
    assert "1 in doubt" in answer.out
    assert len(server.accepted) == AT_MESSAGE


def _mark_blocked(path: Path) -> None:
    mark = Path(f"{path}.mark")
    mark.unlink()
    mark.mkdir()


def test_a_mark_that_cant_be_written_ends_the_run_and_puts_nothing_in_doubt(
    invites: Callable[..., Answer], tmp_path: Path
) -> None:
    """What is in hand is finished and recorded, exit 1 says so, and the next run sends the rest."""
    with ScriptedServer(on_content=Accident(_mark_blocked, tmp_path / "invites.db")) as server:
        world = CommandWorld.ready(invites, tmp_path, smtp(server))
        answer = world.send_mail(many(PEOPLE))
        assert answer.code == 1
        assert "invites.db.mark: Is a directory" in answer.err
        assert "what was recorded is kept, and nothing is in doubt by this" in answer.err
        assert "in doubt" not in answer.out
        assert f"{len(server.accepted)} of {PEOPLE} messages sent" in answer.out
        assert len(server.accepted) < PEOPLE
        (tmp_path / "invites.db.mark").rmdir()
        assert world.send_mail(many(PEOPLE)).code == 0
    assert len(server.ids()) == len(set(server.ids())) == PEOPLE
