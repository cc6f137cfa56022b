"""The words of every refusal: file, key, what was found, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Refused = Callable[..., list[str]]

DURATION = (
    "expected a duration such as 60s, 15m, 24h, 100d or 1h30m; write whole numbers with d, h, m "
    "or s, in quotes"
)
RELAY = 'needs a mail server; set host = "smtp.example.com" in [smtp]'
JOB = '[[job]]\nname = "nightly"\nroster = "in.csv"\nat = "02:15"\n'
CASES = {
    '[validity]\nopens_before = "15 minutes"': (
        f'[validity] opens_before: found "15 minutes", {DURATION}'
    ),
    "[validity]\nskew = 60": f"[validity] skew: found 60, {DURATION}",
    '[validity]\nlongest = "0s"': (
        '[validity] longest: found "0s", expected a duration longer than 0s'
    ),
    '[validity]\nlongest = "45m"': (
        "[validity] longest: opens_before, closes_after and skew take all of it, expected more "
        "than their sum, so that a meeting has room; raise longest or lower the others"
    ),
    '[jitsi]\nurl = "meet.example.com"': (
        '[jitsi] url: found "meet.example.com", expected an address such as '
        "https://meet.example.com or https://meet.example.com/tenant"
    ),
    '[jitsi]\nurl = "https://meet.example.com/a/b"': (
        '[jitsi] url: found "https://meet.example.com/a/b", expected one tenant as the url\'s '
        "path, such as https://meet.example.com/team"
    ),
    '[jitsi]\nalgorithm = "ES256"': (
        '[jitsi] algorithm: found "ES256", expected one of "HS256", "HS384", "HS512", "RS256", '
        '"RS384", "RS512"'
    ),
    '[jitsi]\nlink = "path"': '[jitsi] link: found "path", expected one of "query", "fragment"',
    '[jitsi]\nprofile = "8x8"': '[jitsi] profile: found "8x8", expected one of "jitsi", "jaas"',
    '[jitsi]\nallow_weak_secret = "no"': (
        '[jitsi] allow_weak_secret: found "no", expected true or false; write it without quotes'
    ),
    '[jitsi]\naudience = ["a"]': '[jitsi] audience: found ["a"], expected text in quotes',
    '[jitsi]\naudience = ""': (
        '[jitsi] audience: found "", expected text that is not empty; fill it in or remove the line'
    ),
    '[jitsi]\nsubject = "*"': (
        '[jitsi] subject: found "*", expected one name: a token never admits everywhere; write '
        "the name that the server is set to"
    ),
    '[jitsi]\nmoderator_claims = ["contxt"]': (
        '[jitsi] moderator_claims: found ["contxt"], expected a list of one or more of context, '
        "affiliation, root, lobby_bypass"
    ),
    '[jitsi]\nmoderator_claims = "context"': (
        '[jitsi] moderator_claims: found "context", expected a list such as ["one", "two"]'
    ),
    '[jitsi]\nprofile = "jaas"\nalgorithm = "HS256"': (
        '[jitsi] algorithm: found "HS256" with profile "jaas", expected "RS256"; remove the line'
    ),
    "[jitsi]\nsecret = 7": "[jitsi] secret: expected text in quotes",
    "[jitsi]\nsecret_command = []": (
        '[jitsi] secret_command: expected a command such as "pass show jitsi" or ["pass", "show", '
        '"jitsi"]'
    ),
    '[jitsi]\nsecret_file = "a"\nsecret_env = "B"': (
        "[jitsi] secret_file: found one secret given twice, by invites.toml: [jitsi] secret_env "
        "too; keep one of them"
    ),
    '[roster]\ntimezone = "Europe/Berln"': (
        '[roster] timezone: found "Europe/Berln", expected an IANA time zone such as '
        "Europe/Berlin; did you mean Europe/Berlin?"
    ),
    '[roster]\ndate_format = "DD.MM.YYYY"': (
        '[roster] date_format: found "DD.MM.YYYY", expected a list of iso, de, us, excel or forms '
        'with day, month, year, hour and minute such as "%d.%m.%Y %H:%M"'
    ),
    '[roster]\nyes = ["Ja", "nein"]\nno = ["NEIN"]': (
        '[roster] no: found "NEIN", which [roster] yes has too, expected each word in one of them'
    ),
    '[roster]\nyes = ["No"]': (
        '[roster] yes: found "No", which means false already, expected further words alone'
    ),
    '[roster]\nextra = ["a", "a"]': (
        '[roster] extra: found ["a", "a"], expected a list that has no value twice'
    ),
    '[roster.columns]\nmail = "E-Mail"': (
        "[roster] columns: expected a column of ours to the left of =, which "
        '"mail" is not; did you mean "email"?'
    ),
    '[roster.columns]\nemail = "Mail"\nname = "mail"': (
        "[roster] columns: expected each of their columns once"
    ),
    '[organizer]\nemail = "meetings"': (
        '[organizer] email: found "meetings", expected one address such as ada@example.org'
    ),
    '[organizer]\nname = "=?utf-8?q?x?="': (
        '[organizer] name: found "=?utf-8?q?x?=", expected plain text, without encoded words such '
        "as =?utf-8?q?…?="
    ),
    '[organizer]\nname = "a\\nBcc: b"': (
        '[organizer] name: found "a\\nBcc: b", expected one line of text, without line ends'
    ),
    '[mail]\nlanguage = "english language"': (
        '[mail] language: found "english language", expected a language tag such as de or pt-BR (BCP 47)'
    ),
    "[mail]\nshow_attendees = 1": (
        "[mail] show_attendees: found 1, expected true or false; write it without quotes"
    ),
    '[delivery]\nto = "mail"': '[delivery] to: found "mail", expected one of "folder", "smtp"',
    '[delivery]\nto = "smtp"': f'[delivery] to: "smtp" {RELAY}',
    "[delivery]\nfolder = 7": "[delivery] folder: found 7, expected text in quotes",
    '[smtp]\nhost = "smtp.example.com:25"': (
        '[smtp] host: found "smtp.example.com:25", expected a host name or address such as '
        "smtp.example.com; the port has its own key, port"
    ),
    "[smtp]\nport = 0": "[smtp] port: found 0, expected a whole number from 1 to 65,535",
    '[smtp]\nport = "25"': '[smtp] port: found "25", expected a whole number from 1 to 65,535',
    '[smtp]\nsecurity = "ssl"': (
        '[smtp] security: found "ssl", expected one of "starttls", "tls", "none"'
    ),
    '[smtp]\nhost = "smtp.example.com"\nsecurity = "none"': (
        '[smtp] security: found "none" for smtp.example.com, expected "starttls" or "tls": join '
        "links would cross the network in the clear; set allow_plaintext = true where that is meant"
    ),
    '[smtp]\nhost = "smtp.example.com"\nusername = "me"': (
        "[smtp] username: found no password for this login, expected password_file, password_env "
        "or password_command; set one, or remove username where no login is wanted"
    ),
    '[smtp]\nhost = "smtp.example.com"\nusername = "me"\nauth = "xoauth2"': (
        '[smtp] auth: found "xoauth2" without an access token, expected token_command, or '
        "[smtp.m365] complete (missing: tenant, client_id, client_secret_file)"
    ),
    '[smtp]\nhost = "smtp.example.com"\nauth = "xoauth2"\ntoken_command = "t"': (
        '[smtp] auth: found "xoauth2" without username, expected the mailbox\'s name'
    ),
    '[smtp]\nhost = "smtp.example.com"\ntoken_command = "t"': (
        '[smtp] auth: found "login" with token_command or [smtp.m365], expected "xoauth2"'
    ),
    '[smtp]\nhost = "h"\nusername = "u"\nauth = "xoauth2"\ntoken_command = "t"\n'
    '[smtp.m365]\ntenant = "x"': (
        "[smtp] token_command: found [smtp.m365] as well, expected one source of access tokens; "
        "remove one"
    ),
    '[smtp]\nrate = "30/week"': (
        '[smtp] rate: found "30/week", expected limits such as "30/m, 10000/d" (s, m, h or d; '
        'each once), or "" for none'
    ),
    '[ledger]\nurl = "mysql://root:canary@db/x"': (
        "[ledger] url: expected sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"
    ),
    '[guard]\nshrink = "10"': (
        '[guard] shrink: found "10", expected a percentage from 0% to 100% such as 10%; write it '
        "in quotes"
    ),
    "[guard]\nwithdraw_after = 0": (
        "[guard] withdraw_after: found 0, expected a whole number from 1 to 1,000"
    ),
    '[schedule]\nlisten = "9108"': (
        '[schedule] listen: found "9108", expected an address and port such as "127.0.0.1:9108", '
        'or "" for none'
    ),
    '[jitsi]\nulr = "x"': 'unknown key "ulr" in [jitsi]; did you mean "url"?',
    '[jitsi]\nopens_before = "15m"': 'unknown key "opens_before" in [jitsi]; it belongs in [validity]',
    '[calendar]\nzzz = "x"': 'unknown key "zzz" in [calendar]; expected one of namespace',
    '[jtisi]\nurl = "x"': 'unknown section [jtisi]; did you mean "jitsi"?',
    "[[jobs]]\nname = 'x'": 'unknown section [jobs]; did you mean "job"?',
    "[zzz]\nx = 1": (
        "unknown section [zzz]; expected one of jitsi, validity, roster, organizer, calendar, "
        "mail, brand, series, delivery, smtp, ledger, guard, schedule, job"
    ),
    'url = "https://x"': (
        'found "url" outside of every section, expected it in [jitsi] or [ledger]'
    ),
    "zzz = 1": 'unknown key "zzz" outside of every section; remove it',
    "jitsi = 1": "found jitsi as a value, expected the section [jitsi]",
    "[smtp]\nm365 = 1": "found smtp.m365 as a value, expected the section [smtp.m365]",
    "[smtp.m365]\ntenent = 'x'": 'unknown key "tenent" in [smtp.m365]; did you mean "tenant"?',
    "[job]\nname = 'x'": "found job as something else, expected [[job]] above each job's keys",
    '[[job]]\nname = "n"\nroster = "a"\nat = "2:15"': (
        '[[job]] "n": at: found "2:15", expected a time of day from 00:00 to 23:59 such as 02:15, '
        'or a cron expression such as "15 2 * * mon-fri"'
    ),
    '[[job]]\nroster = "a"\nat = "02:15"': (
        "[[job]] number 1: name: found nothing, expected a value; add the line"
    ),
    '[[job]]\nname = "n"\nroster = []\nat = "02:15"': (
        '[[job]] "n": roster: found [], expected a path, a pattern such as "rosters/*.csv", or a '
        "list of them"
    ),
    JOB + 'days = "weekdays"': (
        '[[job]] "nightly": days: found "weekdays", expected days such as "mon-sun", "mon-fri" or '
        '"mon,wed" (mon, tue, wed, thu, fri, sat, sun)'
    ),
    JOB + 'invalid = "ignore"': (
        '[[job]] "nightly": invalid: found "ignore", expected one of "refuse", "skip"'
    ),
    JOB + 'horizont = "21d"': (
        '[[job]] "nightly": unknown key "horizont" in [[job]]; did you mean "horizon"?'
    ),
    '[[job]]\nname = "n"\nroster = "r.csv"\nat = "15 2 * * *"\ndays = "mon"': (
        '[[job]] "n": days: found it beside a cron expression, which says the days itself; remove one'
    ),
    JOB + 'reminders = ["24h"]': f'[[job]] "nightly": reminders {RELAY}',
    JOB + 'notify = ["ops@example.com"]': f'[[job]] "nightly": notify {RELAY}',
    JOB + 'deliver = "smtp"': f'[[job]] "nightly": deliver = "smtp" {RELAY}',
    JOB + 'reminders = "24h"': (
        '[[job]] "nightly": reminders: found "24h", expected a list of durations such as '
        '["24h", "1h"]'
    ),
    JOB + 'reminders = ["24h", "1d"]': (
        '[[job]] "nightly": reminders: found ["24h", "1d"], expected a list that has no duration '
        "twice"
    ),
    JOB + 'notify = ["ops"]': (
        '[[job]] "nightly": notify: found ["ops"], expected one address such as ada@example.org'
    ),
    JOB + JOB: (
        '[[job]] "nightly": found 2 jobs of this name, expected one; a job\'s name says whose '
        "meetings are whose: rename the others"
    ),
}


@pytest.mark.parametrize("text", CASES, ids=[text.replace("\n", " ")[:60] for text in CASES])
def test_each_fault_is_one_line_with_file_key_found_and_expected(
    refused: Refused, text: str
) -> None:
    """The words of the table, the file's name before them, and nothing else."""
    assert refused(text) == [f"invites.toml: {CASES[text]}"]


