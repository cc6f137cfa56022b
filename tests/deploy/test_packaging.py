"""What is installed: pinned by hash, from PyPI alone, with its types."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import invites as package
from tests.support import ROOT

LOCKS = {
    name: (ROOT / "requirements" / name).read_text(encoding="utf-8")
    for name in ("run.lock", "dev.lock")
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins_of(lock: str) -> list[str]:
    """Return each package's lines."""
    return re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", LOCKS[lock], re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("lock", LOCKS)
def test_each_pinned_package_has_its_hashes(lock: str) -> None:
    """And the Makefile installs nothing without one."""
    pins = pins_of(lock)
    assert len(pins) > 30
    assert [pin for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == []
    installs = [
        line for line in (ROOT / "Makefile").read_text().splitlines() if "pip install" in line
    ]
    assert [line for line in installs if "--require-hashes" in line or "--editable ." in line] == (
        installs
    )


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_registry(lock: str) -> None:
    """Whoever installs says where from."""
    assert re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", LOCKS[lock]) is None


@pytest.mark.parametrize("requirement", PROJECT["dependencies"])
def test_each_dependency_is_pinned(requirement: str) -> None:
    """A dependency that was added to pyproject.toml wants `make lock`."""
    name = re.match(r"[a-z0-9-]+", requirement)
    assert name is not None
    for lock in LOCKS.values():
        assert re.search(rf"^{name[0]}(\[\w+\])?==", lock, re.MULTILINE)


def test_both_locks_pin_the_same_versions() -> None:
    """What runs is what was tested."""
    run, dev = ({pin.split()[0] for pin in pins_of(lock)} for lock in ("run.lock", "dev.lock"))
    assert run - dev == set()


def test_the_package_says_that_it_is_typed() -> None:
    """PEP 561: other programs' type checkers look for this file."""
    assert Path(package.__file__).with_name("py.typed").is_file()


@pytest.mark.parametrize(
    "page",
    sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]),
)
def test_each_link_of_the_documentation_leads_somewhere(page: str) -> None:
    """To a file or folder that is here."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_each_file_that_the_guide_for_contributors_names_is_here() -> None:
    """Below the root or below invites/; a map of rooms that are gone leads nowhere."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.(?:py|md|toml|lock|j2))`", text))
    assert len(named) > 40
    folders = (ROOT, ROOT / "invites")
    assert [
        name for name in sorted(named) if not any((one / name).exists() for one in folders)
    ] == []
    rooms = {path.stem for path in (ROOT / "invites").iterdir() if not path.name.startswith("_")}
    for room in rooms - {"py", "addresses", "identity", "languages", "text", "times", "problems"}:
        assert re.search(rf"^  {room}(/|\.py) ", text, re.MULTILINE), room
