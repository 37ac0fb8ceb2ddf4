from pathlib import Path

import pytest

from billing_pipeline.errors import SettingsError
from billing_pipeline.invoicing.simulator.server import running_simulator
from billing_pipeline.invoicing.stripe.connection import connect_stripe
from billing_pipeline.settings import Settings, load_settings


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
        {"STRIPE_API_KEY": "sk_test_secret", "STRIPE_API_BASE": "https://stripe.example"},
    ],
)
def test_keys_go_only_where_they_are_meant_to_go(tmp_path: Path, environment: dict[str, str]) -> None:
    """A publishable key, a live key for a simulator, a foreign address: refused without showing the key."""
    with pytest.raises(SettingsError) as caught, connect_stripe(_settings(tmp_path, **environment)):
        pass
    assert "secret" not in str(caught.value)
