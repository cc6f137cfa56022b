"""A settings file in a folder of its own, and the call that loads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from invites import settings
from invites.errors import SettingsError

Load = Callable[..., settings.Settings]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that is the current one, so that no other settings are found."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def load(folder: Path) -> Load:
    """Return a function that writes `text` as ./invites.toml, mode 0600, and loads it."""

    def load_text(
        text: str = "",
        environ: Mapping[str, str] | None = None,
        overrides: Mapping[str, object] | None = None,
    ) -> settings.Settings:
        if text:
            file = folder / "invites.toml"
            file.touch(mode=0o600)
            file.write_text(text, encoding="utf-8")
        return settings.load(None, environ=environ or {}, overrides=overrides or {})

    return load_text


@pytest.fixture
def refused(load: Load) -> Callable[..., list[str]]:
    """Return a function that loads what must be refused, and gives the error's lines."""

    def lines(text: str = "", environ: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(SettingsError) as caught:
            load(text, environ)
        assert caught.value.__context__ is None, "the exception of the library rides along"
        return str(caught.value).splitlines()

    return lines
