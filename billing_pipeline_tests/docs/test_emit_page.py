"""The page about the client is true to the code."""

import dataclasses
import re
from pathlib import Path

import pytest

from billing_pipeline import errors
from billing_pipeline.emit.options import Options, Pauses
from billing_pipeline_tests.emit.scripted_gateway import ScriptedGateway, serving

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "emit.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_example_for_threads_sends_its_event(tmp_path: Path) -> None:
    """As it is written, but for the address and the directory."""
    with serving(ScriptedGateway()) as gateway:
        code = BLOCKS[0].replace("https://billing.example", gateway.url)
        code = code.replace("/var/spool/billing", str(tmp_path))
        exec(code, {"api_key": "k"})  # noqa: S102 - the page's own example
    assert gateway.ids() == [["req-81f3:output"]]


def test_the_example_for_an_event_loop_sends_its_event(tmp_path: Path) -> None:
    """As it is written."""
    indented = "".join(f"    {line}\n" for line in BLOCKS[1].splitlines())
    with serving(ScriptedGateway()) as gateway:
        names = {"api_key": "k", "url": gateway.url, "spool": tmp_path}
        exec(f"import asyncio\nasync def run():\n{indented}\nasyncio.run(run())", names)  # noqa: S102 - as above
    assert [body[0]["customer_id"] for body in gateway.bodies] == ["acme"]


@pytest.mark.parametrize("field", dataclasses.fields(Options), ids=lambda field: field.name)
def test_every_option_is_named(field: dataclasses.Field[object]) -> None:
    """But for what tests put in."""
    assert field.name == "chance" or f"`{field.name}`" in PAGE


def test_the_defaults_are_those_of_the_code() -> None:
    """Where the page gives figures."""
    options, pauses = Options(), Pauses()
    assert (options.batch_events, options.batch_bytes, options.batch_age_seconds) == (1_000, 1 << 20, 0.5)
    assert (options.spool_bytes, options.gzip_from_bytes) == (256 << 20, 2 << 10)
    assert (options.request_timeout_seconds, options.exit_timeout_seconds) == (10, 5)
    assert (pauses.first_seconds, pauses.longest_seconds, pauses.held_seconds) == (0.25, 30, 60)


def test_every_error_it_names_is_there() -> None:
    """Under that name."""
    for name in re.findall(r"`(\w+Error)`", PAGE):
        assert hasattr(errors, name)
