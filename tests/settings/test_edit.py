"""Settings put into a file's text: comments, order and all other values stay."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.errors import SettingsError
from invites.settings.edit import replace_text, toml_value, with_values

EXAMPLE = (Path(__file__).parents[2] / "invites.example.toml").read_text(encoding="utf-8")
FILE = """\
# mine
[roster]
yes = [
  "oui", # French
]
timezone = "UTC" # of "all" of us

[[job]]
name = "nightly"
"""


def changed(before: str, after: str) -> list[str]:
    """Return the lines that are new."""
    return [line for line in after.splitlines() if line not in before.splitlines()]


def test_a_key_that_is_set_gets_its_value_in_its_place() -> None:
    """The comment behind it stays in its column; a value of several lines becomes one."""
    after = with_values(
        FILE, {("roster", "timezone"): "Asia/Tokyo", ("roster", "yes"): ["ja"]}, "f"
    )
    assert after == FILE.replace('"UTC" # of', '"Asia/Tokyo" # of').replace(
        'yes = [\n  "oui", # French\n]', 'yes = ["ja"]'
    )


def test_a_key_that_is_not_there_comes_last_in_its_section() -> None:
    """A section that is not there comes last in the file."""
    after = with_values(
        FILE, {("roster", "no"): ["non"], ("roster.columns", "title"): "Titre"}, "f"
    )
    assert after == FILE.replace("of us\n", 'of us\nno = ["non"]\n') + (
        '\n[roster.columns]\ntitle = "Titre"\n'
    )


def test_an_example_behind_a_hash_is_set_in_its_line() -> None:
    """So the file stays as it was written, with each key beside its explanation."""
    edits = {("roster", "date_format"): ("de",), ("roster.columns", "email"): "E-Mail"}
    after = with_values(EXAMPLE, edits, "f")
    first, second = changed(EXAMPLE, after)
    assert first.startswith('date_format = ["de"]                   # "iso"')
    assert second == 'email = "E-Mail"'
    assert len(after.splitlines()) == len(EXAMPLE.splitlines()) + 1


@pytest.mark.parametrize(
    "text",
    [
        'roster = { timezone = "UTC" }\n',
        'roster.timezone = "UTC"\n[jitsi]\n',
        '[jitsi]\nsecret = """\n[roster]\n"""\n',
    ],
)
def test_a_file_that_can_not_be_edited_safely_is_left_alone(text: str) -> None:
    """The result is read again, and anything but the wish is an error that says what to do."""
    with pytest.raises(SettingsError, match="by hand"):
        with_values(text, {("roster", "timezone"): "Asia/Tokyo"}, "invites.toml")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_written_as_toml(text: str) -> None:
    """A header's name may hold quotes, backslashes and control characters."""
    assert tomllib.loads(f"a = {toml_value([text])}")["a"] == [text]


def test_a_file_is_replaced_at_once_and_keeps_its_mode(tmp_path: Path) -> None:
    """A link stays a link, and the secret in it stays unreadable for others."""
    path = tmp_path / "invites.toml"
    path.write_text("a", encoding="utf-8")
    path.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    replace_text(link, "b")
    assert link.is_symlink()
    assert path.read_text(encoding="utf-8") == "b"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert {each.name for each in tmp_path.iterdir()} == {"invites.toml", "link.toml"}
