"""Finds template files: the user's folder first, then the shipped ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from invites.errors import TemplateError
from invites.shipped import shipped_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SUFFIX = ".j2"
HTML_SUFFIX = ".html.j2"
STYLES = "styles.css"


def is_html(name: str) -> bool:
    """Tell by its name whether a template makes HTML, and so is autoescaped."""
    return name.endswith(HTML_SUFFIX)


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """One template file, its text with LF line ends."""

    name: str
    path: Path
    source: str


class Sources:
    """All template files by name; a file of the user's folder hides the shipped one."""

    def __init__(self, user_folder: Path | None) -> None:
        """Read every template; raises TemplateError for a missing folder or a file not UTF-8."""
        shipped = _files(shipped_folder())
        user = {} if user_folder is None else _files(_existing(user_folder))
        self.shipped_names = frozenset(shipped)
        self.user_names = frozenset(user)
        self.files: Mapping[str, TemplateFile] = shipped | user

    def loader(self, prepared: Callable[[TemplateFile], str]) -> jinja2.BaseLoader:
        """Return a loader of these files, each as `prepared` makes it."""
        return jinja2.FunctionLoader(lambda name: self._loaded(name, prepared))

    def _loaded(
        self, name: str, prepared: Callable[[TemplateFile], str]
    ) -> tuple[str, str, Callable[[], bool]] | None:
        file = self.files.get(name)
        return None if file is None else (prepared(file), str(file.path), lambda: True)


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise TemplateError(
            f"{folder}: no such folder, expected the folder of your templates; "
            "it is named by --templates or [mail] templates"
        )
    return folder


def _files(folder: Path) -> dict[str, TemplateFile]:
    """Return the templates right in `folder`; folders of other names may hold anything."""
    whole = folder.resolve()
    return {
        path.name: TemplateFile(path.name, path, _text(path, whole))
        for path in sorted(folder.iterdir())
        if path.suffix == SUFFIX or path.name == STYLES
    }


def _text(path: Path, folder: Path) -> str:
    """Return a template's text; raises TemplateError for what is no readable file in UTF-8.

    A link out of the folder is refused, for what it points to (a secret) would be mailed.
    """
    if path.is_symlink() and not path.resolve().is_relative_to(folder):
        raise TemplateError(
            f"{path}: found a symbolic link out of the folder, expected a template file; "
            "copy the file to its place"
        )
    if path.exists() and not path.is_file():
        found = "a folder" if path.is_dir() else "no plain file"
        raise TemplateError(
            f"{path}: found {found}, expected a template file; rename it, or put the file in its "
            "place"
        )
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TemplateError(
            f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from None
    except OSError as error:
        raise TemplateError(f"{path}: can't be read: {error.strerror}") from None
