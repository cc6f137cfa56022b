"""The three forms hold the same messages, and programs that read them agree."""

from __future__ import annotations

import csv
import mailbox
import tarfile
from email import message_from_bytes
from io import BytesIO
from pathlib import Path

import pytest

from invites.model import Meeting
from tests.factory import Factory


@pytest.fixture
def meetings(factory: Factory) -> list[Meeting]:
    """Return two meetings of three and one."""
    people = [factory.attendee(number) for number in range(1, 4)]
    return [factory.meeting(*people), factory.meeting(id="other", title="From here")]


@pytest.fixture
def files(factory: Factory, meetings: list[Meeting], tmp_path: Path) -> dict[str, bytes]:
    """Return the tree that `--as files` writes, by path."""
    out = tmp_path / "files"
    factory.build(out, *meetings, composer=factory.composer())
    return {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*/*") if path.is_file()
    }


def manifest_of(out: Path) -> list[dict[str, str]]:
    """Return the rows of the manifest."""
    with (out / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_tree_has_three_files_for_each_invitation(files: dict[str, bytes]) -> None:
    """A folder per meeting; an .eml, an .ics and a page to look at per attendee."""
    assert len(files) == 12
    assert len({path.partition("/")[0] for path in files}) == 2
    assert {path.rpartition(".")[2] for path in files} == {"eml", "ics", "html"}


def test_a_page_is_the_html_part_of_its_mail(files: dict[str, bytes]) -> None:
    """To the byte, as the standard library decodes it."""
    pages = [path for path in files if path.endswith(".html")]
    assert len(pages) == 4
    for path in pages:
        message = message_from_bytes(files[path.replace(".html", ".eml")])
        (part,) = (one for one in message.walk() if one.get_content_type() == "text/html")
        assert part.get_payload(decode=True) == files[path]


@pytest.mark.parametrize(("asked", "pages"), [({}, 0), ({"pages": True}, 501)])
def test_more_than_500_invitations_have_pages_where_they_are_asked_for(
    asked: dict[str, bool], pages: int, factory: Factory, tmp_path: Path
) -> None:
    """They would double the files that nobody opens; 500 have theirs unasked."""
    people = [factory.attendee(number) for number in range(1, 502)]
    composer = factory.composer()
    factory.build(tmp_path / "out", factory.meeting(*people), composer=composer, **asked)
    assert len([*(tmp_path / "out").rglob("*/*.html")]) == pages
    if not asked:
        few = factory.meeting(*people[:500])
        factory.build(tmp_path / "out", few, composer=composer)
        assert len([*(tmp_path / "out").rglob("*/*.html")]) == 500


def test_a_tar_holds_the_same_files(
    factory: Factory, meetings: list[Meeting], files: dict[str, bytes], tmp_path: Path
) -> None:
    """Read with tarfile: the same names and bytes, private modes, the revision's time."""
    out = tmp_path / "tar"
    factory.build(out, *meetings, composer=factory.composer(), form="tar")
    with tarfile.open(out / "invitations.tar") as tar:
        members = tar.getmembers()
        found = {}
        for member in members:
            content = tar.extractfile(member)
            if content is not None:
                found[member.name] = content.read()
    assert found == {path: files[path] for path in files if not path.endswith(".html")}
    stamp = int(factory.revision.dtstamp.timestamp())
    assert {(member.isdir(), member.mode) for member in members} == {(True, 0o700), (False, 0o600)}
    assert {(member.mtime, member.uid, member.uname) for member in members} == {(stamp, 0, "")}
    rows = manifest_of(out)
    assert {row[kind] for row in rows for kind in ("eml", "ics")} == set(found)
    assert sorted(path.name for path in out.iterdir()) == [
        "index.html",
        "invitations.tar",
        "manifest.csv",
    ]


def test_a_tar_is_the_one_that_tarfile_makes(
    factory: Factory, meetings: list[Meeting], tmp_path: Path
) -> None:
    """To the byte, for its headers are made without it."""
    out = tmp_path / "tar"
    factory.build(out, *meetings, composer=factory.composer(), form="tar")
    made = (out / "invitations.tar").read_bytes()
    again = BytesIO()
    with (
        tarfile.open(fileobj=BytesIO(made)) as tar,
        tarfile.open(fileobj=again, mode="w", format=tarfile.USTAR_FORMAT) as copy,
    ):
        for member in tar:
            copy.addfile(member, tar.extractfile(member))
    assert again.getvalue() == made


def test_an_mbox_holds_the_same_messages(
    factory: Factory, meetings: list[Meeting], files: dict[str, bytes], tmp_path: Path
) -> None:
    """Read with mailbox: each message's bytes with LF line ends, in the manifest's order."""
    out = tmp_path / "mbox"
    factory.build(out, *meetings, composer=factory.composer(), form="mbox")
    box = mailbox.mbox(out / "invitations.mbox", create=False)
    try:
        read = [box.get_bytes(key).replace(b"\n", b"\r\n") for key in box.keys()]  # noqa: SIM118
        senders = {box.get_message(key).get_from() for key in box.keys()}  # noqa: SIM118
    finally:
        box.close()
    assert sorted(read) == sorted(files[path] for path in files if path.endswith(".eml"))
    assert senders == {"meetings@example.com Wed Sep 03 08:00:00 2031"}
    rows = manifest_of(out)
    ids = [row["message_id"].encode() for row in rows]
    assert all(one in message for one, message in zip(ids, read, strict=True))
    assert {(row["eml"], row["ics"]) for row in rows} == {("invitations.mbox", "")}
