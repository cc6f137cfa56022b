"""What `init` asks at a terminal: each answer is tested at once, and a failed test may be passed over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from invites.addresses import parse_address
from invites.cli.terminal import asked
from invites.delivery.smtp import login_report
from invites.delivery.smtp_connection import Relay
from invites.errors import InvitesError
from invites.jitsi.tokens import weak_secret
from invites.settings.types import display_name, host_name, is_loopback, server_url
from invites.text import CellRefused, language_tag

if TYPE_CHECKING:
    from collections.abc import Callable

    from invites.cli.options import Call

SECRET_FILE: Final = "jitsi.secret"  # noqa: S105 - a name of a file
PASSWORD_FILE: Final = "smtp.password"  # noqa: S105 - the same
TIMEOUT: Final = 10.0
"""Seconds within which a server has to answer a test."""

LOOKED_AT: Final = 500_000
"""Bytes of a page in which Jitsi Meet is looked for."""


@dataclass(slots=True)
class Answers:
    """What somebody answered: settings by section and key, and secrets by the file they go into."""

    values: dict[tuple[str, str], Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)


def ask_for_settings(call: Call) -> Answers:
    """Ask for what every installation needs, then for its mail server; Enter takes the default.

    What is left empty stays to be filled in.  No secret is shown, or goes anywhere but its file.
    """
    wizard = _Wizard(call)
    call.say("Enter takes what stands in [brackets], or leaves it to be filled in later.")
    wizard.jitsi()
    wizard.organizer()
    wizard.mail_server()
    return wizard.answers


class _Wizard:
    def __init__(self, call: Call) -> None:
        self.call = call
        self.answers = Answers()

    def jitsi(self) -> None:
        """Ask for the server and what its token authentication is set to."""
        example = "such as https://meet.example.com"
        self._set(
            "jitsi",
            "url",
            self._tested(f"Address of your Jitsi server, {example}", _url, _is_jitsi),
        )
        self._set("jitsi", "app_id", self._valid("App id of its token authentication", str))
        secret = self._tested("App secret (not shown)", str, _is_strong, hidden=True)
        if secret:
            self.answers.secrets[SECRET_FILE] = secret
            self._set("jitsi", "secret_file", SECRET_FILE)
            if _weakness(secret):
                self._set("jitsi", "allow_weak_secret", True)

    def organizer(self) -> None:
        """Ask for whom the mails come from, and in which language."""
        example = "such as meetings@example.com"
        self._set("organizer", "email", self._valid(f"Mailbox that invites, {example}", _mailbox))
        self._set("organizer", "name", self._valid("Its name", display_name, default="Meetings"))
        asks = "Language of the mails"
        self._set("mail", "language", self._tested(asks, language_tag, _has_texts, default="en"))

    def mail_server(self) -> None:
        """Ask for the mail server, and log in there; without one messages go into a folder."""
        self.call.say("Without a mail server, messages are put into a folder for another mailer.")
        while host := self._valid("Mail server (Enter for none)", host_name):
            relay = self._relay(host)
            try:
                report = _log_in(relay)
            except InvitesError as error:
                self.call.say(f"  {error}")
                self.call.say("  `invites doctor` tries it again at any time")
                if self._again():
                    continue
            else:
                self.call.say(f"  it works: {report}")
            password = relay.pop("password", "")
            if password:
                self.answers.secrets[PASSWORD_FILE] = password
                self._set("smtp", "password_file", PASSWORD_FILE)
            for key, value in relay.items():
                self._set("smtp", key, value)
            self._set("delivery", "to", "smtp")
            return

    def _relay(self, host: str) -> dict[str, Any]:
        """Return the keys of [smtp] for a host, its password among them."""
        port = self._valid("Port", _port, default="587")
        usual = "tls" if port == 465 else "none" if is_loopback(host) else "starttls"
        security = self._valid("Security: starttls, tls or none", _security, default=usual)
        mailbox = "" if security == "none" else self.answers.values.get(("organizer", "email"), "")
        username = self._valid("User name (- for no login)", str, default=mailbox or "-")
        relay = {"host": host, "port": port, "security": security}
        if username != "-":
            relay["username"] = username
            relay["password"] = asked("Password (not shown): ", hidden=True)
        return relay

    def _set(self, section: str, key: str, value: Any) -> None:
        if value not in {None, ""}:
            self.answers.values[section, key] = value

    def _valid(
        self, what: str, parse: Callable[[str], Any], *, default: str = "", hidden: bool = False
    ) -> Any:
        """Return an answer that can stand in the settings, None for an empty one."""
        shown = f" [{default}]" if default else ""
        while text := asked(f"{what}{shown}: ", hidden=hidden) or default:
            try:
                return parse(text)
            except CellRefused as refused:
                self.call.say(f"  expected {refused.expected}")
        return None

    def _tested(
        self,
        what: str,
        parse: Callable[[str], Any],
        test: Callable[[Any], tuple[bool, str]],
        *,
        default: str = "",
        hidden: bool = False,
    ) -> Any:
        """Return an answer that passed its test, or that somebody stands by all the same."""
        while (value := self._valid(what, parse, default=default, hidden=hidden)) is not None:
            passed, said = test(value)
            if said:
                self.call.say(f"  {said}")
            if passed or not self._again():
                return value
        return None

    def _again(self) -> bool:
        return asked("  Enter goes on with it all the same, r asks again: ").casefold() == "r"


def _url(text: str) -> str:
    return server_url(text if "://" in text else f"https://{text}")


def _mailbox(text: str) -> str:
    return parse_address(text).mailbox


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65_536:
        raise CellRefused("a number from 1 to 65535")
    return int(text)


def _security(text: str) -> str:
    if text.lower() not in {"starttls", "tls", "none"}:
        raise CellRefused("starttls, tls or none")
    return text.lower()


def _has_texts(tag: str) -> tuple[bool, str]:
    """Tell whether mails can be in this language."""
    from invites.shipped import languages
    from invites.text import catalog_for

    known = languages()
    if catalog_for(tag, known) is not None:
        return True, ""
    return False, f"mails would be in English: there are texts in {', '.join(sorted(known))}"


def _weakness(secret: str) -> str | None:
    return weak_secret(secret.encode(), "HS256")


def _is_strong(secret: str) -> tuple[bool, str]:
    why = _weakness(secret)
    if why is None:
        return True, "it is long enough"
    return False, (
        f"it is weak: {why}; whoever guesses it admits himself. Put a new one into the server and "
        "here: openssl rand -hex 32"
    )


def _is_jitsi(url: str) -> tuple[bool, str]:
    """Tell whether a web server answers at `url` as Jitsi Meet does: by its config.js, or its page."""
    parts = urlsplit(url)
    try:
        for path in ("/config.js", f"{parts.path}/"):
            try:
                page = _fetched(f"{parts.scheme}://{parts.netloc}{path}")
            except HTTPError:
                continue
            if (b"hosts" in page and b"config" in page) or b"jitsi" in page.lower():
                return True, "it answers, and is a Jitsi Meet"
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return False, (
            f"it does not answer this machine ({reason}); is the name right, the server up, its "
            "certificate valid? invites itself need not reach it, the attendees must"
        )
    return False, (
        "it answers, and does not look like a Jitsi Meet: neither its config.js nor its page is "
        "there; is it the address under which meetings open?"
    )


def _fetched(url: str) -> bytes:
    request = Request(url, headers={"User-Agent": "invites"})  # noqa: S310 - https or http alone
    with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - see above
        page: bytes = answer.read(LOOKED_AT)
    return page


def _log_in(relay: dict[str, Any]) -> str:
    """Log in at the mail server as a delivery does; raises what that raises."""
    password = relay.get("password", "")
    given = {key: value for key, value in relay.items() if key != "password"}
    return login_report(Relay(**given, secret=lambda: password, timeout=TIMEOUT))
