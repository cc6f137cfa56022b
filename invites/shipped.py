"""Where the files are that the package carries: in the wheel beside the code, in a checkout above it."""

from __future__ import annotations

from pathlib import Path

from invites.errors import TemplateError

PACKAGE = Path(__file__).resolve().parent
CATALOGS = "catalogs"
SOURCE_LANGUAGE = "en"
"""The language that the templates are written in: it needs no catalog."""

INFORMAL = "@informal"
"""Ends the name of a catalog that has only what differs where people are addressed informally."""


def shipped_folder() -> Path:
    """Return the folder of the shipped templates: the wheel's, else the checkout's."""
    for folder in (PACKAGE / "templates", PACKAGE.parent / "templates"):
        if folder.is_dir():
            return folder
    raise TemplateError(
        f"no templates in {PACKAGE / 'templates'}, where the package carries them: "
        "install invites again"
    )


def catalogs(folder: Path | None = None) -> dict[str, tuple[Path, ...]]:
    """Return the catalogs by language tag; of one tag, that in `folder` before the shipped one."""
    found: dict[str, tuple[Path, ...]] = {}
    for place in (folder, shipped_folder()):
        for path in sorted((place / CATALOGS).glob("*.po")) if place is not None else ():
            found[path.stem] = (*found.get(path.stem, ()), path)
    return found


def languages(folder: Path | None = None) -> frozenset[str]:
    """Return the tags of the languages that letters can be in, those of `folder` included."""
    return frozenset(tag.removesuffix(INFORMAL) for tag in catalogs(folder)) | {SOURCE_LANGUAGE}
