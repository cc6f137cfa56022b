"""The folder of a build: what is taken, what is refused, and what an interruption leaves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from invites.errors import OutputRefusedError, TryAgainError
from invites.output import manifest
from invites.output.forms import name_for, write_file
from invites.output.staging import staged


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths start in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Take nothing from the modes of new files."""
    before = os.umask(0)
    yield
    os.umask(before)


def build_into(target: Path, mark: str) -> None:
    """Write something that is a build, with a mark to know it by."""
    with staged(target) as folder:
        write_file(folder, manifest.NAME, manifest.HEADER)
        write_file(folder, "index.html", mark.encode())


def mark_of(target: Path) -> str:
    """Return the mark of the build that stands there."""
    return (target / "index.html").read_text("utf-8")


def names_in(folder: Path) -> list[str]:
    """Return all names, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("spelling", ["out", "out/", "./out", "a/b/c/out", "a/../out", "øut ü"])
def test_an_absent_folder_is_made(spelling: str) -> None:
    """With the folders above it, however it is spelt; nothing stands beside it."""
    target = Path(spelling)
    build_into(target, "first")
    assert mark_of(target) == "first"
    assert names_in(target.parent) in ([target.name], ["a", target.name])


@pytest.mark.usefixtures("open_umask")
def test_all_that_is_made_is_private_whatever_the_umask() -> None:
    """0700 for folders, those above the build too; 0600 for files."""
    build_into(Path("a/b/out"), "x")
    modes = {str(path): path.stat().st_mode & 0o777 for path in Path().rglob("*")}
    assert {path: mode for path, mode in modes.items() if Path(path).is_dir()} == {
        "a": 0o700,
        "a/b": 0o700,
        "a/b/out": 0o700,
    }
    assert modes["a/b/out/manifest.csv"] == modes["a/b/out/index.html"] == 0o600


def test_an_empty_folder_is_taken() -> None:
    """Also one with what file managers leave."""
    Path("out").mkdir()
    Path("out/.DS_Store").touch()
    build_into(Path("out"), "first")
    assert names_in(Path("out")) == ["index.html", "manifest.csv"]


def test_the_current_folder_is_taken_where_it_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--out .` means the folder that it names."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    build_into(Path(), "first")
    assert mark_of(tmp_path / "here") == "first"
    assert names_in(tmp_path) == ["here"]


def test_an_earlier_build_is_replaced() -> None:
    """As a whole: nothing of the old one is left."""
    build_into(Path("out"), "first")
    (Path("out") / name_for("meeting")).mkdir()
    build_into(Path("out"), "second")
    assert mark_of(Path("out")) == "second"
    assert names_in(Path("out")) == ["index.html", "manifest.csv"]
    assert names_in(Path()) == ["out"]


def foreign_file() -> None:
    """Make a folder with somebody's file."""
    Path("out").mkdir()
    Path("out/photo.jpg").touch()


def foreign_manifest() -> None:
    """Make a folder with another program's manifest."""
    Path("out").mkdir()
    Path("out/manifest.csv").write_text("name,size\n", "utf-8")


def build_with_a_file() -> None:
    """Make a build into which somebody put a file."""
    build_into(Path("out"), "first")
    Path("out/notes.txt").touch()


def build_with_a_folder() -> None:
    """Make a build into which somebody put a folder."""
    build_into(Path("out"), "first")
    Path("out/backup").mkdir()


def build_with_a_folder_of_a_files_name() -> None:
    """Make a build whose page is a folder."""
    build_into(Path("out"), "first")
    Path("out/index.html").unlink()
    Path("out/index.html").mkdir()


def build_with_a_link_of_a_files_name() -> None:
    """Make a build whose page is a link to somebody's."""
    build_into(Path("out"), "first")
    Path("page").touch()
    Path("out/index.html").unlink()
    Path("out/index.html").symlink_to("../page")


def folder_named_as_a_file_managers_file() -> None:
    """Make a folder with a folder of somebody's that is named as what is ignored."""
    Path("out/.DS_Store").mkdir(parents=True)
    Path("out/.DS_Store/kept").touch()


def file_of_an_unprintable_name() -> None:
    """Make a folder with a file in whose name are a line end and a byte that is no character."""
    Path("out").mkdir()
    Path(os.fsdecode(b"out/a\nb\xff")).touch()


def build_with_a_link() -> None:
    """Make a build in which a link of a meeting folder's name leads elsewhere."""
    build_into(Path("out"), "first")
    Path("elsewhere").mkdir()
    Path("elsewhere/kept").touch()
    (Path("out") / name_for("meeting")).symlink_to("../elsewhere")


def linked_manifest() -> None:
    """Make a folder whose manifest is a link to a build's."""
    build_into(Path("other"), "x")
    Path("out").mkdir()
    Path("out/manifest.csv").symlink_to("../other/manifest.csv")


def a_file() -> None:
    """Make a file of that name."""
    Path("out").touch()


def a_link() -> None:
    """Make a link of that name to a build."""
    build_into(Path("other"), "x")
    Path("out").symlink_to("other")


