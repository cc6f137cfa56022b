"""Whatever stands in a settings file or variable: settings or a SettingsError, nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from invites import settings
from invites.errors import SettingsError
from invites.settings.layers import all_variables
from invites.settings.sections import SECTIONS, Job

FORMS = st.sampled_from(
    [
        "https://meet.example.com/a",
        "https://[",
        "http://a:b@c",
        "15m",
        "99999999999999999999d",
        "10%",
        "30/m",
        "Europe/Berlin",
        "../../x",
        "~/x",
        "~",
        "sqlite:///x",
        "a@b.example",
        "*",
        "{{7*7}}",
        "=?utf-8?q?x?=",
        "\x00",
        "\u2028",
        "٣m",
        "%Y-%m-%d %H:%M %%",
        "mon-",
        "127.0.0.1:٣",
    ]
)
TEXTS = FORMS | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = (
    TEXTS
    | st.integers(min_value=-(2**63), max_value=2**63 - 1)
    | st.booleans()
    | st.lists(TEXTS | st.integers(min_value=0, max_value=9), max_size=3)
)
KEYS = [(name, key) for name, model in SECTIONS.items() for key in model.model_fields]
KEYS += [("job", key) for key in Job.model_fields]


def refusal_of(config: Path | None, environ: dict[str, str]) -> str:
    """Return what a SettingsError says, nothing where the settings are taken."""
    try:
        settings.load(config, environ=environ)
    except SettingsError as error:
        return str(error)
    return ""


def as_toml(value: Any) -> str:
    """Return a value as TOML: JSON's forms, with DEL and separators escaped."""
    return json.dumps(value, ensure_ascii=True) if not isinstance(value, str) else _quoted(value)


def _quoted(text: str) -> str:
    escaped = "".join(
        char if char.isalnum() and char.isascii() else f"\\U{ord(char):08x}" for char in text
    )
    return f'"{escaped}"'


@profile(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(key=st.sampled_from(KEYS), value=VALUES)
def test_any_value_of_any_key_is_taken_or_refused(
    folder: Path, key: tuple[str, str], value: Any
) -> None:
    """No other exception, one line for a fault, and the key is named in it."""
    section, name = key
    if isinstance(value, list):
        text = "[" + ", ".join(as_toml(each) for each in value) + "]"
    else:
        text = as_toml(value)
    header = "[[job]]" if section == "job" else f"[{section}]"
    file = folder / "invites.toml"
    file.touch(mode=0o600)
    file.write_text(f"{header}\n{name} = {text}\n", encoding="utf-8")
    said = refusal_of(None, {"HOME": "/home/ada"})
    assert all(line.startswith("invites.toml: ") for line in said.splitlines())
    assert not said or section == "job" or name in said


@profile(deadline=None)
@given(name=st.sampled_from(all_variables()), text=TEXTS)
def test_any_text_in_any_variable_is_taken_or_refused(name: str, text: str) -> None:
    """A fault begins with the variable."""
    said = refusal_of(Path("/dev/null"), {name: text})
    assert not said or name in said or "/dev/null" in said


@profile(deadline=None)
@given(data=st.binary(max_size=60))
@pytest.mark.usefixtures("folder")
def test_any_bytes_are_settings_or_refused(data: bytes, tmp_path_factory: Any) -> None:
    """A file that is anything else is refused, never an unexpected failure."""
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(data)
    file.chmod(0o600)
    said = refusal_of(file, {})
    assert not said or said.startswith(str(file))