def test_all_faults_are_named_at_once(refused: Refused) -> None:
    """One go shows everything: unknown names, forms, rules between keys, jobs, environment."""
    lines = refused(
        '[jitsi]\nulr = "x"\nsubject = "*"\n[validity]\nskew = "1"\nlongest = "x"\n'
        '[guard]\nchange = 3\n[[job]]\nname = "n"\nat = "02:15"\n',
        {"INVITES_MAIL__LANGUAGE": "!", "INVITES_MAIL__REMINDERS": "1h"},
    )
    starts = [line.split(": found")[0] for line in lines]
    assert starts == [
        'invites.toml: unknown key "ulr" in [jitsi]; did you mean "url"?',
        'INVITES_MAIL__REMINDERS: no setting has this name; did you mean "INVITES_MAIL__REMINDER"?',
        "invites.toml: [validity] skew",
        "invites.toml: [validity] longest",
        "INVITES_MAIL__LANGUAGE: [mail] language",
        "invites.toml: [guard] change",
        'invites.toml: [[job]] "n": roster',
        "invites.toml: [jitsi] subject",
    ]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "INVITES_JITSI__ULR",
            'INVITES_JITSI__ULR: no setting has this name; did you mean "INVITES_JITSI__URL"?',
        ),
        (
            "INVITES_FOO__BAR",
            "INVITES_FOO__BAR: no setting has this name; correct its name or remove it",
        ),
        (
            "INVITES_JOB__NAME",
            "INVITES_JOB__NAME: jobs stand in the settings file alone; remove the variable",
        ),
        (
            "INVITES_ROSTER__COLUMNS",
            (
                "INVITES_ROSTER__COLUMNS: a section has no value; set a key of it, such as "
                "INVITES_ROSTER__COLUMNS__EMAIL"
            ),
        ),
        (
            "INVITES_SMTP__M365__TENNANT",
            (
                "INVITES_SMTP__M365__TENNANT: no setting has this name; did you mean "
                '"INVITES_SMTP__M365__TENANT"?'
            ),
        ),
    ],
)
def test_unknown_variables_are_refused(refused: Refused, name: str, line: str) -> None:
    """A variable that is meant for us and sets nothing is an error, with what was meant."""
    assert refused("", {name: "canary"}) == [line]


