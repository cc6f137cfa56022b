"""Where settings come from, and which place beats which."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from invites import settings
from invites.errors import SettingsError
from invites.roster.files import file_of
from invites.settings.layers import all_variables
from invites.settings.sections import SECTIONS

Load = Callable[..., settings.Settings]


def write(file: Path, app_id: str) -> Path:
    """Write settings that are known again by their app id."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'[jitsi]\napp_id = "{app_id}"\n')
    return file


def test_no_settings_file_is_no_error(folder: Path) -> None:
    """Environment and flags may give all that is needed."""
    found = settings.load(None, environ={"INVITES_JITSI__APP_ID": "from environment"})
    assert found.source is None
    assert found.jitsi.app_id == "from environment"
    assert found.delivery.folder == folder / "outbox"


def test_the_settings_file_is_looked_for_in_order(folder: Path) -> None:
    """--config, INVITES_CONFIG, ./invites.toml, $XDG_CONFIG_HOME, /etc: the first one counts."""
    environ = {
        "INVITES_CONFIG": str(write(folder / "b.toml", "variable")),
        "XDG_CONFIG_HOME": str(folder / "xdg"),
    }
    flag = write(folder / "a.toml", "flag")
    local = write(folder / "invites.toml", "local")
    write(folder / "xdg" / "invites" / "invites.toml", "xdg")
    assert settings.load(flag, environ=environ).jitsi.app_id == "flag"
    assert settings.load(None, environ=environ).jitsi.app_id == "variable"
    del environ["INVITES_CONFIG"]
    assert settings.load(None, environ=environ).jitsi.app_id == "local"
    local.unlink()
    assert settings.load(None, environ=environ).jitsi.app_id == "xdg"
    assert settings.places(environ)[-1] == Path("/etc/invites/invites.toml")


def test_without_xdg_config_home_its_default_is_looked_at(folder: Path) -> None:
    """~/.config stands in, also where the variable is relative, as the XDG rules say."""
    write(folder / ".config" / "invites" / "invites.toml", "home")
    for environ in ({"HOME": str(folder)}, {"HOME": str(folder), "XDG_CONFIG_HOME": "rel"}):
        assert settings.load(None, environ=environ).jitsi.app_id == "home"


def test_a_named_settings_file_that_is_not_there_is_refused(folder: Path) -> None:
    """Whoever names a file means it."""
    with pytest.raises(SettingsError, match=r"absent.toml: found nothing, .* that --config names"):
        settings.load(folder / "absent.toml", environ={})
    with pytest.raises(SettingsError, match="that INVITES_CONFIG names"):
        settings.load(None, environ={"INVITES_CONFIG": "absent.toml"})
    with pytest.raises(SettingsError, match="found a folder, expected a settings file"):
        settings.load(folder, environ={})


def test_flags_beat_environment_beats_file_beats_docker_beats_default(load: Load) -> None:
    """The order of the contract, taken apart from the top."""
    text = '[jitsi]\naudience = "file"\n'
    docker = {"JWT_ACCEPTED_AUDIENCES": "docker, other"}
    environment = {**docker, "INVITES_JITSI__AUDIENCE": "environment"}
    flags = {"jitsi.audience": "flag", "mail.templates": None}
    assert load(text, environment, flags).jitsi.audience == "flag"
    assert load(text, environment).jitsi.audience == "environment"
    assert load(text, docker).jitsi.audience == "file"
    assert load("# nothing", docker).jitsi.audience == "docker"
    assert load("# nothing").jitsi.audience == "jitsi"


def test_a_flag_that_no_setting_answers_to_is_our_own_mistake(load: Load) -> None:
    """A misspelled override never passes in silence."""
    with pytest.raises(KeyError):
        load("", {}, {"delivery.too": "smtp"})


