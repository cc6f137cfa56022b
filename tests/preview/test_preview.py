"""What `invites preview` answers: each message taken apart, edits at once, nothing to strangers."""

from __future__ import annotations

import email
import json
import time
from collections.abc import Callable
from email import policy
from pathlib import Path

import icalendar
import pytest

from tests.factory import LOGO
from tests.preview.conftest import Served
from tests.support import SETTINGS, Answer, write_settings
from tests.world import ADA, BOB, EVE

KINDS = ["invitation", "update", "cancelled", "withdrawn", "reminder"]


def wait_for(is_so: Callable[[], bool], seconds: float = 10.0) -> None:
    """Ask until it is so; the page asks as well."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it never came to pass"
        time.sleep(0.05)


def test_meetings_and_attendees_are_listed_without_a_link(served: Served) -> None:
    """By time, with their rows; a token stands in no list."""
    state = served.state()
    assert [meeting["title"] for meeting in state["meetings"]] == ["Standup", "Review"]
    names = [person["name"] for person in state["meetings"][0]["attendees"]]
    assert names == ["Ada", "Bob"]
    assert state["meetings"][0]["attendees"][0]["moderator"] is True
    assert b"jwt=" not in served.get("state.json")[2]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_message_can_be_looked_at_and_saved(served: Served, kind: str) -> None:
    """Its HTML, its text, its headers, its entry, its token in words; the files parse."""
    at = f"mail/0/0/{kind}/"
    parts = served.get(at + "parts.json")
    assert parts[0] == 200
    message = email.message_from_bytes(served.get(at + "invitation.eml")[2], policy=policy.default)
    assert message["To"].addresses[0].addr_spec == "ada@example.org"
    status, _, html = served.get(at + "mail.html")
    assert (status, b"Standup" in html) == (200, True)
    status, _, ics = served.get(at + "invitation.ics")
    if kind == "reminder":
        assert status == 404
    else:
        assert icalendar.Calendar.from_ical(ics.decode()).walk("VEVENT")


def test_the_token_is_told_in_words_with_its_window(served: Served) -> None:
    """As `inspect` says it; nbf, start, end and exp for the line of time."""
    parts = json.loads(served.get("mail/0/0/invitation/parts.json")[2])
    assert parts["token"][0].startswith("ADMITTED at Sat 2031-03-01 09:00:00")
    window = parts["window"]
    assert window["start"] - window["opens"] == 16 * 60
    assert window["closes"] - window["end"] == 30 * 60


def test_the_dark_scheme_is_the_pages_choice(served: Served) -> None:
    """The media query of the mail is answered by the page, not by the machine."""
    light, dark = (served.get(f"mail/0/0/invitation/mail.html?dark={n}")[2] for n in (0, 1))
    assert light != dark
    assert b"prefers-color-scheme" not in light + dark


def test_an_edit_of_the_roster_shows_up(served: Served) -> None:
    """And a fault in it is told at its row, beside the last good state."""
    before = served.state()["version"]
    served.world.write(ADA.replace("Standup", "Stand-up"), EVE)
    wait_for(lambda: served.state()["version"] > before)
    assert [meeting["title"] for meeting in served.state()["meetings"]] == ["Stand-up", "Review"]
    served.world.write(ADA, BOB.replace("bob@example.org", "bob@"))
    wait_for(lambda: bool(served.state()["trouble"]))
    state = served.state()
    assert "row 3, column email" in "\n".join(state["trouble"])
    assert len(state["meetings"]) == 2


def test_an_edit_of_settings_and_templates_shows_up(served: Served) -> None:
    """Templates of one's own are followed from the moment that the settings name them."""
    folder = served.world.folder / "mine"
    folder.mkdir()
    template = folder / "invitation.txt.j2"
    template.write_text("First words\n{{ link }}\n", encoding="utf-8")
    served.world.sections = '\n[mail]\ntemplates = "mine"\n'
    served.world.write_settings()
    at = "mail/0/0/invitation/parts.json"
    wait_for(lambda: b"First words" in served.get(at)[2])
    template.write_text("Other words\n{{ link }}\n", encoding="utf-8")
    wait_for(lambda: b"Other words" in served.get(at)[2])
    template.write_text("{{ nobody.knows }}\n{{ link }}\n", encoding="utf-8")
    wait_for(lambda: "invitation.txt.j2" in "\n".join(served.state()["trouble"]))


