"""axe-core looks at a page as somebody meets it who does not see it, or sees it badly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Page

_SCRIPT = Path(axe_playwright_python.__file__).with_name("axe.min.js")


def barriers(page: Page) -> list[str]:
    """Return what axe-core calls serious or critical, with the first element that has it."""
    page.evaluate(_SCRIPT.read_text(encoding="utf-8"))
    found: Any = page.evaluate("axe.run()")
    return [
        f"{fault['id']} ({fault['impact']}): {fault['nodes'][0]['html'][:120]}"
        for fault in found["violations"]
        if fault["impact"] in {"serious", "critical"}
    ]
