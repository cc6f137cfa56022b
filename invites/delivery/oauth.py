"""Where a relay's password or access token comes from: settings, a command, Microsoft 365.

Nothing of it is printed, logged or written anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from invites.delivery.smtp_connection import no_secret
from invites.errors import LoginError, SettingsError, TryAgainError

if TYPE_CHECKING:
    from invites.settings import Settings

M365_LOGIN: Final = "https://login.microsoftonline.com"
M365_SCOPE: Final = "https://outlook.office365.com/.default"
"""What a client-credentials token for SMTP AUTH must be asked for with."""

_LOGIN_INCOMPLETE: Final = (
    "[smtp] username: found one and no password, expected password_file, password_env or "
    "password_command beside it"
)
_XOAUTH2_INCOMPLETE: Final = (
    '[smtp] auth: found "xoauth2" and no source of tokens, expected token_command in [smtp], or '
    "tenant, client_id and client_secret_file in [smtp.m365]"
)


def secret_source(settings: Settings) -> Callable[[], str]:
    """Return what gives the relay's password, or for xoauth2 an access token.

    Raises SettingsError, here or when called, where there is none to be had.
    """
    smtp, m365 = settings.smtp, settings.smtp.m365
    if smtp.username is None:
        return no_secret
    if smtp.auth != "xoauth2":
        return lambda: _demanded(settings.smtp_password(), _LOGIN_INCOMPLETE)
    if smtp.token_command is not None:
        return lambda: _first_line(_demanded(settings.smtp_access_token(), _XOAUTH2_INCOMPLETE))
    if m365.tenant and m365.client_id and m365.client_secret_file:
        return m365_token(
            tenant=m365.tenant,
            client_id=m365.client_id,
            client_secret=lambda: _demanded(settings.m365_client_secret(), _XOAUTH2_INCOMPLETE),
        )
    raise SettingsError(_XOAUTH2_INCOMPLETE)


def _demanded(secret: str | None, complaint: str) -> str:
    if not secret:
        raise SettingsError(complaint)
    return secret


def _first_line(printed: str) -> str:
    return printed.strip().partition("\n")[0].strip()


def m365_token(
    *, tenant: str, client_id: str, client_secret: Callable[[], str], authority: str | None = None
) -> Callable[[], str]:
    """Return what gets a token by client credentials (RFC 6749 4.4) through msal.

    msal keeps the token in memory until shortly before it expires, so that a reconnection does not
    ask again.  `authority` is for another cloud than the public one.
    """
    application: list[Any] = []

    def token() -> str:
        if not application:
            application.append(
                _application(
                    authority or f"{M365_LOGIN}/{tenant}",
                    client_id,
                    client_secret(),
                    known=authority is None,
                )
            )
        return _token_from(application[0], tenant)

    return token


def _application(authority: str, client_id: str, client_secret: str, *, known: bool) -> Any:
    try:
        import msal  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra, and heavy
    except ImportError:
        raise SettingsError(
            "[smtp.m365]: the library msal is not installed; "
            "install the extra: pip install 'invites[m365]'"
        ) from None
    try:
        return msal.ConfidentialClientApplication(
            client_id,
            authority=authority,
            client_credential=client_secret,
            instance_discovery=known,
            timeout=30,
        )
    except ValueError:
        raise LoginError(
            "[smtp.m365]: the sign-in service does not know this tenant; check tenant"
        ) from None
    except OSError as error:
        raise _unreachable(error) from None


def _token_from(application: Any, tenant: str) -> str:
    try:
        answer = application.acquire_token_for_client(scopes=[M365_SCOPE])
    except OSError as error:
        raise _unreachable(error) from None
    if "access_token" in answer:
        return str(answer["access_token"])
    problem = str(answer.get("error", "no reason given"))[:60]
    codes = ", ".join(f"AADSTS{code}" for code in answer.get("error_codes", ())[:3])
    raise LoginError(
        f"[smtp.m365]: no token for tenant {tenant}: {problem}{f' ({codes})' if codes else ''}; "
        "check client_id, client_secret_file and the application's SMTP.SendAsApp permission"
    )


def _unreachable(error: OSError) -> TryAgainError:
    return TryAgainError(
        f"[smtp.m365]: the sign-in service can't be reached ({type(error).__name__}); run again later"
    )
