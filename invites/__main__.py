"""`python -m invites`, and the `invites` command."""

from __future__ import annotations

from invites.cli import main

if __name__ == "__main__":
    main()
