"""What the settings say about the server, the mailbox, and what is missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import time, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from invites import settings
from invites.errors import Exit, SettingsError
from invites.settings import Settings

Load = Callable[..., settings.Settings]
MINIMUM = {
    "INVITES_JITSI__URL": "https://meet.example.com",
    "INVITES_JITSI__APP_ID": "my_app",
    "INVITES_JITSI__SECRET": "0123456789abcdef0123456789abcdef",
    "INVITES_ORGANIZER__EMAIL": "meetings@example.com",
}
FILE = "invites.toml (`invites init` writes one)"


def test_four_values_are_enough(load: Load) -> None:
    """Url, app id, secret and the organizer's address; all else has a default."""
    found = load("", MINIMUM)
    found.require_minting()
    server = found.server()
    assert (server.url, server.host) == ("https://meet.example.com", "meet.example.com")
    assert (server.app_id, server.subject, server.audience) == (
        "my_app",
        "meet.example.com",
        "jitsi",
    )
    assert (server.tenant, server.key_id, server.link) == (None, None, "query")
    assert found.namespace() == "example.com"
    assert found.service_mailbox().name == "meetings@example.com"


def test_everything_that_lacks_for_minting_is_named_at_once(load: Load) -> None:
    """Each missing value with each way to give it, once."""
    with pytest.raises(SettingsError) as caught:
        load().require_minting()
    assert caught.value.exit_code is Exit.SETTINGS
    assert str(caught.value).splitlines() == [
        (
            f'[jitsi] app_id: found nothing, expected app_id = "my_app"; set it in {FILE}, or '
            "INVITES_JITSI__APP_ID or JWT_APP_ID in the environment"
        ),
        (
            '[jitsi] url: found nothing, expected url = "https://meet.example.com"; set it in '
            f"{FILE}, or INVITES_JITSI__URL or PUBLIC_URL in the environment"
        ),
        (
            '[jitsi] secret: found nothing, expected secret = "…" (or secret_file, secret_env, '
            f"secret_command); set it in {FILE}, or INVITES_JITSI__SECRET or JWT_APP_SECRET in the "
            "environment"
        ),
        (
            '[organizer] email: found nothing, expected email = "meetings@example.com"; set it in '
            f"{FILE}, or INVITES_ORGANIZER__EMAIL in the environment"
        ),
    ]


def test_a_missing_private_key_and_its_name_are_named_at_once(load: Load) -> None:
    """With RS256 a secret does not help."""
    found = load('[jitsi]\nalgorithm = "RS256"\nsecret_env = "X"')
    with pytest.raises(SettingsError) as caught:
        found.signing_key()
    first, second = str(caught.value).splitlines()
    assert first.startswith("[jitsi] private_key_file: found nothing, expected private_key_file =")
    assert "set it in invites.toml, or INVITES_JITSI__PRIVATE_KEY_FILE in the" in first
    assert second.startswith("[jitsi] key_id: found nothing, expected key_id =")


@pytest.mark.parametrize(
    ("environ", "subject"),
    [
        ({}, "meet.example.com"),
        ({"INVITES_JITSI__URL": "https://meet.example.com:8443"}, "meet.example.com"),
        ({"XMPP_DOMAIN": "meet.jitsi"}, "meet.jitsi"),
        ({"JWT_ENABLE_DOMAIN_VERIFICATION": "1"}, "meet.jitsi"),
        ({"JWT_ENABLE_DOMAIN_VERIFICATION": "false"}, "meet.example.com"),
        ({"JWT_ENABLE_DOMAIN_VERIFICATION": "1", "XMPP_DOMAIN": "x.example"}, "x.example"),
        (
            {"XMPP_DOMAIN": "meet.jitsi", "INVITES_JITSI__URL": "https://meet.example.com/Te.am"},
            "te_am",
        ),
        ({"XMPP_DOMAIN": "meet.jitsi", "INVITES_JITSI__SUBJECT": "given"}, "given"),
    ],
)
def test_the_subject_is_given_or_tenant_or_xmpp_domain_or_host(
    load: Load, environ: dict[str, str], subject: str
) -> None:
    """In this order; docker's own XMPP domain counts where its server verifies domains."""
    assert load("", MINIMUM | environ).server().subject == subject


