"""The async client: the same promises, on an event loop."""

import asyncio
from pathlib import Path

import pytest

from billing_pipeline.emit.async_client import AsyncClient
from billing_pipeline.emit.client import Client
from billing_pipeline.emit.options import Options
from billing_pipeline.errors import ClientClosedError, EventFaultsError, SpoolLockedError
from billing_pipeline_tests.emit.made_events import Noted, event
from billing_pipeline_tests.emit.scripted_gateway import Reply, ScriptedGateway, failed, refusing

FLUSH_SECONDS = 60.0


def arrived(gateway: ScriptedGateway) -> list[str]:
    return [one for ids in gateway.ids() for one in ids]


@pytest.mark.parametrize("durability", ["disk", "memory"])
def test_concurrent_tasks_emit_and_every_event_arrives_exactly_once(
    gateway: ScriptedGateway, tmp_path: Path, durability: str
) -> None:
    async def run() -> None:
        async with AsyncClient(
            gateway.url,
            "k",
            source="chat",
            durability="disk" if durability == "disk" else "memory",
            spool_directory=tmp_path if durability == "disk" else None,
            options=Noted().options(),
        ) as client:
            await asyncio.gather(*(client.emit(event(f"e{number}")) for number in range(50)))
            made = await client.usage(
                customer_id="acme", project_id="bot", unit="token", quantity=1, id="own"
            )
            assert made.id == "own"
            assert await client.flush(FLUSH_SECONDS)
            assert (client.counts.acknowledged, client.counts.waiting) == (51, 0)

    asyncio.run(run())
    assert sorted(arrived(gateway)) == sorted(["own", *(f"e{number}" for number in range(50))])


@pytest.mark.parametrize("failure", [failed(503, Retry_After="3"), failed(401), (0, {}, None)])
def test_a_failed_request_is_sent_again_after_its_pause_with_the_same_ids(
    gateway: ScriptedGateway, tmp_path: Path, failure: Reply
) -> None:
    gateway.script = [failure, refusing("b")]
    pauses: list[float] = []

    async def noted(_: asyncio.Event, seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    async def run() -> None:
        options = Noted().options()
        async with AsyncClient(
            gateway.url, "k", spool_directory=tmp_path, options=options, pause=noted
        ) as client:
            await client.emit_all([event("a"), event("b")])
            assert await client.flush(FLUSH_SECONDS)
            counts = client.counts
            assert (counts.acknowledged, counts.refused, counts.retried) == (1, 1, 1)

    asyncio.run(run())
    assert gateway.ids() == [["a", "b"], ["a", "b"]]
    assert pauses == {503: [3.125], 401: [60.0], 0: [0.125]}[failure[0]]


def test_close_breaks_off_a_pause_and_the_sync_client_sends_what_is_left(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    gateway.script = [failed(401)]

    async def run() -> None:
        client = AsyncClient(gateway.url, "k", spool_directory=tmp_path, options=Noted().options())
        async with client:
            await client.emit(event("a"))
            assert await client.flush(0.0) is False
            assert await client.close(0.0) is False
        with pytest.raises(ClientClosedError):
            await client.emit(event("b"))

    asyncio.run(run())
    with Client(gateway.url, "k", spool_directory=tmp_path, options=Noted().options()) as following:
        assert following.flush(FLUSH_SECONDS)
    assert set(arrived(gateway)) == {"a"}


def test_faults_and_a_spool_in_use_are_told_at_once(gateway: ScriptedGateway, tmp_path: Path) -> None:
    async def run() -> None:
        async with AsyncClient(gateway.url, "k", spool_directory=tmp_path, options=Options()) as client:
            with pytest.raises(EventFaultsError):
                await client.emit(event("a", unit=""))
            with pytest.raises(SpoolLockedError):
                await AsyncClient(gateway.url, "k", spool_directory=tmp_path).__aenter__()

    asyncio.run(run())


def test_a_client_that_was_not_opened_takes_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        client = AsyncClient("http://127.0.0.1:1", "k", spool_directory=tmp_path)
        with pytest.raises(ClientClosedError, match="async with"):
            await client.emit(event("a"))
        assert await client.close() is True

    asyncio.run(run())
