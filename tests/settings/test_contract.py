"""The settings as docs promise them: each key with its default, and none that does nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Callable

import pytest

from invites import settings
from invites.settings.sections import SECTIONS, SUBSECTIONS, Job

Load = Callable[..., settings.Settings]

DEFAULTS = """
[jitsi]
allow_weak_secret = false
algorithm = "HS256"
audience = "jitsi"
link = "query"
moderator_claims = ["context"]
profile = "jitsi"
[validity]
opens_before = "15m"
closes_after = "30m"
skew = "60s"
longest = "24h"
[roster]
timezone = "UTC"
date_format = []
yes = []
no = []
encoding = ""
attendees = []
series = ""
rooms = "any"
extra = []
special_domains = []
[mail]
language = "en"
templates = ""
show_attendees = false
reminder = "10m"
address = "formal"
[series]
tokens = "series"
link_ahead = "24h"
longest = "200d"
[delivery]
to = "folder"
folder = "outbox"
keep_batches = "30d"
on_unknown = "resend"
unknown_copies = 2
budget = "2h"
[smtp]
port = 587
security = "starttls"
allow_plaintext = false
auth = "login"
rate = ""
connections = 1
timeout = "60s"
data_timeout = "10m"
[ledger]
url = "sqlite:///invites.db"
keep = "400d"
[guard]
growth = "100%"
window = "14d"
shrink = "10%"
change = "50%"
withdraw_after = 2
clock_ahead = "100d"
[schedule]
listen = ""
"""
JOB = '[[job]]\nname = "nightly"\nroster = "r.csv"\nat = "02:15"\n'
JOB_DEFAULTS = """timezone = "UTC"
days = "mon-sun"
settle = "60s"
invalid = "refuse"
retry_for = "12h"
reminders = []
require = []
ping = ""
notify_always = false
"""
UNSET = {
    "jitsi": {"url", "app_id", "secret", "secret_file", "secret_env", "secret_command", "subject"}
    | {"room_key_file", "private_key_file", "key_id"},
    "roster": {"columns"},
    "organizer": {"name", "email"},
    "calendar": {"namespace"},
    "brand": {"name", "colour", "logo", "footer", "greeting"},
    "smtp": {"host", "username", "password_file", "password_env", "password_command"}
    | {"token_command", "m365"},
}


def test_the_defaults_are_those_that_are_promised(load: Load) -> None:
    """Written out they change nothing."""
    assert load(DEFAULTS).digest() == load("# nothing").digest()
    assert load(JOB + JOB_DEFAULTS).jobs == load(JOB).jobs


def test_there_is_no_other_key() -> None:
    """Each has its default in the list above, or is one of those that are unset."""
    promised = tomllib.loads(DEFAULTS)
    found = {name: set(model.model_fields) for name, model in SECTIONS.items()}
    assert found == {name: {*promised.get(name, {}), *UNSET.get(name, set())} for name in SECTIONS}
    assert set(SUBSECTIONS) == {("roster", "columns"), ("smtp", "m365")}


def test_a_job_has_no_other_key() -> None:
    """Those above, those that name it, and those that are unset."""
    shown = tomllib.loads(JOB + JOB_DEFAULTS)["job"][0]
    assert set(Job.model_fields) == {*shown, "newest", "horizon", "deliver", "notify"}


def test_a_limit_that_is_unset_is_no_limit(load: Load) -> None:
    """`horizon` and `newest` of a job."""
    (job,) = load(JOB).jobs
    assert (job.horizon, job.newest) == (None, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[brand]\ntitle = "a"', 'unknown key "title" in [brand]'),
        ('[brand]\ncolour = "#ffcc00"', "a contrast to white of at least 4.5 (this one has 1.5)"),
        ('[brand]\ncolour = "blue"', 'expected a colour such as "#1d4ed8"'),
        ('[brand]\nlogo = "http://example.com/a.png"', "or an https URL such as https://"),
        ('[brand]\nlogo = "data:image/png;base64,AAAA"', 'a file such as "logo.png"'),
        ('[brand]\ngreeting = "Dear {first_name},"', 'such as "Dear {name},"'),
        ('[mail]\naddress = "polite"', "[mail] address"),
        ('[series]\ntokens = "weekly"', "[series] tokens"),
        ('[series]\nlink_ahead = "0s"', "[series] link_ahead"),
        ('[guard]\nshrik = "5%"', 'did you mean "shrink"?'),
        ('[gaurd]\nshrink = "5%"', 'did you mean "guard"?'),
    ],
)
def test_a_key_that_would_do_nothing_is_refused(
    refused: Callable[..., list[str]], text: str, says: str
) -> None:
    """Also those of a feature that does not exist yet."""
    (line,) = refused(text)
    assert says in line
