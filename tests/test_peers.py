"""A test whose peer is absent is one skipped line, and a failure where nothing may be skipped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

NEEDY = """
import pytest

@pytest.mark.peer("strace")
@pytest.mark.parametrize("number", range(3))
def test_needs_its_peer(number):
    pass
"""


@pytest.fixture
def outcome(tmp_path: Path) -> str:
    """Run three tests that need strace where it is absent, and return what pytest says."""
    return _run(tmp_path, {})


def _run(tmp_path: Path, environ: dict[str, str]) -> str:
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_needy.py").write_text(NEEDY, "utf-8")
    (folder / "conftest.py").write_text(
        "from tests.conftest import pytest_runtest_setup\n", "utf-8"
    )
    inherited = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-ra",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            folder,
            "-o",
            "markers=peer(name): x",
            "--import-mode=importlib",
            folder,
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**inherited, "PATH": str(tmp_path), "PYTHONPATH": str(ROOT), **environ},
        timeout=60,
    )
    return done.stdout


def test_an_absent_peer_is_one_line_that_says_what_to_install(outcome: str) -> None:
    """However many tests need it."""
    lines = [line for line in outcome.splitlines() if line.startswith("SKIPPED")]
    assert len(lines) == 1
    assert lines[0].startswith("SKIPPED [3] ")
    assert lines[0].endswith("apt-get install strace")


@pytest.mark.parametrize("name", ["CI", "INVITES_NO_SKIPS"])
def test_an_absent_peer_is_a_failure_where_nothing_may_be_skipped(
    tmp_path: Path, name: str
) -> None:
    """CI has every peer."""
    said = _run(tmp_path, {name: "true"})
    assert "SKIPPED" not in said
    assert "3 error" in said
    assert "a peer is absent: apt-get install strace" in said


def test_what_npm_brings_is_pinned_by_hash_and_names_no_registry() -> None:
    """A lock that names a host would install from that host alone."""
    lock = json.loads((ROOT / "tests" / "peers" / "node" / "package-lock.json").read_text("utf-8"))
    packages = [package for path, package in lock["packages"].items() if path]
    assert all(package["integrity"].startswith("sha512-") for package in packages)
    assert not [package for package in packages if "resolved" in package]


@pytest.mark.peer("node")
@pytest.mark.parametrize("package", ["html-validate", "ical.js", "node-ical"])
def test_a_package_of_npm_is_of_the_version_that_is_pinned(package: str) -> None:
    """`make peers` installs what the lock says."""
    folder = ROOT / "tests" / "peers" / "node"
    wanted = json.loads((folder / "package.json").read_text("utf-8"))["devDependencies"]
    there = (folder / "node_modules" / package / "package.json").read_text("utf-8")
    assert json.loads(there)["version"] == wanted[package]