def test_each_kind_of_value_can_come_from_the_environment(load: Load) -> None:
    """Text, durations, lists, switches, numbers, shares and keys of inner tables."""
    found = load(
        "",
        {
            "INVITES_JITSI__MODERATOR_CLAIMS": "context, root",
            "INVITES_JITSI__ALLOW_WEAK_SECRET": "yes",
            "INVITES_VALIDITY__OPENS_BEFORE": "1h",
            "INVITES_ROSTER__EXTRA": '["a, b", "c"]',
            "INVITES_ROSTER__COLUMNS__EMAIL": "E-Mail-Adresse",
            "INVITES_ROSTER__COLUMNS__NAME": '["Name", "Who"]',
            "INVITES_MAIL__REMINDER": "",
            "INVITES_SMTP__PORT": "2525",
            "INVITES_SMTP__M365__TENANT": "contoso",
            "INVITES_SMTP__RATE": "30/m",
            "INVITES_GUARD__SHRINK": "25%",
            "INVITES_SCHEDULE__LISTEN": "127.0.0.1:1",
        },
    )
    assert found.jitsi.moderator_claims == ("context", "root")
    assert found.jitsi.allow_weak_secret is True
    assert found.validity.opens_before == timedelta(hours=1)
    assert found.roster.extra == ("a, b", "c")
    assert found.roster.columns == {"email": ("E-Mail-Adresse",), "name": ("Name", "Who")}
    assert found.mail.reminder is None
    assert (found.smtp.port, found.smtp.m365.tenant) == (2525, "contoso")
    assert found.smtp.rate[0].count == 30
    assert found.guard.shrink.limit_denominator() == found.guard.shrink
    assert float(found.guard.shrink) == 0.25
    assert found.schedule.listen is not None


def test_an_empty_variable_counts_as_absent(load: Load) -> None:
    """A compose file that passes on what is not set does no harm."""
    environ = dict.fromkeys(all_variables(), "") | {"PUBLIC_URL": "", "JWT_APP_ID": ""}
    found = load('[jitsi]\napp_id = "file"\n[smtp]\nport = 25\n', environ)
    assert found.jitsi.app_id == "file"
    assert found.smtp.port == 25


def test_an_empty_value_in_the_file_is_still_to_be_filled_in(load: Load) -> None:
    """What has no default is unset where it is empty, and docker's names fill it."""
    found = load('[jitsi]\nurl = ""\napp_id = ""\n', {"PUBLIC_URL": "https://meet.example.com"})
    assert found.jitsi.url == "https://meet.example.com"
    assert found.jitsi.app_id is None


def test_variables_of_a_cluster_are_left_alone(load: Load) -> None:
    """Names without two underscores are not ours; a near miss is warned about."""
    found = load("", {"INVITES_PORT": "tcp://10.0.0.1:80", "INVITES_JITSI_URL": "https://x"})
    assert found.jitsi.url is None
    assert found.warnings == (
        'INVITES_JITSI_URL in the environment sets nothing; did you mean "INVITES_JITSI__URL"?',
    )


def test_docker_names_are_understood(load: Load) -> None:
    """A user with the `.env` of Jitsi's docker set-up has nothing to translate."""
    found = load(
        "",
        {
            "PUBLIC_URL": "https://meet.example.com:8443",
            "XMPP_DOMAIN": "meet.jitsi",
            "JWT_APP_ID": "my_app",
            "JWT_APP_SECRET": "0123456789abcdef0123456789abcdef",
            "JWT_ACCEPTED_ISSUERS": "other,my_app",
            "JWT_ACCEPTED_AUDIENCES": "first,second",
            "JWT_ENABLE_DOMAIN_VERIFICATION": "true",
        },
    )
    server = found.server()
    assert server.url == "https://meet.example.com:8443"
    assert (server.app_id, server.audience, server.subject) == ("my_app", "first", "meet.jitsi")
    assert server.algorithm == "HS256"
    assert found.signing_key().key == b"0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("environ", "app_id"),
    [
        ({"JWT_APP_ID": "a", "JWT_ACCEPTED_ISSUERS": "b,c"}, "b"),
        ({"JWT_APP_ID": "a", "JWT_ACCEPTED_ISSUERS": "*"}, "a"),
        ({"JWT_APP_ID": "a", "JWT_ACCEPTED_ISSUERS": "b, *"}, "a"),
        ({"JWT_ACCEPTED_ISSUERS": "b"}, "b"),
        ({}, None),
    ],
)
def test_the_issuer_is_one_that_the_server_accepts(
    load: Load, environ: dict[str, str], app_id: str | None
) -> None:
    """The app id, unless the server's list of issuers has others and not that."""
    assert load("", environ).jitsi.app_id == app_id


@pytest.mark.parametrize(
    ("environ", "algorithm"),
    [
        ({"JWT_SIGN_TYPE": "HS512"}, "HS512"),
        ({"JWT_ASAP_KEYSERVER": "https://keys.example.com"}, "RS256"),
        ({"JWT_ASAP_KEYSERVER": "https://keys.example.com", "JWT_SIGN_TYPE": "RS512"}, "RS512"),
    ],
)
def test_the_algorithm_is_the_one_of_the_docker_server(
    load: Load, environ: dict[str, str], algorithm: str
) -> None:
    """With a key server set, tokens with a shared secret are always refused."""
    assert load("", environ).jitsi.algorithm == algorithm


