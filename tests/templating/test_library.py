"""What is wrong with templates is said before anything is written, with file and line."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from invites.errors import Exit, TemplateError
from invites.invitation import Kind
from invites.model import Attendee
from invites.shipped import shipped_folder
from invites.templating import LetterFacts, LetterWriter, Templates

Folder = Callable[[dict[str, str]], Path]
LINK = "https://meet.example.com/r?jwt=aaa.bbb.ccc"


def _refusal(folder: Path) -> str:
    with pytest.raises(TemplateError) as caught:
        Templates.load(folder)
    assert caught.value.exit_code is Exit.SETTINGS
    return str(caught.value)


def test_a_single_file_of_the_users_folder_overrides_the_shipped_one(
    folder_of: Folder, facts: LetterFacts, attendee: Attendee
) -> None:
    """The user's subject is used, the shipped text stays."""
    folder = folder_of({"invitation.subject.j2": "Come, {{ attendee.name }}!\n"})
    letter = LetterWriter(Templates.load(folder)).letter(Kind.INVITATION, facts, attendee, LINK)
    assert letter.subject == "Come, Ada Example!"
    assert "you are invited" in letter.text


def test_an_included_file_and_the_styles_can_be_overridden(
    folder_of: Folder, facts: LetterFacts, attendee: Attendee
) -> None:
    """Any file of ours may be replaced alone, the sheet too."""
    folder = folder_of({"when.html.j2": "<p class='x'>NOW</p>", "styles.css": ".x{color:lime}"})
    letter = LetterWriter(Templates.load(folder)).letter(Kind.INVITATION, facts, attendee, LINK)
    assert "<p class='x' style=\"color:lime\">NOW</p>" in letter.html


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """The error says which folder, and where it may be set."""
    assert "no such folder" in _refusal(tmp_path / "gone")


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("one\n{{ attendee.nmae }}", 2, 'did you mean "attendee.name"'),
        ("{{ attendee['nmae'] }}", 1, 'did you mean "attendee.name"'),
        ("\n\n{{ meetng.title }}", 3, 'did you mean "meeting"'),
        ("{% if false %}\n{{ meeting.tilte }}{% endif %}", 2, 'did you mean "meeting.title"'),
        ("{% if false %}\n{{ nobody }}{% endif %}", 2, '"nobody"'),
        ("a\n{% if %}", 2, "Expected an expression"),
        ("a\n\n{{ meeting.title|upcase }}", 3, "No filter named 'upcase'"),
        ("a\n{% include 'gone.j2' %}", 2, "gone.j2"),
        ("a\n{{ meeting.title.nothing }}", 2, "nothing"),
        ("a\n{{ changes[7].field }}", 2, "found"),
        ("a\n{{ 1 // 0 }}", 2, "ZeroDivisionError"),
        ("a\n{{ ''.__class__.__mro__ }}", 2, "sandbox"),
        ("a\n{{ meeting.title.format.__globals__ }}", 2, "sandbox"),
        ("a\n{{ changes.append(1) }}", 2, "append"),
    ],
)
def test_a_fault_is_reported_with_file_and_line(
    folder_of: Folder, source: str, line: int, words: str
) -> None:
    """Misspelt names, syntax, filters, missing files and what the sandbox forbids."""
    folder = folder_of({"invitation.txt.j2": source})
    refusal = _refusal(folder)
    assert refusal.startswith(f"{folder / 'invitation.txt.j2'}: line {line}: ")
    assert words in refusal


def test_the_line_is_right_in_html_too(folder_of: Folder) -> None:
    """Inlined styles don't move the lines of an HTML template."""
    source = '<p class="text">\n<b class="label">x</b>\n{{ meeting.title.nothing }}</p>'
    refusal = _refusal(folder_of({"reminder.html.j2": source}))
    assert "reminder.html.j2: line 3: " in refusal


def test_a_fault_in_an_included_file_names_that_file(folder_of: Folder) -> None:
    """The file to be corrected is the one that is named."""
    assert "when.txt.j2: line 2: " in _refusal(folder_of({"when.txt.j2": "\n{{ when.dat }}"}))


@pytest.mark.parametrize("stem", ["cancellation", "withdrawal"])
@pytest.mark.parametrize("ending", ["subject", "txt", "html"])
def test_a_cancellation_must_not_name_the_link(folder_of: Folder, stem: str, ending: str) -> None:
    """No part of a mail that takes an invitation back shows a link."""
    folder = folder_of({f"{stem}.{ending}.j2": "{% if false %}{{ link }}{% endif %}"})
    assert 'found "link", which the' in _refusal(folder)


def test_a_subject_must_not_name_the_link(folder_of: Folder) -> None:
    """A header is read by many programs: the link does not belong there."""
    assert 'found "link"' in _refusal(folder_of({"invitation.subject.j2": "{{ link }}"}))


def test_a_misspelt_file_name_is_noticed(folder_of: Folder) -> None:
    """A file that overrides nothing, for want of a letter, would silently change nothing."""
    assert 'did you mean "invitation.html.j2"' in _refusal(folder_of({"invitaton.html.j2": "x"}))


def test_a_file_of_the_users_own_may_be_included(folder_of: Folder) -> None:
    """Templates may be split into files with new names."""
    folder = folder_of({"invitation.txt.j2": "{% include 'mine.j2' %}", "mine.j2": "{{ link }}"})
    Templates.load(folder)


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    """The error says which file is to be saved as UTF-8."""
    (tmp_path / "invitation.txt.j2").write_bytes(b"Gr\xfc\xdfe")
    assert "invitation.txt.j2: byte 2 is not UTF-8" in _refusal(tmp_path)