def a_dangling_link() -> None:
    """Make a link of that name to nothing."""
    Path("out").symlink_to("nowhere")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (foreign_file, r"other files \(photo\.jpg\)"),
        (foreign_manifest, "other files"),
        (build_with_a_file, r"no build made \(notes\.txt\)"),
        (build_with_a_folder, r"no build made \(backup\)"),
        (build_with_a_folder_of_a_files_name, r"no build made \(index\.html\)"),
        (build_with_a_link_of_a_files_name, r"no build made \(index\.html\)"),
        (folder_named_as_a_file_managers_file, r"other files \(\.DS_Store\)"),
        (file_of_an_unprintable_name, r"other files \(a\\nb\\udcff\)"),
        (build_with_a_link, "no build made"),
        (linked_manifest, "other files"),
        (a_file, "found a file"),
        (a_link, "found a symbolic link"),
        (a_dangling_link, "found a symbolic link"),
    ],
)
def test_anything_else_is_refused_and_stays(
    make: Callable[[], None], words: str, tmp_path: Path
) -> None:
    """With words that name it; nothing is made, removed or followed."""
    make()
    before = sorted((str(path), path.lstat().st_ino) for path in tmp_path.rglob("*"))
    with pytest.raises(OutputRefusedError, match=words):
        build_into(Path("out"), "second")
    assert sorted((str(path), path.lstat().st_ino) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("spelling", "words"),
    [
        ("/", "a folder of its own"),
        ("file/out", "found a file or a link to nothing"),
        ("file/a/out", "found a file or a link to nothing"),
        ("dangling/out", "found a file or a link to nothing"),
        ("n" * 250, "bytes too long"),
        ("ü" * 125, "bytes too long"),
        ("/proc", "a mount point"),
        ("/proc/out", "/proc: found a folder that was removed or can hold no others"),
        ("/proc/a/out", "/proc: found a folder that was removed or can hold no others"),
    ],
)
def test_a_place_that_can_hold_no_build_is_refused(spelling: str, words: str) -> None:
    """In words, before anything is made."""
    Path("file").touch()
    Path("dangling").symlink_to("nowhere")
    with pytest.raises(OutputRefusedError, match=words):
        build_into(Path(spelling), "x")
    assert names_in(Path()) == ["dangling", "file"]


@pytest.mark.parametrize("spelling", ["out", "a/b/out", "."])
def test_a_current_folder_that_was_removed_is_refused(
    spelling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there to look at, and can hold nothing."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(OutputRefusedError, match="was removed or can hold no others"):
        build_into(Path(spelling), "x")


def test_a_link_above_the_folder_is_followed() -> None:
    """A link that somebody made on the way is theirs to make."""
    Path("real").mkdir()
    Path("way").symlink_to("real")
    build_into(Path("way/out"), "x")
    assert mark_of(Path("real/out")) == "x"


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_failure_leaves_all_as_it_was(failure: type[BaseException], *, earlier: bool) -> None:
    """The old build stands, or nothing does: no folder above it, no half of a new one."""
    target = Path("a/b/out")
    if earlier:
        build_into(target, "first")

    def fail() -> None:
        with staged(target) as folder:
            write_file(folder, "index.html", b"second")
            raise failure

    with pytest.raises(failure):
        fail()
    if earlier:
        assert mark_of(target) == "first"
        assert names_in(target.parent) == ["out"]
    else:
        assert names_in(Path()) == []


def test_a_folder_above_that_can_not_be_made_leaves_none_of_the_others() -> None:
    """Those that were made on the way are removed again."""
    with pytest.raises(OSError, match="File name too long"):
        build_into(Path("a") / ("n" * 300) / "out", "x")
    assert names_in(Path()) == []


def test_a_target_that_appears_meanwhile_is_not_overwritten() -> None:
    """Somebody's folder that came while the build ran is kept."""

    def meanwhile() -> None:
        with staged(Path("out")) as folder:
            write_file(folder, "index.html", b"x")
            Path("out").mkdir()
            Path("out/theirs").touch()

    with pytest.raises(OutputRefusedError):
        meanwhile()
    assert names_in(Path("out")) == ["theirs"]
    assert names_in(Path()) == ["out"]


def test_a_link_that_takes_the_targets_place_meanwhile_is_not_followed() -> None:
    """Neither it nor what it leads to is replaced."""
    build_into(Path("out"), "first")

    def meanwhile() -> None:
        with staged(Path("out")) as folder:
            write_file(folder, "index.html", b"second")
            Path("out").rename("elsewhere")
            Path("out").symlink_to("elsewhere")

    with pytest.raises(OutputRefusedError, match="a symbolic link"):
        meanwhile()
    assert mark_of(Path("elsewhere")) == "first"
    assert names_in(Path()) == ["elsewhere", "out"]


def test_a_second_build_is_held_off_while_one_writes() -> None:
    """It says so, and takes nothing from the first."""
    with staged(Path("out")) as folder:
        write_file(folder, manifest.NAME, manifest.HEADER)
        write_file(folder, "index.html", b"first")
        with pytest.raises(TryAgainError, match="another build is writing"):
            build_into(Path("out"), "second")
    assert mark_of(Path("out")) == "first"


def test_builds_beside_each_other_do_not_meet() -> None:
    """Only the same folder is locked."""
    with staged(Path("one")) as folder:
        write_file(folder, "index.html", b"one")
        build_into(Path("two"), "two")
    assert (mark_of(Path("one")), mark_of(Path("two"))) == ("one", "two")
