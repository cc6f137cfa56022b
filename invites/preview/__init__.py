"""A local web page that shows each invitation as its receiver will see it.

A `View` is what stood in settings, roster, templates and ledger when they were last read; a
`Watcher` reads them again when one of the files changed; `application` serves both to a browser
that knows the access key.
"""

from invites.preview.application import application, serve
from invites.preview.view import PreviewInputs, View, Watcher

__all__ = ["PreviewInputs", "View", "Watcher", "application", "serve"]