def test_a_folder_with_a_templates_name_is_named(tmp_path: Path) -> None:
    """It is no template, and the shipped one would silently take its place."""
    (tmp_path / "invitation.txt.j2").mkdir()
    assert _refusal(tmp_path) == (
        f"{tmp_path / 'invitation.txt.j2'}: found a folder, expected a template file; "
        "rename it, or put the file in its place"
    )


def test_what_can_not_be_read_as_a_template_is_named(tmp_path: Path) -> None:
    """A link that leads nowhere, and a pipe, for which a build would wait for ever."""
    styles = tmp_path / "styles.css"
    styles.symlink_to("gone.css")
    assert _refusal(tmp_path) == f"{styles}: can't be read: No such file or directory"
    styles.unlink()
    os.mkfifo(styles)
    assert _refusal(tmp_path).startswith(f"{styles}: found no plain file, expected a template file")


def test_folders_with_other_names_may_be_anything(tmp_path: Path) -> None:
    """What is below the templates' folder is not looked at."""
    (tmp_path / "drafts").mkdir()
    (tmp_path / "drafts" / "invitation.txt.j2").write_text("{{ nobody }}")
    Templates.load(tmp_path)


def test_a_column_that_the_roster_lacks_is_an_error_with_file_and_line(
    folder_of: Folder, facts: LetterFacts, attendee: Attendee
) -> None:
    """Columns are known with the roster; the error names the column and no value."""
    folder = folder_of({"invitation.txt.j2": "\n{{ link }} {{ columns.phone }}"})
    writer = LetterWriter(Templates.load(folder))
    with pytest.raises(TemplateError, match=r'txt\.j2: line 2: .*has no "phone"') as caught:
        writer.letter(Kind.INVITATION, facts, attendee, LINK)
    assert "aaa" not in str(caught.value)
    with pytest.raises(TemplateError, match=r'txt\.j2: line 2: .*has no "phone"'):
        writer.shared(Kind.INVITATION, facts, attendee, LINK).letter(attendee, LINK)
    known = replace(attendee, columns={"phone": "+49 30 1"})
    assert "+49 30 1" in writer.letter(Kind.INVITATION, facts, known, LINK).text


@pytest.mark.parametrize(
    "said",
    [
        '{{ columns["Room No"] }}',
        "{{ columns.Room_No }}",
        "{{ columns.ROOM_NO }}",
        '{% if "Room No" in columns %}{{ columns.room_no }}{% endif %}',
        '{{ columns["Room No"] }}{% if columns.room_no == "B 12" %}!{% endif %}',
    ],
)
def test_a_column_is_found_under_its_headers_own_spelling(
    folder_of: Folder, facts: LetterFacts, attendee: Attendee, said: str
) -> None:
    """As people copy it from the header, filled in for each or computed with, and shared alike."""
    folder = folder_of({"invitation.txt.j2": "{{ link }} " + said})
    writer = LetterWriter(Templates.load(folder))
    known = replace(attendee, columns={"room_no": "B 12"})
    alone = writer.letter(Kind.INVITATION, facts, known, LINK).text
    assert "B 12" in alone
    shared = writer.shared(Kind.INVITATION, facts, known, LINK)
    assert shared.letter(known, LINK).text == alone


def test_an_error_with_the_link_in_its_reason_does_not_show_it(
    folder_of: Folder, facts: LetterFacts, attendee: Attendee
) -> None:
    """Jinja2 quotes keys and values in its errors; ours quote the template alone."""
    source = "{% if columns.x == 'go' %}{{ {}[link] }}{% endif %}"
    writer = LetterWriter(Templates.load(folder_of({"invitation.txt.j2": source})))
    with pytest.raises(TemplateError) as caught:
        writer.letter(Kind.INVITATION, facts, replace(attendee, columns={"x": "go"}), LINK)
    assert "aaa" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_control_character_in_a_template_is_refused(
    folder_of: Folder, facts: LetterFacts, attendee: Attendee
) -> None:
    """The characters that mark slots can't be forged by a template."""
    writer = LetterWriter(Templates.load(folder_of({"reminder.txt.j2": r"{{ '\x01' ~ 7 }}"})))
    with pytest.raises(TemplateError, match="control character"):
        writer.shared(Kind.REMINDER, facts, attendee, LINK)


def test_the_shipped_templates_are_found_in_a_checkout() -> None:
    """The folder at the repository's root is used where the package carries none."""
    assert (shipped_folder() / "invitation.html.j2").is_file()


def test_the_shipped_templates_stand_the_checks_that_ones_own_do() -> None:
    """A run without a folder of one's own spares itself these checks."""
    Templates.load(shipped_folder())


def test_a_link_out_of_the_folder_is_no_template(tmp_path: Path) -> None:
    """What a symbolic link points to, a secret for one, is never mailed."""
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "foot.txt.j2").symlink_to(secret)
    refusal = _refusal(folder)
    assert "foot.txt.j2: found a symbolic link out of the folder" in refusal
    assert "hidden" not in refusal


def test_a_link_within_the_folder_is_a_template(
    folder_of: Folder, facts: LetterFacts, attendee: Attendee
) -> None:
    """Two names for one file are somebody's own business."""
    folder = folder_of({"invitation.subject.j2": "Come, {{ attendee.name }}!"})
    (folder / "reminder.subject.j2").symlink_to("invitation.subject.j2")
    letter = LetterWriter(Templates.load(folder)).letter(Kind.REMINDER, facts, attendee, LINK)
    assert letter.subject == "Come, Ada Example!"
