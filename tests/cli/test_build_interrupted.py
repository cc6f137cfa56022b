"""A build after one that was killed, and one whose place can hold nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import NOW, SAMPLE, Answer, in_a_removed_folder, write_settings

Invites = Callable[..., Answer]
DEMO = ("--demo", "--now", NOW)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("no.csv", *DEMO), 2),
        ((SAMPLE, *DEMO, "--meeting", "no-such"), 2),
        (("empty.csv", *DEMO), 3),
        ((SAMPLE, "--config", "no.toml"), 5),
        ((SAMPLE, *DEMO, "--templates", "no-such"), 5),
    ],
)
def test_a_build_that_is_refused_has_repaired_an_interrupted_one(
    invites: Invites, arguments: tuple[str, ...], code: int
) -> None:
    """The old build that a kill left aside is back, whatever the roster and the settings say."""
    Path("empty.csv").touch()
    invites("build", SAMPLE, *DEMO)
    Path("out").rename(".out.invites-old")
    assert invites("build", *arguments).code == code
    assert Path("out/index.html").is_file()
    assert sorted(path.name for path in Path().iterdir()) == ["empty.csv", "out"]


def test_a_current_folder_that_was_removed_is_told_in_words(tmp_path: Path) -> None:
    """Exit 2 and one line, at once."""
    config = write_settings(tmp_path)
    ended = in_a_removed_folder(tmp_path, "build", SAMPLE, "--config", config, "--now", NOW)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("invites: .: found a folder that was removed")
    assert len(ended.err.splitlines()) == 1
