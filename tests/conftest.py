"""What all tests share: programs of the distribution as peers, and one build of the sample."""

from __future__ import annotations

import csv
import ctypes.util
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from invites.cli.app import STOPPING, run_command_line
from invites.templating import Templates
from tests.factory import Factory
from tests.peers.node import are_installed
from tests.support import NOW, SAMPLE, SECRET, Answer, SampleBuild, write_settings

# A landing is judged by the same examples each time; whoever works here searches for new ones.
hypothesis.settings.register_profile("landing", deadline=None, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None)
hypothesis.settings.load_profile("landing" if os.environ.get("CI") == "true" else "search")

_OURS_OR_JITSIS = ("INVITES_", "JWT_", "XMPP_DOMAIN", "PUBLIC_URL", "SOURCE_DATE_EPOCH")
_FOR_THE_TESTS = ("INVITES_NO_SKIPS", "INVITES_NIGHTS")


@dataclass(frozen=True)
class Peer:
    """A program or library from the distribution: its package, and how to see that it is there."""

    package: str
    present: Callable[[], object]


def _a_program(name: str) -> Callable[[], object]:
    return lambda: shutil.which(name)


def _initdb() -> object:
    return shutil.which("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


_SYSTEMD = Peer("systemd", _a_program("systemd-analyze"))
PEERS: Mapping[str, Peer] = {
    "libical3": Peer("libical3", lambda: ctypes.util.find_library("ical")),
    "chromium": Peer("chromium", _a_program("chromium")),
    "postgresql": Peer("postgresql", _initdb),
    "strace": Peer("strace", _a_program("strace")),
    "systemd": _SYSTEMD,
    "systemd-analyze": _SYSTEMD,
    "tmux": Peer("tmux", _a_program("tmux")),
    "node": Peer("npm && make peers", are_installed),
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose peer is absent; fail it where nothing may be skipped."""
    for marker in item.iter_markers("peer"):
        peer = PEERS[marker.args[0]]
        if peer.present():
            continue
        reason = f"apt-get install {peer.package}"
        if os.environ.get("CI") == "true" or os.environ.get("INVITES_NO_SKIPS"):
            pytest.fail(f"a peer is absent: {reason}", pytrace=False)
        pytest.skip(reason)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long searches and sweeps out unless `-m` asks for them (nights: INVITES_NIGHTS=1)."""
    asked = str(config.getoption("markexpr"))
    asked += " nights" if os.environ.get("INVITES_NIGHTS") == "1" else ""
    long = [name for name in ("faults", "nights") if name not in asked]
    left_out = [item for item in items if any(map(item.get_closest_marker, long))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not any(map(item.get_closest_marker, long))]


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    """Take back the handlers that the command line sets."""
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def _nothing_of_the_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the machine's settings, its own and Jitsi's in the environment, out of the tests."""
    with pytest.MonkeyPatch.context() as environment:
        for name in list(os.environ):
            if name.startswith(_OURS_OR_JITSIS) and name not in _FOR_THE_TESTS:
                environment.delenv(name)
        environment.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "no-settings"))
        yield


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleBuild:
    """Build the sample roster once."""
    folder = tmp_path_factory.mktemp("sample")
    config = write_settings(folder)
    out = folder / "out"
    arguments = ("--config", str(config), "--now", NOW, "--out", str(out), "-q")
    assert run_command_line(["build", str(SAMPLE), *arguments]) == 0
    with (out / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = tuple(csv.DictReader(file))
    return SampleBuild(folder=out, secret=SECRET, rows=rows)


@pytest.fixture(scope="session")
def factory() -> Factory:
    """Return a factory with the shipped templates."""
    return Factory(Templates.load())


@pytest.fixture
def invites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Return a function that calls the command line, in an empty folder, and gives its answer."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> Answer:
        capsys.readouterr()
        code = run_command_line([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Answer(int(code), out, err)

    return call
