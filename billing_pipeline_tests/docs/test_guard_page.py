"""The page about the guard is true to the code: its examples run, its answers are what comes, nothing is left out."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from billing_pipeline import errors
from billing_pipeline.access.scope import Right, Scope
from billing_pipeline.errors import GuardError
from billing_pipeline.gateway.guard_endpoint import BODIES
from billing_pipeline.guardrails.answers import DenialRule
from billing_pipeline.guardrails.calling.http_calls import Patience
from billing_pipeline.guardrails.checking import USAGE_MOST
from billing_pipeline.guardrails.requests import Reserve, Settle
from billing_pipeline.guardrails.terms import LimitTerm
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.settings import GatewaySettings, load_settings
from billing_pipeline_tests.emit.scripted_gateway import serving
from billing_pipeline_tests.gateway.conftest import Door
from billing_pipeline_tests.guardrails.made_ledger import MadeLedger, TermsByCustomer, made_terms
from billing_pipeline_tests.guardrails.scripted_guard import ScriptedGuard
from billing_pipeline_tests.guardrails.told_ledger import PRICE, ToldLedger

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "guard.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EXCHANGES = re.findall(
    r"^```http\nPOST (\S+)\n\n(.*?)^```\n\n```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
)
HOLD_ID = "6a2c9ab19d5c4f3e8f0f5a77b1f0c2d4"


def scripted() -> ScriptedGuard:
    return ScriptedGuard(ledger=ToldLedger(10**12))


def test_the_examples_for_threads_hold_and_settle() -> None:
    """As they are written, but for the address: the quick start, and the decorator with the same client."""
    with serving(scripted()) as guard:
        assert isinstance(guard, ScriptedGuard)
        names: dict[str, Any] = {
            "api_key": "bk_k",
            "ask_model": lambda max_tokens: SimpleNamespace(input_tokens=1200, output_tokens=max_tokens - 1),
        }
        exec(BLOCKS[0].replace("https://billing.example", guard.url), names)  # noqa: S102 - the page's own example
        exec(BLOCKS[2], names)  # noqa: S102 - as above
        names["guard"].close()
    reserve, settle, search, searched = guard.ledger.requests
    assert (reserve.session_id, len(reserve.usage), search.session_id) == ("run-7", 2, "run-7")
    assert search.call is not None
    assert isinstance(settle, Settle)
    assert isinstance(searched, Settle)
    assert guard.ledger.available == 10**12 - (1200 + 4095 + 1) * PRICE


def test_the_example_for_an_event_loop_holds_and_settles() -> None:
    """As it is written."""
    indented = "".join(f"    {line}\n" for line in BLOCKS[1].splitlines())
    with serving(scripted()) as guard:
        assert isinstance(guard, ScriptedGuard)
        code = f"import asyncio\nasync def run():\n{indented}\nasyncio.run(run())"
        exec(code.replace("https://billing.example", guard.url), {"api_key": "bk_k"})  # noqa: S102 - as above
    assert [type(request) for request in guard.ledger.requests] == [Reserve, Settle]


def test_the_example_within_a_process_holds_and_settles(
    pipeline: Pipeline, registered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a company's own control database, registry and policies."""
    with pipeline.queue() as queue:
        queue.append("test", registered("acme", ["support-bot"]))
    monkeypatch.setenv("BILLING_HOME", str(pipeline.settings.home))
    names: dict[str, Any] = {}
    exec(BLOCKS[3], names)  # noqa: S102 - as above
    assert names["hold"].ended.booked == 800_000
    assert load_settings().home == pipeline.settings.home


def test_the_exchanges_over_http_are_what_comes(tmp_path: Path) -> None:
    """One after the other, field by field; but for the hold's id, which is a new one each time."""
    terms = TermsByCustomer(made_terms(limits=(LimitTerm("customer", "day", "hard", 5 * 10**9),)))
    made = MadeLedger(f"sqlite:///{tmp_path / 'control.sqlite'}", terms)
    door = Door(tmp_path, tmp_path / "log", GatewaySettings())
    door.gateway.guard = made.writer
    key = door.issue(Scope(frozenset({Right.GUARD_USE})))
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    hold_id = HOLD_ID
    try:
        for path, body, wanted in EXCHANGES:
            answer = door.client.post(path, content=body.replace(HOLD_ID, hold_id), headers=headers).text
            found = json.loads(answer)
            hold_id = found.get("hold_id", hold_id)
            assert json.loads(answer.replace(hold_id, HOLD_ID)) == json.loads(wanted)
    finally:
        door.close()
        made.close()
    assert {path for path, _, _ in EXCHANGES} == set(BODIES) - {"/v1/release"}


@pytest.mark.parametrize("rule", DenialRule)
def test_every_denial_is_explained_with_what_to_do(rule: DenialRule) -> None:
    """In a row of its own."""
    (row,) = re.findall(rf"^\| `{rule}` \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert all(len(cell) > 10 for cell in row)


def test_every_error_of_the_guards_callers_is_named() -> None:
    """But for those of people who review and of the chores; and there is none that is not."""
    named = set(re.findall(r"^\| `(\w+Error)` \|", PAGE, re.MULTILINE))
    raised = {error.__name__ for error in GuardError.__subclasses__()}
    assert named == raised - {"ReviewNotFoundError", "GrantsRefusedError"}
    assert all(hasattr(errors, name) for name in re.findall(r"`(\w+Error)`", PAGE))


@pytest.mark.parametrize("field", Reserve.__struct_fields__)
def test_every_field_of_a_reserve_is_named(field: str) -> None:
    assert f"`{field}`" in PAGE.split("## Over HTTP")[1]


def test_the_figures_are_those_of_the_code() -> None:
    assert Patience().timeout_seconds == 15
    assert USAGE_MOST == 16