def test_a_tenant_is_the_urls_path(load: Load) -> None:
    """The link keeps the path, the tenant is folded as the web client does."""
    server = load("", MINIMUM | {"INVITES_JITSI__URL": "https://meet.example.com/Te.am/"}).server()
    assert (server.url, server.tenant) == ("https://meet.example.com/Te.am", "te_am")


def test_jaas_has_its_own_defaults(load: Load) -> None:
    """8x8's address, RS256, the AppID as subject, its kid; one's own `.env` is of no account."""
    found = load(
        '[jitsi]\nprofile = "jaas"\napp_id = "vpaas-magic-cookie-1"\nkey_id = "abc"\n',
        {"PUBLIC_URL": "https://mine.example.com", "JWT_APP_SECRET": "x" * 32, "XMPP_DOMAIN": "x"},
    )
    server = found.server()
    assert server.url == "https://8x8.vc/vpaas-magic-cookie-1"
    assert server.subject == "vpaas-magic-cookie-1"
    assert (server.profile, server.algorithm, server.audience) == ("jaas", "RS256", "jitsi")
    assert server.key_id == "vpaas-magic-cookie-1/abc"
    with pytest.raises(SettingsError, match="private_key_file: found nothing"):
        found.signing_key()


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://8x8.vc/vpaas-magic-cookie-AAA", "a url of vpaas-magic-cookie-AAA"),
        ("https://8x8.vc", "a url without an AppID"),
    ],
)
def test_a_jaas_url_of_another_app_is_warned_about(load: Load, url: str, found: str) -> None:
    """Its links lead to rooms of somebody else's, or to none, and no token admits there."""
    app = "vpaas-magic-cookie-BBB"
    (warning,) = load(
        f'[jitsi]\nprofile = "jaas"\napp_id = "{app}"\nkey_id = "abc"\nurl = "{url}"\n'
    ).warnings
    assert warning == (
        f'invites.toml: [jitsi] url: found {found} with profile "jaas", expected '
        f"https://8x8.vc/{app}; no token of {app} admits there; remove it"
    )


@pytest.mark.parametrize(
    "lines",
    [
        'profile = "jaas"\nurl = "https://8x8.vc/vpaas-magic-cookie-1"',
        'profile = "jaas"\nurl = "https://8x8.vc/VPAAS-magic-cookie-1/"',
        'profile = "jaas"',
        'url = "https://meet.example.com/team"',
    ],
)
def test_a_url_of_the_own_app_is_not_warned_about(load: Load, lines: str) -> None:
    """In any case of letters, for the web client folds a tenant; other servers' tenants are free."""
    assert load(f'[jitsi]\napp_id = "vpaas-magic-cookie-1"\n{lines}\n').warnings == ()


def test_a_jaas_kid_that_is_complete_stays(load: Load) -> None:
    """The console shows AppID/key: pasted as it is, it is right."""
    found = load('[jitsi]\nprofile = "jaas"\napp_id = "app"\nkey_id = "app/abc"\n')
    assert found.server().key_id == "app/abc"


def test_the_organizers_domain_is_written_as_a_labels(load: Load) -> None:
    """Header and envelope have one ASCII spelling, and the namespace follows it."""
    found = load('[organizer]\nname = "Ä"\nemail = "m@bücher.example"\n')
    assert found.service_mailbox().email == "m@xn--bcher-kva.example"
    assert found.service_mailbox().name == "Ä"
    assert found.namespace() == "xn--bcher-kva.example"


