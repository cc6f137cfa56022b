"""What the tests of the preview share: a world with a roster, and the page of it being served."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.support import COMMAND
from tests.world import ADA, BOB, EVE, World

NOW = "2031-02-01T09:00:00Z"
SECONDS = 30.0


@dataclass(frozen=True)
class Served:
    """A preview that runs, as a browser or a program meets it."""

    url: str
    world: World
    process: subprocess.Popen[str]

    def get(self, path: str, **headers: str) -> tuple[int, HTTPResponse, bytes]:
        """Return status, answer and body of an address below the page's own."""
        request = urllib.request.Request(self.url + path, headers=headers)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
                return answer.status, answer, answer.read()
        except HTTPError as error:
            return error.code, error, error.read()  # type: ignore[return-value]

    def state(self) -> dict[str, Any]:
        """Return what the page lists."""
        document = json.loads(self.get("state.json")[2])
        assert isinstance(document, dict)
        return document


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Serve three people's invitations to two meetings, until a signal ends it in order."""
    world = World(folder=tmp_path)
    world.write_settings()
    world.write(ADA, BOB, EVE)
    process = subprocess.Popen(
        [*COMMAND, "preview", "roster.csv", "--json", "--now", NOW],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    while not said.endswith("}\n"):
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        said += line
    yield Served(json.loads(said)["url"], world, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (0, ""), err
    assert "jwt=" not in err