def test_the_plan_is_that_of_the_ledger(served: Served, invites: Callable[..., Answer]) -> None:
    """Nothing without one; what `plan` says with one, and none of it is changed."""
    assert served.state()["plan"] == []
    served.world.make_ledger()
    wait_for(lambda: bool(served.state()["plan"]))
    assert "3 new" in served.state()["plan"][0]
    database = served.world.folder / "invites.db"
    before = database.read_bytes()
    served.world.write(ADA)
    wait_for(lambda: "1 new" in served.state()["plan"][0])
    assert database.read_bytes() == before


def test_nobody_gets_in_without_the_key(served: Served) -> None:
    """Another key, another Host, a path that leads nowhere: 404 or 400, and no word more."""
    key = served.url.rstrip("/").rpartition("/")[2]
    stranger = Served(served.url.replace(key, "x" * len(key)), served.world, served.process)
    for path in ("", "state.json", "mail/0/0/invitation/invitation.eml"):
        status, _, body = stranger.get(path)
        assert (status, body) == (404, b"not found")
    assert served.get("", Host="attacker.example.net")[0] == 400
    for path in (
        "mail/9/0/invitation/parts.json",
        "mail/0/0/letter/parts.json",
        "mail/0/0/invitation/..",
    ):
        assert served.get(path)[0] == 404


def test_the_page_tells_its_address_to_nobody(served: Served) -> None:
    """No referrer, no cache, nothing loaded from elsewhere; a mail runs no script."""
    page, mail = served.get("")[1], served.get("mail/0/0/invitation/mail.html")[1]
    for answer in (page, mail):
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "script-src" not in mail.headers["Content-Security-Policy"]


def test_standard_input_and_a_taken_port_are_wrong_usage(
    served: Served, invites: Callable[..., Answer], tmp_path: Path
) -> None:
    """Each says what was found and expected."""
    write_settings(tmp_path, SETTINGS)
    answer = invites("preview", "-")
    assert (answer.code, "expected a file" in answer.err) == (2, True)
    port = served.url.split(":")[2].partition("/")[0]
    answer = invites("preview", "roster.csv", "--port", port, "--no-open")
    assert answer.code == 2
    assert f"found {port}, which can't be listened at" in answer.err


def test_a_mail_can_be_looked_at_in_each_language(served: Served) -> None:
    """Those that have a catalog, by the name that they give themselves."""
    assert ["de", "Deutsch (de)"] in served.state()["languages"]
    seen = {
        tag: json.loads(served.get(f"mail/0/0/invitation/parts.json?language={tag}")[2])["text"]
        for tag, _ in served.state()["languages"]
    }
    assert len(set(seen.values())) == len(seen) == 12


def test_a_logo_shows_and_a_new_one_takes_its_place(served: Served) -> None:
    """A browser knows no `cid:`: the picture stands in the page, and the file is followed."""
    folder = served.world.folder
    (folder / "logo.png").write_bytes(LOGO.content)
    with (folder / "invites.toml").open("a", encoding="utf-8") as settings:
        settings.write('[brand]\nlogo = "logo.png"\n')
    at = "mail/0/0/invitation/mail.html"
    wait_for(lambda: b'src="data:image/png;base64,iVBOR' in served.get(at)[2])
    (folder / "logo.png").write_bytes(b"GIF89a" + bytes(40))
    wait_for(lambda: b'src="data:image/gif;base64,R0lGOD' in served.get(at)[2])
    (folder / "logo.png").write_text("<svg/>")
    wait_for(lambda: "found an SVG drawing" in str(served.state()["trouble"]))


def test_an_entry_that_repeats_tells_its_dates(served: Served) -> None:
    """The rule in words, and each date that differs from it or is left out."""
    header = "meeting_id,title,start,end,name,email,recurrence,exclude,occurrence\n"
    row = "maths,{title},2031-03-{day} {at},2031-03-{day} {end},Ada,ada@example.org,{more}\n"
    weekly = "weekly until 2031-03-31,2031-03-17,"
    (served.world.folder / "roster.csv").write_text(
        header
        + row.format(title="Maths", day="03", at="09:00", end="09:45", more=weekly)
        + row.format(title="Test", day="10", at="11:00", end="11:45", more=",,2031-03-10 09:00")
    )
    wait_for(lambda: served.state()["meetings"][0]["title"] == "Maths")
    entry = json.loads(served.get("mail/0/0/invitation/parts.json")[2])["calendar"]
    assert entry["repeats"] == "every Monday, 4 dates"
    assert entry["differing"] == "Mon 10 Mar 2031 09:00: Test, Mon 10 Mar 2031 11:00 – 11:45"
    assert entry["left_out"] == "Mon 17 Mar 2031 09:00"