def test_values_of_the_environment_are_named_by_their_variable(refused: Refused) -> None:
    """The user looks where the value came from, not into the file."""
    assert refused("", {"INVITES_MAIL__SHOW_ATTENDEES": "perhaps", "PUBLIC_URL": "https://"}) == [
        (
            'PUBLIC_URL: [jitsi] url: found "https://", expected an address such as '
            "https://meet.example.com or https://meet.example.com/tenant"
        ),
        (
            'INVITES_MAIL__SHOW_ATTENDEES: [mail] show_attendees: found "perhaps", expected true or '
            "false; write it without quotes"
        ),
    ]


def test_what_is_no_toml_is_refused_with_its_line(refused: Refused) -> None:
    """The parser's own words say where."""
    (line,) = refused("[jitsi]\nurl = https://meet.example.com\n")
    assert line.startswith("invites.toml: found no TOML: Invalid value (at line 2, column 7); ")


def test_bytes_that_are_not_utf8_are_refused(refused: Refused, folder) -> None:  # noqa: ANN001
    """The position says where the file was saved in another encoding."""
    (folder / "invites.toml").write_bytes(b'[organizer]\nname = "J\xf6rg"\n')
    assert refused() == ["invites.toml: byte 22 is not UTF-8; save the file as UTF-8"]


@pytest.mark.parametrize("password", ["plain", "with@sign", "with/slash", "w@ith/both@", "?#@:"])
def test_no_part_of_a_password_in_a_url_is_shown(
    refused: Callable[..., list[str]], password: str
) -> None:
    """Whatever stands in it: all up to the last @ is left out."""
    (line,) = refused(f'[jitsi]\nurl = "https://somebody:{password}@meet.example.com/a b"')
    assert 'found "https://…@meet.example.com/a b"' in line
    assert "somebody" not in line
