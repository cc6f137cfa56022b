"""What an interrupted build leaves beside its folder: put back, cleared up, or somebody's own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from invites.errors import OutputRefusedError
from invites.output import manifest
from invites.output.forms import name_for, write_file
from invites.output.staging import repair, staged
from tests.support import process

OUT, NEW, OLD = Path("out"), Path(".out.invites-new"), Path(".out.invites-old")
MESSAGE = Path(name_for("weekly"), f"{name_for('ada@example.org')}.eml")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths start in an empty folder."""
    monkeypatch.chdir(tmp_path)


def build_into(target: Path, mark: str) -> None:
    """Write something that is a build, with a mark to know it by."""
    with staged(target) as folder:
        write_file(folder, manifest.NAME, manifest.HEADER)
        write_file(folder, "index.html", mark.encode())


@pytest.mark.parametrize("spelling", ["out/../out", "./out/../out", "out/x/../../out"])
def test_a_path_through_the_build_itself_is_replaced_as_any(spelling: str) -> None:
    """Between the two renames such a path leads nowhere."""
    build_into(OUT, "first")
    for mark in ("second", "third"):
        with suppress(OutputRefusedError):  # where `x` had to be made in the build
            build_into(Path(spelling), mark)
    last = (OUT / "index.html").read_text()
    assert last == ("first" if "x" in spelling else "third")
    assert [path.name for path in Path().iterdir()] == ["out"]


PROTECTED = """
from pathlib import Path
from invites.output import manifest
from invites.output.forms import Files, write_file
from invites.output.staging import staged
import os, sys
for mark in "123":
    with staged(Path("out")) as folder:
        write_file(folder, manifest.NAME, manifest.HEADER)
        os.mkdir(sys.argv[1], dir_fd=folder)
        Path(".out.invites-new", sys.argv[1], sys.argv[2]).write_text(mark)
    for top, folders, files in os.walk("out"):
        for name in files:
            os.chmod(os.path.join(top, name), 0o400)
    for top, folders, files in os.walk("out", topdown=False):
        os.chmod(top, 0o500)
"""


def test_a_write_protected_build_is_replaced_again_and_again(tmp_path: Path) -> None:
    """Its owner may; root's power over all files is laid down for the test."""
    powers = "-dac_override,-dac_read_search"
    lay_down = ["setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}"]
    python = (sys.executable, "-c", PROTECTED, str(MESSAGE.parent), MESSAGE.name)
    ended = process(tmp_path, *(lay_down if os.geteuid() == 0 else []), *python)
    assert ended.code == 0, ended.err
    assert (OUT / MESSAGE).read_text() == "3"
    assert [path.name for path in Path().iterdir()] == ["out"]


def fail_to_build() -> None:
    """Begin a build that ends early."""

    def begin() -> None:
        with staged(OUT):
            raise ValueError

    with suppress(ValueError):
        begin()


def mark_of(target: Path) -> str:
    """Return the mark of the build that stands there."""
    return (target / "index.html").read_text("utf-8")