def test_special_domains_hold_for_the_organizer_too(load: Load) -> None:
    """A clinic that mails within itself sends from there as well."""
    text = '[organizer]\nemail = "m@clinic.local"\n[roster]\nspecial_domains = ["clinic.local"]\n'
    assert load(text).service_mailbox().email == "m@clinic.local"


def test_a_namespace_needs_no_mailbox(load: Load) -> None:
    """Where it is set, the address may change without moving any UID."""
    assert load('[calendar]\nnamespace = "x.example"').namespace() == "x.example"


def test_the_rules_for_rosters_and_windows_are_those_of_the_settings(load: Load) -> None:
    """Every key of [roster] and [validity] arrives."""
    found = load(
        '[roster]\ntimezone = "Europe/Berlin"\ndate_format = ["de", "%Y%m%d %H%M"]\nyes = ["Ja"]\nno = ["Nein"]\nextra = ["emial"]\n'
        'special_domains = ["clinic.local"]\n[roster.columns]\nemail = ["Mail", "E-Post"]\n'
        '[validity]\nopens_before = "1m"\ncloses_after = "2m"\nskew = "3s"\nlongest = "4h"\n'
    )
    rules = found.roster_rules()
    assert rules.timezone == "Europe/Berlin"
    assert rules.date_format == ("de", "%Y%m%d %H%M")
    assert (rules.yes, rules.no) == ({"ja"}, {"nein"})
    assert (rules.extra, rules.special_domains) == (("emial",), ("clinic.local",))
    assert rules.columns == {"email": ("Mail", "E-Post")}
    assert rules.validity == found.validity_rule()
    assert rules.validity.opens_before == timedelta(minutes=1)
    assert rules.validity.closes_after == timedelta(minutes=2)
    assert rules.validity.skew == timedelta(seconds=3)
    assert rules.validity.longest == timedelta(hours=4)


def test_a_job_has_the_defaults_of_the_contract(load: Load) -> None:
    """Name, roster and time are needed; zone and delivery are those of the other sections."""
    found = load(
        '[roster]\ntimezone = "Europe/Berlin"\n[delivery]\nto = "smtp"\n[smtp]\nhost = "h"\n'
        '[[job]]\nname = "nightly"\nroster = "in.csv"\nat = "02:15"\n'
    )
    (job,) = found.jobs
    assert (job.name, job.at) == ("nightly", time(2, 15))
    assert (job.timezone, job.deliver) == ("Europe/Berlin", "smtp")
    assert job.days == frozenset(range(7))
    assert (job.newest, job.horizon) == (None, None)
    assert (job.settle, job.retry_for) == (timedelta(minutes=1), timedelta(hours=12))
    assert (job.invalid, job.reminders, job.notify, job.notify_always) == ("refuse", (), (), False)


def test_a_job_has_what_it_says(load: Load) -> None:
    """Every key arrives, reminders longest first."""
    (job,) = load(
        '[smtp]\nhost = "h"\n[[job]]\nname = "n"\nroster = ["a.csv", "b/*.csv"]\nat = "23:59"\n'
        'newest = "26h"\nsettle = "5s"\ntimezone = "Asia/Tokyo"\ndays = "mon,wed"\n'
        'horizon = "21d"\ninvalid = "skip"\nretry_for = "1h"\ndeliver = "folder"\n'
        'reminders = ["1h", "24h"]\nnotify = ["ops@bücher.example"]\nnotify_always = true\n'
    ).jobs
    assert [path.text for path in job.roster] == ["a.csv", "b/*.csv"]
    assert (job.newest, job.settle) == (timedelta(hours=26), timedelta(seconds=5))
    assert (job.timezone, job.days, job.horizon) == ("Asia/Tokyo", {0, 2}, timedelta(days=21))
    assert (job.invalid, job.retry_for, job.deliver) == ("skip", timedelta(hours=1), "folder")
    assert job.reminders == (timedelta(hours=24), timedelta(hours=1))
    assert (job.notify, job.notify_always) == (("ops@xn--bcher-kva.example",), True)


