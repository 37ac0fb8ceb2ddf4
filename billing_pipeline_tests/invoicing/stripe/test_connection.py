from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.errors import SettingsError
from billing_pipeline.invoicing.simulator.server import running_simulator
from billing_pipeline.invoicing.stripe import connection
from billing_pipeline.invoicing.stripe.connection import connect_stripe
from billing_pipeline.invoicing.stripe.gateway import StripeGateway
from billing_pipeline.settings import Settings, load_settings
from billing_pipeline_tests.invoicing.stripe.canned_stripe import canned_stripe


def _settings(home: Path, **environment: str) -> Settings:
    nowhere = str(home / "billing.toml")
    return load_settings({"BILLING_HOME": str(home), "BILLING_TOML": nowhere, **environment})


def test_without_a_key_the_simulator_answers_and_keeps_its_state(tmp_path: Path) -> None:
    """Two runs of the process find the same customers."""
    settings = _settings(tmp_path)
    with connect_stripe(settings) as gateway:
        made = gateway.create_customer({"name": "Ada"}, "k")
        assert gateway.account() == "acct_simulator/test"
    with connect_stripe(settings) as gateway:
        assert gateway.create_customer({"name": "Ada"}, "k") == made
    assert settings.simulator_path.exists()


def test_a_simulator_that_runs_already_is_used_where_its_address_is_set(tmp_path: Path) -> None:
    """With only an address set, nothing is served from here."""
    with (
        running_simulator(tmp_path / "elsewhere.sqlite") as address,
        connect_stripe(_settings(tmp_path / "home", STRIPE_API_BASE=address)) as gateway,
    ):
        assert gateway.account() == "acct_simulator/test"
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    "environment",
    [
        {"STRIPE_API_KEY": "pk_live_secret"},
        {"STRIPE_API_KEY": "sk_live_secret", "STRIPE_API_BASE": "http://127.0.0.1:1"},
        {"STRIPE_API_KEY": "rk_live_secret", "STRIPE_API_BASE": "http://127.0.0.1:1"},
        {"STRIPE_API_KEY": "sk_live_secret"},
        {"STRIPE_API_KEY": "rk_live_secret"},
        {"STRIPE_API_KEY": "rk_live_secret", "STRIPE_LIVE_ACCOUNT": "acme"},
        {"STRIPE_API_KEY": "sk_test_secret\nX-Header: 1"},
        {"STRIPE_API_KEY": "sk_test_secret…"},
        {"STRIPE_API_KEY": "sk_test_secret", "STRIPE_API_BASE": "https://stripe.example"},
    ],
)
def test_keys_go_only_where_they_are_meant_to_go(tmp_path: Path, environment: dict[str, str]) -> None:
    """A publishable key, a live key for a simulator or for no account, a foreign address, a key with a line's end."""
    with pytest.raises(SettingsError) as caught, connect_stripe(_settings(tmp_path, **environment)):
        pass
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["sk", "rk"])
def test_a_live_key_is_used_only_for_the_account_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Its account is read before anything else goes out; with the wrong one nothing does."""
    with canned_stripe() as canned:
        canned.answers["GET /v1/account"] = (200, {"id": "acct_real", "object": "account"})
        made = StripeGateway

        def to_canned(key: str, base: str | None, **options: Any) -> StripeGateway:
            assert base is None
            return made(key, canned.address, **options)

        monkeypatch.setattr(connection, "StripeGateway", to_canned)
        key = {"STRIPE_API_KEY": f"{kind}_live_secret"}
        with connect_stripe(_settings(tmp_path, **key, STRIPE_LIVE_ACCOUNT="acct_real")) as gateway:
            assert gateway.account() == "acct_real/live"
        canned.requests.clear()
        wrong = _settings(tmp_path, **key, STRIPE_LIVE_ACCOUNT="acct_other")
        with pytest.raises(SettingsError, match="belongs to acct_real") as caught, connect_stripe(wrong):
            pass
        assert [name for name, _, _ in canned.requests] == ["GET /v1/account"]
    assert "secret" not in str(caught.value)


def test_a_key_is_in_no_representation(tmp_path: Path) -> None:
    """Neither of the settings nor of what connects with it."""
    settings = _settings(tmp_path, STRIPE_API_KEY="sk_test_secret", STRIPE_API_BASE="http://127.0.0.1:1")
    with connect_stripe(settings) as gateway:
        assert "secret" not in f"{settings!r} {gateway!r} {vars(gateway)!r} {gateway.client!r}"
