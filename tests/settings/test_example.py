"""The commented settings that are shipped: complete, true to the defaults, ready to fill in."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from invites import settings
from invites.cli.init import example_settings
from invites.errors import SettingsError
from invites.settings.sections import M365, SECTIONS, SUBSECTIONS, Job

Load = Callable[..., settings.Settings]
TEXT = example_settings().read_text(encoding="utf-8")
OFF = re.compile(r"^#(?=[a-z_]+ = |\[)")
FILLED = {
    'url = ""': 'url = "https://meet.example.com"',
    'app_id = ""': 'app_id = "my_app"',
    'secret = ""': 'secret = "0123456789abcdef0123456789abcdef"',
    'email = ""': 'email = "meetings@example.com"',
}
SECRET_WAYS = ("secret", "secret_file", "secret_env", "secret_command")
PASSWORD_WAYS = ("password_file", "password_env", "password_command")


def with_all_on(*, secret: str, password: str) -> str:
    """Return the text with every setting on; of alternatives to one thing only the one named."""
    others = {*SECRET_WAYS, *PASSWORD_WAYS} - {secret, password}
    lines = []
    for line in TEXT.splitlines():
        on = OFF.sub("", line)
        key = on.partition(" = ")[0]
        off = key in others or (on != line and key in {"token_command", "tenant", "client_id"})
        off = off or (on != line and key == "client_secret_file")
        lines.append(f"# {on}" if off else on)
    return filled("\n".join(lines))


def filled(text: str) -> str:
    """Return the text with the four values filled in."""
    for empty, full in FILLED.items():
        text = re.sub(f"^{re.escape(empty)}", full, text, count=1, flags=re.MULTILINE)
    return text


@pytest.mark.parametrize(("secret", "password"), list(product(SECRET_WAYS, PASSWORD_WAYS)))
def test_it_loads_with_everything_uncommented(load: Load, secret: str, password: str) -> None:
    """Each commented line is a setting that works; ways to one secret are tried in turn."""
    found = load(with_all_on(secret=secret, password=password))
    assert getattr(found.jitsi, secret) is not None
    assert getattr(found.smtp, password) is not None
    assert [job.name for job in found.jobs] == ["nightly"]


def test_it_loads_with_the_other_ways_to_log_in(load: Load) -> None:
    """Access tokens by command, and by [smtp.m365]."""
    plain = filled(TEXT)
    on = {"host", "username", "auth", "token_command"}
    for keys in (on, {*on, "tenant", "client_id", "client_secret_file"} - {"token_command"}):
        lines = []
        for line in plain.splitlines():
            key = OFF.sub("", line).partition(" = ")[0]
            wanted = key in keys or ("tenant" in keys and line.startswith("#[smtp.m365]"))
            lines.append(OFF.sub("", line) if wanted else line)
        text = "\n".join(lines).replace('auth = "login"', 'auth = "xoauth2"')
        found = load(text)
        assert found.smtp.auth == "xoauth2"
        assert (found.smtp.token_command is None) == ("tenant" in keys)


def test_it_loads_as_it_is_and_lacks_the_four_values(load: Load) -> None:
    """Unfilled it is in order; what is asked for is what lacks."""
    found = load(TEXT)
    with pytest.raises(SettingsError) as caught:
        found.require_minting()
    lacking = [line.partition(":")[0] for line in str(caught.value).splitlines()]
    assert [key for key in lacking if not key.startswith("invites.toml")] == [
        "[jitsi] app_id",
        "[jitsi] url",
        "[jitsi] secret",
        "[organizer] email",
    ]


def test_it_works_after_the_four_values_are_filled_in(load: Load, folder: Path) -> None:
    """With the room key file beside it nothing more is needed."""
    (folder / "room.key").write_text("0123456789abcdef0123456789abcdef\n")
    load(filled(TEXT)).require_minting()


def parsed(text: str) -> dict[str, Any]:
    """Return the text as TOML."""
    return tomllib.loads(text)


def all_keys() -> set[tuple[str, ...]]:
    """Return the path of each key that there is."""
    models = [((name,), model) for name, model in SECTIONS.items()]
    models += [(("smtp", "m365"), M365), (("job",), Job)]
    paths = {(*path, key) for path, model in models for key in model.model_fields}
    return paths - set(SUBSECTIONS)


def test_every_key_stands_in_it(load: Load) -> None:
    """A key that is added to a section is added here, with its line of explanation."""
    lines = [OFF.sub("", line) for line in TEXT.splitlines()]
    section: tuple[str, ...] = ()
    found = set()
    for line in lines:
        if header := re.match(r"\[+([a-z0-9_.]+)\]+", line):
            section = tuple(header[1].split("."))
        elif key := re.match(r"([a-z_]+) = .+  ?# \S", line):
            found.add((*section, key[1]))
    assert found == {*all_keys(), ("roster", "columns", "email"), ("roster", "columns", "start")}


def test_the_defaults_in_it_are_the_defaults(load: Load) -> None:
    """A commented line of a key with a default shows that default."""
    everything = load(with_all_on(secret="secret", password="password_file"))
    nothing = load("# nothing")
    for name, model in SECTIONS.items():
        for key, field in model.model_fields.items():
            if field.default is not None and key not in {"columns", "m365"}:
                shown, default = (
                    getattr(getattr(each, name), key) for each in (everything, nothing)
                )
                assert shown == default, f"[{name}] {key}"
    (job,) = everything.jobs
    for key in ("days", "settle", "invalid", "retry_for", "reminders", "notify_always"):
        assert getattr(job, key) == Job.model_fields[key].default


def test_its_lines_are_short_enough_to_read() -> None:
    """No line wraps in a window of usual width."""
    assert max(map(len, TEXT.splitlines())) <= 130