def test_the_guards_shares_are_exact(load: Load) -> None:
    """10% of 30 is 3 and not a little more."""
    guard = load().guard
    assert (guard.shrink, guard.change) == (Fraction(1, 10), Fraction(1, 2))
    assert guard.shrink * 30 == 3


def test_a_ledgers_url_is_not_shown(load: Load) -> None:
    """It may hold the database's password."""
    found = load('[ledger]\nurl = "postgresql+psycopg://invites:canary@db.example.com/invites"')
    assert found.ledger.url.endswith("canary@db.example.com/invites")
    assert "canary" not in repr(found)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "invites.db"])
def test_a_ledger_that_would_be_forgotten_is_refused(load: Load, url: str) -> None:
    """A ledger in memory would invite everybody again the next night."""
    with pytest.raises(SettingsError, match=r"\[ledger\] url"):
        load(f'[ledger]\nurl = "{url}"')


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ('[jitsi]\nurl = "http://meet.example.com"', "in the clear; use https"),
        ('[smtp]\nhost = "h"\nsecurity = "tls"', "that is port 465"),
        ('[schedule]\nlisten = "0.0.0.0:9108"', "other machines can read it"),
        (
            (
                '[series]\ntokens = "occurrence"\nlink_ahead = "12h"\n[smtp]\nhost = "127.0.0.1"\n'
                'security = "none"\n[[job]]\nname = "n"\nroster = "a"\nat = "01:00"\n'
                'reminders = ["36h", "1h"]'
            ),
            "36 h before a date of a series its own link may not be out yet",
        ),
    ],
)
def test_what_is_allowed_and_odd_is_warned_about(load: Load, text: str, warning: str) -> None:
    """Each warning is a line in `settings.warnings`."""
    (line,) = load(text).warnings
    assert warning in line


def test_usual_settings_warn_about_nothing(load: Load) -> None:
    """Nobody gets used to warnings."""
    text = '[smtp]\nhost = "127.0.0.1"\nsecurity = "none"\n[schedule]\nlisten = "[::1]:1"\n'
    assert load(text, MINIMUM).warnings == ()


def test_demands_can_be_made_together(load: Load) -> None:
    """`require` names all that they lack, and is silent where nothing lacks."""
    load("", MINIMUM).require(Settings.server, Settings.signing_key)
    with pytest.raises(SettingsError) as caught:
        load().require(Settings.service_mailbox, Settings.namespace, Settings.server)
    assert len(str(caught.value).splitlines()) == 3


def test_the_digest_changes_with_settings_and_not_with_secrets(load: Load) -> None:
    """A refusal is looked at again when somebody changed the settings."""
    first = load("", MINIMUM).digest()
    assert load("", MINIMUM).digest() == first
    assert load("", MINIMUM | {"INVITES_JITSI__SECRET": "z" * 40}).digest() == first
    assert load("", MINIMUM | {"INVITES_GUARD__SHRINK": "11%"}).digest() != first
    assert load('[[job]]\nname = "n"\nroster = "a"\nat = "01:00"', MINIMUM).digest() != first
    assert len(bytes.fromhex(first)) == 8


def test_a_digest_is_the_same_in_another_process(load: Load, folder: Path) -> None:
    """No hash of the process and no order of sets is in it."""
    expected = load('[[job]]\nname = "n"\nroster = "a"\nat = "01:00"\ndays = "fri,mon"').digest()
    code = "from invites import settings; print(settings.load(None, environ={}).digest())"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == expected


def test_a_ledgers_password_in_an_open_file_is_warned_about(load: Load, folder: Path) -> None:
    """The url is not shown."""
    load('[ledger]\nurl = "postgresql+psycopg://invites:canary@db.example.com/invites"')
    (folder / "invites.toml").chmod(0o644)
    (line,) = load().warnings
    assert "[ledger] url holds a password" in line
    assert "canary" not in line