@pytest.mark.parametrize(("accepted", "audience"), [("*", "jitsi"), ("a,*", "a"), ("", "jitsi")])
def test_any_audience_leaves_the_default(load: Load, accepted: str, audience: str) -> None:
    """The first name of the list counts, never the star."""
    assert load("", {"JWT_ACCEPTED_AUDIENCES": accepted}).jitsi.audience == audience


def test_relative_paths_start_at_the_settings_file(folder: Path) -> None:
    """Paths of file and environment start there, those of flags at the current folder."""
    file = folder / "etc" / "invites.toml"
    file.parent.mkdir()
    file.write_text(
        '[jitsi]\nroom_key_file = "room.key"\n[mail]\ntemplates = "/abs"\n'
        '[[job]]\nname = "n"\nroster = ["in/*.csv", "/abs/b.csv"]\nat = "02:00"\n'
    )
    found = settings.load(
        Path("etc/invites.toml"),
        environ={"INVITES_SMTP__PASSWORD_FILE": "smtp.txt"},
        overrides={"delivery.folder": Path("here")},
    )
    assert found.jitsi.room_key_file == file.parent / "room.key"
    assert found.smtp.password_file == file.parent / "smtp.txt"
    assert found.mail.templates == Path("/abs")
    assert found.delivery.folder == folder / "here"
    assert found.ledger.url == f"sqlite:///{file.parent}/invites.db"
    pattern, path = found.jobs[0].roster
    assert (pattern.text, pattern.base) == ("in/*.csv", file.parent)
    assert path.path == Path("/abs/b.csv")


def test_a_path_may_start_at_home(load: Load) -> None:
    """`~/` is the home folder, in files, rosters and the ledger's url."""
    text = (
        '[mail]\ntemplates = "~/letters"\n[ledger]\nurl = "sqlite:///~/invites.db"\n'
        '[[job]]\nname = "n"\nroster = "~/in/*.csv"\nat = "02:00"\n'
    )
    found = load(text, {"HOME": "/home/ada"})
    assert found.mail.templates == Path("/home/ada/letters")
    assert found.ledger.url == "sqlite:////home/ada/invites.db"
    assert found.jobs[0].roster[0].path == Path("/home/ada/in/*.csv")


def test_a_closed_folder_holds_no_settings_for_us(folder: Path) -> None:
    """The search goes on, whatever the folder's rights are."""
    closed = write(folder / "xdg" / "invites" / "invites.toml", "closed").parent
    closed.chmod(0)
    try:
        settings.load(None, environ={"XDG_CONFIG_HOME": str(folder / "xdg")})
    finally:
        closed.chmod(0o700)


def test_a_folder_whose_name_has_brackets_stays_no_pattern(folder: Path) -> None:
    """Only what the user wrote is a pattern, not the folder that it starts from."""
    file = folder / "in [old]" / "invites.toml"
    file.parent.mkdir()
    (file.parent / "a.csv").touch()
    file.write_text('[[job]]\nname = "n"\nroster = "*.csv"\nat = "02:00"\n')
    roster = settings.load(file, environ={}).jobs[0].roster[0]
    assert file_of(roster) == file.parent / "a.csv"


def test_every_key_has_its_variable() -> None:
    """No section is left out of the environment but the jobs."""
    names = all_variables()
    assert len(names) == len(set(names))
    for section in SECTIONS:
        assert any(name.startswith(f"INVITES_{section.upper()}__") for name in names)


def test_a_file_with_bom_and_windows_line_ends_is_read(folder: Path) -> None:
    """Whatever editor was at hand."""
    file = folder / "invites.toml"
    file.write_bytes(b'\xef\xbb\xbf[jitsi]\r\napp_id = "x"\r\n')
    assert settings.load(None, environ={}).jitsi.app_id == "x"


def test_settings_are_frozen(load: Load) -> None:
    """Nobody changes a setting on the way."""
    found = load()
    with pytest.raises(AttributeError):
        found.jobs = ()  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        found.jitsi.url = "https://x"


def test_the_demo_looks_at_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--demo needs no settings at all, and a settings file at hand does not change it."""
    write(folder / "invites.toml", "mine")
    monkeypatch.setenv("PUBLIC_URL", "https://mine.example.com")
    demo = settings.demo(bytes(range(64)), overrides={"mail.language": "de"})
    assert demo.server().host == "meet.example.com"
    assert demo.service_mailbox().email == "meetings@example.com"
    assert demo.signing_key().key == bytes(range(64))
    assert demo.mail.language == "de"
    demo.require_minting()