def names_in(folder: Path) -> list[str]:
    """Return all names, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


def interrupt_between_the_renames() -> None:
    """Leave what a kill between the two renames leaves."""
    build_into(OUT, "first")
    shutil.copytree(OUT, NEW)
    OUT.rename(OLD)


def test_an_interruption_while_writing_is_cleared_up() -> None:
    """What is left of a killed build is removed by the next one."""
    build_into(OUT, "first")
    shutil.copytree(OUT, NEW)
    (NEW / MESSAGE).parent.mkdir()
    (NEW / MESSAGE).write_text("half a mess")
    build_into(OUT, "second")
    assert mark_of(OUT) == "second"
    assert names_in(Path()) == ["out"]


@pytest.mark.parametrize("start", [fail_to_build, lambda: repair(OUT)])
def test_an_interruption_between_the_renames_is_repaired(start: Callable[[], None]) -> None:
    """The old build is put back by the next start, also where that one fails or begins none."""
    interrupt_between_the_renames()
    start()
    assert mark_of(OUT) == "first"
    assert names_in(Path()) == ["out"]


@pytest.mark.parametrize("start", [fail_to_build, lambda: repair(OUT)])
@pytest.mark.parametrize("names", [(), (".DS_Store",)])
def test_an_empty_folder_made_meanwhile_does_not_cost_the_old_build(
    start: Callable[[], None], names: tuple[str, ...]
) -> None:
    """As `mkdir -p out` before each build makes it: it replaced nothing."""
    interrupt_between_the_renames()
    OUT.mkdir()
    for name in names:
        (OUT / name).touch()
    start()
    assert mark_of(OUT) == "first"
    assert names_in(OUT) == ["index.html", "manifest.csv"]
    assert names_in(Path()) == ["out"]


def test_an_interruption_after_the_renames_is_cleared_up() -> None:
    """The new build stands; the old one is removed by the next start."""
    build_into(OLD, "first")
    build_into(OUT, "second")
    assert mark_of(OUT) == "second"
    build_into(OLD, "first")
    fail_to_build()
    assert mark_of(OUT) == "second"
    assert names_in(Path()) == ["out"]


def test_an_interruption_while_the_old_build_is_removed_is_cleared_up() -> None:
    """What is left of it is no build to put back, even where the new one is gone as well."""
    build_into(OLD, "first")
    (OLD / manifest.NAME).unlink()
    fail_to_build()
    assert names_in(Path()) == []


@pytest.mark.parametrize("beside", [NEW, OLD])
@pytest.mark.parametrize("earlier", [False, True])
def test_somebodys_folder_beside_is_named_and_stays(beside: Path, *, earlier: bool) -> None:
    """Whatever it is called: a build does not make what is in it."""
    if earlier:
        build_into(OUT, "first")
    beside.mkdir()
    (beside / "thesis.txt").touch()
    before = names_in(Path())
    with pytest.raises(OutputRefusedError, match=rf"{beside}: found files .*\(thesis\.txt\)"):
        build_into(OUT, "second")
    repair(OUT)
    assert names_in(beside) == ["thesis.txt"]
    assert names_in(Path()) == before


@pytest.mark.parametrize("beside", [NEW, OLD])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_somebodys_file_or_link_beside_is_named_and_stays(beside: Path, kind: str) -> None:
    """A file or link of that name is no build's."""
    build_into(OUT, "first")
    beside.touch() if kind == "file" else beside.symlink_to("nowhere")
    with pytest.raises(OutputRefusedError, match="remove it"):
        build_into(OUT, "second")
    repair(OUT)
    assert mark_of(OUT) == "first"
    assert names_in(Path()) == [beside.name, "out"]


@pytest.mark.parametrize("target", [OUT, Path("a/b/out"), Path("/proc/out"), Path("/"), Path()])
def test_where_nothing_was_interrupted_the_repair_makes_nothing(target: Path) -> None:
    """No folder, and no error about a place that can hold no build."""
    repair(target)
    assert names_in(Path()) == []


def test_the_repair_takes_nothing_from_a_build_that_writes() -> None:
    """Not what it wrote, and not the old build while that is aside; nor does it say so."""
    interrupt_between_the_renames()
    with staged(OUT) as folder:
        write_file(folder, manifest.NAME, manifest.HEADER)
        write_file(folder, "index.html", b"second")
        OUT.rename(OLD)
        repair(OUT)
        assert names_in(Path()) == [NEW.name, OLD.name]
        assert names_in(NEW) == ["index.html", "manifest.csv"]
        OLD.rename(OUT)
    assert mark_of(OUT) == "second"
    assert names_in(Path()) == ["out"]


def test_the_repair_takes_nothing_from_somebodys_folder() -> None:
    """Where a folder of somebody's own took the place, both stay; the build tells of it."""
    interrupt_between_the_renames()
    OUT.mkdir()
    (OUT / "theirs").touch()
    repair(OUT)
    assert names_in(OUT) == ["theirs"]
    assert mark_of(OLD) == "first"
