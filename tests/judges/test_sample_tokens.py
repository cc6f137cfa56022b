"""Every token of the sample against an independent reading of what Jitsi admits."""

from __future__ import annotations

import base64
import csv
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

import jwt
import pytest
from icalendar import Calendar

from tests.support import SAMPLE, SampleBuild

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]")
FEATURES = {"recording", "livestreaming", "transcription", "create-polls"}


@pytest.fixture(scope="module")
def links(sample: SampleBuild) -> list[tuple[dict[str, str], str]]:
    """Return each row of the manifest with the link in its calendar file."""
    urls = [str(Calendar.from_ical(ics).walk("VEVENT")[0]["url"]) for ics in sample.files("ics")]
    return list(zip(sample.rows, urls, strict=True))


def admitted(token: str, secret: str, *, room: str, at: datetime) -> dict[str, Any]:
    """Return the claims of a token that the plugin admits to `room` at `at`, rule by rule."""
    header = jwt.get_unverified_header(token)
    assert header == {"typ": "JWT", "alg": "HS256"}
    claims = jwt.decode(
        token,
        secret.encode(),
        algorithms=["HS256"],
        options={"verify_aud": False, "verify_exp": False, "verify_nbf": False},
    )
    assert claims["iss"] == "the_app"
    assert claims["aud"] == "jitsi"
    assert claims["sub"] == "meet.example.com"
    assert claims["room"] == room
    assert room not in {"", "*"}
    assert type(claims["exp"]) is int
    assert type(claims["nbf"]) is int
    assert claims["nbf"] <= int(at.timestamp()) < claims["exp"] < 10**10
    assert claims["exp"] - claims["nbf"] <= 24 * 3600
    _of_context(claims["context"])
    return claims


def _of_context(context: dict[str, Any]) -> None:
    assert context.keys() <= {"user", "features", "group"}
    user = context["user"]
    assert user.keys() <= {"name", "email", "avatar", "id", "moderator"}
    assert type(user["moderator"]) is bool
    texts = [value for key, value in user.items() if key != "moderator"]
    assert all(isinstance(text, str) and text and not CONTROLS.search(text) for text in texts)
    for feature, on in context.get("features", {}).items():
        assert feature in FEATURES
        assert on is True
    assert "null" not in json.dumps(context)


def _start(row: dict[str, str]) -> datetime:
    given = datetime.fromisoformat(row["start"])
    return given if given.tzinfo else given.replace(tzinfo=ZoneInfo(row["timezone"]))


def test_every_token_admits_its_attendee_from_before_the_start_to_after_the_end(
    sample: SampleBuild, links: list[tuple[dict[str, str], str]]
) -> None:
    """At the start and at the last minute; as the roster's person; in the link's room."""
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        roster = {(row["meeting_id"], row["email"]): row for row in csv.DictReader(file)}
    for listed, link in links:
        row = roster[listed["meeting_id"], listed["email"]]
        segment, _, token = link.removeprefix("https://meet.example.com/").partition("?jwt=")
        on_the_server = quote(unquote(segment).lower(), safe="-_.!~*'()").lower()
        start = _start(row)
        claims = admitted(token, sample.secret, room=on_the_server, at=start)
        assert claims["nbf"] == int((start - timedelta(minutes=15, seconds=60)).timestamp())
        user = claims["context"]["user"]
        assert (user["name"], user["email"]) == (row["name"], row["email"])
        assert user["moderator"] is (row["moderator"] in {"yes", "x"})
        assert user.get("avatar", "") == row["avatar"]
        assert user.get("id", "") == row["user_id"]
        features = claims["context"].get("features", {})
        assert sorted(features) == sorted(re.split("[ ;]", row["features"])) or not row["features"]


def test_the_manifest_names_each_tokens_room_and_window(
    sample: SampleBuild, links: list[tuple[dict[str, str], str]]
) -> None:
    """room, not_before and expires are the claims."""
    for listed, link in links:
        token = link.partition("?jwt=")[2]
        opens = datetime.fromisoformat(listed["not_before"]).astimezone(UTC)
        claims = admitted(token, sample.secret, room=listed["room"], at=opens)
        assert claims["nbf"] == int(opens.timestamp())
        assert claims["exp"] == int(datetime.fromisoformat(listed["expires"]).timestamp())


def test_the_signature_is_the_standard_librarys_hmac(
    sample: SampleBuild, links: list[tuple[dict[str, str], str]]
) -> None:
    """HMAC-SHA-256 over the two segments with the secret's raw bytes, unpadded base64url."""
    for _, link in links:
        signed, _, signature = link.partition("?jwt=")[2].rpartition(".")
        digest = hmac.new(sample.secret.encode(), signed.encode(), hashlib.sha256).digest()
        assert signature == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_a_token_of_another_secret_room_or_time_would_not_pass(
    sample: SampleBuild, links: list[tuple[dict[str, str], str]]
) -> None:
    """The reading above can fail."""
    listed, link = links[0]
    token = link.partition("?jwt=")[2]
    opens = datetime.fromisoformat(listed["not_before"])
    with pytest.raises(jwt.InvalidSignatureError):
        admitted(token, "another secret that is long enough", room=listed["room"], at=opens)
    with pytest.raises(AssertionError):
        admitted(token, sample.secret, room="elsewhere", at=opens)
    with pytest.raises(AssertionError):
        admitted(token, sample.secret, room=listed["room"], at=opens - timedelta(seconds=1))
