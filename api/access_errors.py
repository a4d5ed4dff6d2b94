"""Why a request is not let in."""

from __future__ import annotations

from frontrunner.errors import FrontrunnerError


class KeyMissing(FrontrunnerError):
    """The request has no key; send `Authorization: Bearer KEY`."""

    code = "key_missing"


class KeyInvalid(FrontrunnerError):
    """The key is none, or good no more."""

    code = "key_invalid"


class FormForeign(FrontrunnerError):
    """The form does not come from a page of this session."""

    code = "form_foreign"


class ScopeMissing(FrontrunnerError):
    """The key does not allow this."""

    code = "scope_missing"


class KeysRequired(FrontrunnerError):
    """A service without keys answers on a loopback address only."""

    code = "keys_required"


class KeysUnavailable(FrontrunnerError):
    """The issuer of tokens does not answer; trying again later may help."""

    code = "issuer_unavailable"


class OIDCMisconfigured(FrontrunnerError):
    """The settings name no issuer of tokens that can be trusted."""

    code = "oidc_misconfigured"
