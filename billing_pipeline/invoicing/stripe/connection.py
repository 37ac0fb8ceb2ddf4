"""Which Stripe is meant: the account of the key that is set, else the simulator, served by this process."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from billing_pipeline.errors import SettingsError
from billing_pipeline.invoicing.stripe.gateway import StripeGateway
from billing_pipeline.settings import Settings

SIMULATOR_KEY = "sk_test_simulator"
_KEY = re.compile(r"(sk|rk)_(test|live)_[A-Za-z0-9_]{1,500}")
"""A secret or restricted key. What has other characters (a line's end, say) would be shown by the HTTP library."""
_ACCOUNT = re.compile(r"acct_[A-Za-z0-9]{1,100}")


@contextmanager
def connect_stripe(settings: Settings) -> Iterator[StripeGateway]:
    """A gateway for as long as the block runs.

    * `stripe_api_key` set: Stripe, or what listens at `stripe_api_base` (test keys only, on loopback).
    * only `stripe_api_base` set: a simulator that runs elsewhere on this machine.
    * neither: a simulator in this process over `settings.simulator_path`.

    A live key is used only where `stripe_live_account` names the account that it belongs to; that is read from Stripe
    before anything else is sent.

    Raises:
        SettingsError: the key is no secret key, would be sent to an address it is not meant for, or is live and not
            known to belong to the account that is set.
        StripeError: the account of a live key cannot be read.
    """
    key, base = settings.stripe_api_key, settings.stripe_api_base
    _check(key, base)
    live_account = _live_account(settings)
    if key is None and base is None:
        # The server pulls in Starlette and uvicorn, which a push to the real Stripe does not need.
        from billing_pipeline.invoicing.simulator.server import running_simulator

        with (
            running_simulator(settings.simulator_path) as address,
            _closing(SIMULATOR_KEY, address, settings) as gateway,
        ):
            yield gateway
        return
    with _closing(key or SIMULATOR_KEY, base, settings) as gateway:
        if live_account is not None:
            _refuse_other_account(gateway.account(), live_account)
        yield gateway


@contextmanager
def _closing(key: str, base: str | None, settings: Settings) -> Iterator[StripeGateway]:
    gateway = StripeGateway(key, base, requests_per_second=settings.stripe_requests_per_second)
    try:
        yield gateway
    finally:
        gateway.close()


def _check(key: str | None, base: str | None) -> None:
    if key is not None and not _KEY.fullmatch(key):
        raise SettingsError(
            "STRIPE_API_KEY must start with sk_test_, sk_live_, rk_test_ or rk_live_ and go on in letters, digits and "
            "_ only; its value is not shown"
        )
    if base is None:
        return
    if urlsplit(base).hostname not in {"127.0.0.1", "localhost", "::1"}:
        raise SettingsError(
            f"STRIPE_API_BASE={base!r}: only a simulator on this machine can stand in for Stripe"
        )
    if key is not None and _is_live(key):
        raise SettingsError(
            "a live key and STRIPE_API_BASE are both set; unset one, live keys go to Stripe only"
        )


def _is_live(key: str) -> bool:
    return key.startswith(("sk_live_", "rk_live_"))


def _live_account(settings: Settings) -> str | None:
    """The account that the key must belong to; None for keys in test mode, which any account may have."""
    key, account = settings.stripe_api_key, settings.stripe_live_account
    if key is None or not _is_live(key):
        return None
    if account is None:
        raise SettingsError(
            "STRIPE_API_KEY is a live key, and STRIPE_LIVE_ACCOUNT is not set: what is sent with it is real. Set "
            "STRIPE_LIVE_ACCOUNT=acct_… (Stripe shows it under Settings, Account details) to use it, or a test key"
        )
    if not _ACCOUNT.fullmatch(account):
        raise SettingsError(
            f"STRIPE_LIVE_ACCOUNT={account!r}: give the account's id, acct_ and letters or digits"
        )
    return account


def _refuse_other_account(found: str, wanted: str) -> None:
    account, _, mode = found.partition("/")
    if account != wanted:
        raise SettingsError(
            f"the live key belongs to {account} ({mode}), STRIPE_LIVE_ACCOUNT names {wanted}: nothing was sent; "
            "set the one or the other right"
        )
