"""Which Stripe is meant: the account of the key that is set, else the simulator, served by this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from billing_pipeline.errors import SettingsError
from billing_pipeline.invoicing.stripe.gateway import StripeGateway
from billing_pipeline.settings import Settings

SIMULATOR_KEY = "sk_test_simulator"
_PREFIXES = ("sk_test_", "sk_live_", "rk_test_", "rk_live_")


@contextmanager
def connect_stripe(settings: Settings) -> Iterator[StripeGateway]:
    """A gateway for as long as the block runs.

    * `stripe_api_key` set: Stripe, or what listens at `stripe_api_base` (test keys only, on loopback).
    * only `stripe_api_base` set: a simulator that runs elsewhere on this machine.
    * neither: a simulator in this process over `settings.simulator_path`.

    Raises:
        SettingsError: the key is no secret key, or would be sent to an address it is not meant for.
    """
    key, base = settings.stripe_api_key, settings.stripe_api_base
    _check(key, base)
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
        yield gateway


@contextmanager
def _closing(key: str, base: str | None, settings: Settings) -> Iterator[StripeGateway]:
    gateway = StripeGateway(key, base, requests_per_second=settings.stripe_requests_per_second)
    try:
        yield gateway
    finally:
        gateway.close()


def _check(key: str | None, base: str | None) -> None:
    if key is not None and not key.startswith(_PREFIXES):
        raise SettingsError(
            f"STRIPE_API_KEY must start with one of {', '.join(_PREFIXES)}; its value is not shown"
        )
    if base is None:
        return
    if urlsplit(base).hostname not in {"127.0.0.1", "localhost", "::1"}:
        raise SettingsError(
            f"STRIPE_API_BASE={base!r}: only a simulator on this machine can stand in for Stripe"
        )
    if key is not None and "_live_" in key:
        raise SettingsError(
            "a live key and STRIPE_API_BASE are both set; unset one, live keys go to Stripe only"
        )
