"""A build after one that was killed, and one whose place can hold nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support import COMMAND, NOW, ROOT, SAMPLE, write_settings


def test_a_current_folder_that_was_removed_is_told_in_words(tmp_path: Path) -> None:
    """Exit 2 and one line, at once."""
    gone = tmp_path / "gone"
    gone.mkdir()
    config = write_settings(tmp_path)
    build = (*COMMAND, "build", SAMPLE, "--config", config, "--now", NOW)
    ended = subprocess.run(
        ["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", *map(str, build)],
        cwd=gone,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("invites: .: found a folder that was removed")
    assert len(ended.stderr.splitlines()) == 1
