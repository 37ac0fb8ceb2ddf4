"""The guard over HTTP: what is asked again under the same key, what is raised, and what an unreachable guard means."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator

import pytest

from billing_pipeline.emit.answers import Answer as HttpAnswer
from billing_pipeline.errors import (
    GuardConflictError,
    GuardDeniedError,
    GuardRefusedError,
    GuardRequestError,
    GuardUnavailableError,
    HoldNotFoundError,
    UnpricedUsageError,
)
from billing_pipeline.guardrails.async_client import AsyncGuardClient
from billing_pipeline.guardrails.calling.http_calls import (
    Again,
    Patience,
    answer_of,
    balance_of,
    balance_path,
)
from billing_pipeline.guardrails.client import GuardClient
from billing_pipeline.guardrails.requests import Release, Reserve, Settle
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline_tests.emit.scripted_gateway import failed, serving
from billing_pipeline_tests.guardrails.scripted_guard import DROPPED, LOST, ScriptedGuard

QUICK = Patience(timeout_seconds=5, first_pause_seconds=0.001, fraction=lambda: 1.0)
HASTY = Patience(timeout_seconds=0.05, first_pause_seconds=0.1, fraction=lambda: 1.0)
KEY = "bk_key"


@pytest.fixture
def guard() -> Iterator[ScriptedGuard]:
    with serving(ScriptedGuard()) as served:
        assert isinstance(served, ScriptedGuard)
        yield served


@pytest.fixture
def client(guard: ScriptedGuard) -> Iterator[GuardClient]:
    with GuardClient(guard.url, KEY, patience=QUICK) as made:
        yield made


def test_everything_goes_over_http_as_within_the_process(guard: ScriptedGuard, client: GuardClient) -> None:
    """Requests arrive as they were made, with the key."""
    used = Usage(unit="token", quantity="0", dimensions={"model": "m"}, source="chat", id="1")
    with client.hold("acme", "p", "run-7", estimate=300, ttl_seconds=60, call="c") as hold:
        extended = hold.extend(900)
        ended = hold.settle([used])
    assert extended is not None
    assert ended is not None
    assert (ended.booked, ended.freed) == (0, 300)
    reserve, _, settle = guard.ledger.requests
    assert (reserve.session_id, reserve.amount, reserve.ttl_seconds, reserve.call) == ("run-7", 300, 60, "c")
    assert settle == Settle(hold_id=hold.hold_id, usage=(used,))
    assert guard.paths == ["/v1/reserve", "/v1/extend", "/v1/settle"]
    assert {each["authorization"] for each in guard.headers} == {f"Bearer {KEY}"}
    with pytest.raises(GuardDeniedError, match=r"0\.0000005 USD left"):
        client.reserve("acme", "p", estimate=501)


def test_what_was_dropped_or_refused_for_now_is_asked_again(
    guard: ScriptedGuard, client: GuardClient
) -> None:
    """Under the same key: once done, it is done once."""
    guard.steps = [DROPPED, failed(503), LOST, failed(429, retry_after="0"), failed(502), failed(500)]
    granted = client.reserve("acme", "p", estimate=100)
    assert guard.ledger.available == 400
    assert list(guard.ledger.open) == [granted.hold_id]
    assert len(guard.paths) == 7
    assert len({request.idempotency_key for request in guard.ledger.requests}) == 1
    guard.steps = [LOST, DROPPED]
    assert client.settle(granted.hold_id, 60).booked == 60
    assert guard.ledger.available == 440


def test_a_page_of_some_proxy_is_no_answer(guard: ScriptedGuard, client: GuardClient) -> None:
    """Whatever its status."""
    for status in (200, 402, 503):
        guard.steps.append((status, {}, b"<html>hello</html>"))
    assert client.reserve("acme", "p", estimate=1).amount == 1


def test_errors_are_raised_as_within_the_process(guard: ScriptedGuard, client: GuardClient) -> None:
    with pytest.raises(HoldNotFoundError, match="there is no hold 'ffff"):
        client.release("f" * 32)
    granted = client.reserve("acme", "p", estimate=1, idempotency_key="k")
    with pytest.raises(GuardConflictError) as conflict:
        client.reserve("acme", "p", estimate=2, idempotency_key="k")
    assert conflict.value.code == "idempotency_conflict"
    client.settle(granted.hold_id, 1)
    with pytest.raises(GuardConflictError, match="has ended"):
        client.release(granted.hold_id)
    guard.ledger.failures = [
        UnpricedUsageError("usage in page", "add a price"),
        GuardRequestError("steps", 0, "give a whole number"),
    ]
    with pytest.raises(UnpricedUsageError, match=r"^usage in page has no price: add a price$"):
        client.reserve("acme", "p", estimate=1)
    with pytest.raises(GuardRequestError, match=r"^steps '0': give a whole number$"):
        client.reserve("acme", "p", estimate=1)


@pytest.mark.parametrize("status", [401, 403, 404, 413, 415, 301])
def test_what_only_a_person_can_mend_is_not_asked_again(
    guard: ScriptedGuard, client: GuardClient, status: int
) -> None:
    """Nor does an action run unguarded for it."""
    guard.steps = [failed(status)] * 2
    with pytest.raises(GuardRefusedError, match=f"^{status} scripted: as the test wants it"):
        client.reserve("acme", "p", estimate=1)
    with (
        pytest.raises(GuardRefusedError),
        GuardClient(guard.url, KEY, when_unreachable="open").hold("acme", "p", estimate=1),
    ):
        pytest.fail("the action ran")


@pytest.mark.parametrize("key", ["", "bk_1\n", "bk 1", "bk_\u00e9"])
def test_a_key_that_cannot_be_sent_is_not_repeated(guard: ScriptedGuard, key: str) -> None:
    with pytest.raises(GuardRequestError, match="billing keys create") as told:
        GuardClient(guard.url, key).reserve("acme", "p", estimate=1)
    assert "bk_1" not in str(told.value)
    assert not guard.paths


def test_a_key_may_be_replaced_while_it_runs(guard: ScriptedGuard) -> None:
    keys = iter(["bk_1", "bk_2"])
    with GuardClient(guard.url, lambda: next(keys)) as client:
        client.release(client.reserve("acme", "p", estimate=1).hold_id)
    assert [each["authorization"] for each in guard.headers] == ["Bearer bk_1", "Bearer bk_2"]


class TestUnreachable:
    def test_by_default_the_action_does_not_run(self) -> None:
        """Nothing listens there."""
        client = GuardClient("http://127.0.0.1:9", KEY, patience=HASTY)
        with pytest.raises(
            GuardUnavailableError, match=r"did not answer \(1 attempts, the last: ConnectError"
        ):
            client.reserve("acme", "p", estimate=1)
        with pytest.raises(GuardUnavailableError), client.hold("acme", "p", estimate=1):
            pytest.fail("the action ran")

    def test_open_the_action_runs_unguarded_and_the_hold_says_so(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Settle, release and extend do nothing; a reserve without a hold is refused as ever."""
        client = GuardClient("http://127.0.0.1:9", KEY, when_unreachable="open", patience=HASTY)
        with client.hold("acme", "p", estimate=1) as hold:
            assert hold.unguarded
            assert (hold.settle(1), hold.release(), hold.extend(60)) == (None, None, None)
        with pytest.raises(GuardUnavailableError, match="there is no hold"):
            _ = hold.hold_id
        assert "runs unguarded" in caplog.text
        assert "send the action's usage to the log" in caplog.text
        with pytest.raises(GuardUnavailableError):
            client.reserve("acme", "p", estimate=1)

    def test_open_a_settle_that_cannot_be_told_leaves_the_usage_to_the_product(
        self, guard: ScriptedGuard
    ) -> None:
        with GuardClient(guard.url, KEY, when_unreachable="open", patience=HASTY) as client:
            with client.hold("acme", "p", estimate=1) as hold:
                assert not hold.unguarded
                guard.steps = [DROPPED] * 9
                assert hold.settle(1) is None
            assert hold.unguarded
        assert guard.ledger.open

    def test_a_longer_wait_than_there_is_patience_for_is_not_begun(self, guard: ScriptedGuard) -> None:
        guard.steps = [failed(503, retry_after="3600")]
        with pytest.raises(GuardUnavailableError, match="503: as the test wants it"):
            GuardClient(guard.url, KEY, patience=QUICK).reserve("acme", "p", estimate=1)
        assert len(guard.paths) == 1


def test_a_guarded_function_asks_over_http(guard: ScriptedGuard, client: GuardClient) -> None:
    @client.guarded("acme", "p", estimate=10, actual=len)
    def answer(text: str) -> str:
        return text

    answer("hello")
    assert guard.ledger.available == 495


def test_an_exception_releases_over_http(guard: ScriptedGuard, client: GuardClient) -> None:
    with pytest.raises(ZeroDivisionError), client.hold("acme", "p", estimate=10):
        raise ZeroDivisionError
    assert [type(each) for each in guard.ledger.requests] == [Reserve, Release]


def test_many_threads_share_a_client(guard: ScriptedGuard, client: GuardClient) -> None:
    """20 reserves of 75 against 500 grant exactly 6."""
    denied: list[str] = []

    def reserve() -> None:
        try:
            client.reserve("acme", "p", estimate=75)
        except GuardDeniedError as error:
            denied.append(error.rule)

    threads = [threading.Thread(target=reserve) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(guard.ledger.open), denied) == (6, ["credit"] * 14)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes that fork are POSIX's")
def test_a_forked_child_opens_connections_of_its_own(guard: ScriptedGuard, client: GuardClient) -> None:
    client.reserve("acme", "p", estimate=1)
    child = os.fork()
    if child == 0:
        try:
            client.reserve("acme", "p", estimate=1)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    client.reserve("acme", "p", estimate=1)
    assert len(guard.ledger.open) == 3


def test_from_an_event_loop_it_is_the_same(guard: ScriptedGuard) -> None:
    """Asked again under one key, settled at the estimate, released, refused, unguarded."""

    async def story() -> None:
        async with AsyncGuardClient(guard.url, KEY, patience=QUICK) as client:
            guard.steps = [DROPPED, LOST, failed(503)]
            async with client.hold("acme", "p", estimate=100) as hold:
                await hold.extend(60)
            with pytest.raises(ZeroDivisionError):
                async with client.hold("acme", "p", estimate=100):
                    raise ZeroDivisionError
            with pytest.raises(GuardDeniedError):
                await client.reserve("acme", "p", estimate=401)

            @client.guarded("acme", "p", estimate=100, actual=int)
            async def work() -> str:
                await asyncio.sleep(0)
                return "7"

            await work()
        away = AsyncGuardClient("http://127.0.0.1:9", KEY, when_unreachable="open", patience=HASTY)
        async with away.hold("acme", "p", estimate=1) as hold:
            assert (hold.unguarded, await hold.settle(1)) == (True, None)
        with pytest.raises(GuardUnavailableError):
            await away.balance("acme")
        await away.close()

    asyncio.run(story())
    assert guard.ledger.available == 393
    assert not guard.ledger.open


def test_a_balance_is_read_from_its_json() -> None:
    """With parameters escaped; what is none is asked again."""
    assert balance_path("a/&b", None, "run 7") == "/v1/balance?customer_id=a%2F%26b&session_id=run+7"
    body: dict[str, object] = {
        "customer_id": "acme",
        "funds": [],
        "grants": [],
        "limits": [],
        "session": None,
    }
    found = balance_of(HttpAnswer(200, {}, json.dumps(body).encode()))
    assert not isinstance(found, Again)
    assert found.customer_id == "acme"
    assert isinstance(balance_of(HttpAnswer(200, {}, b"{}")), Again)


@pytest.mark.parametrize("body", [b"", b"{", b'{"error": 5}', b'{"error": {"code": 5}}', b"\xff"])
@pytest.mark.parametrize("status", [200, 402, 400, 404, 409, 500])
def test_whatever_comes_back_is_understood_or_refused(status: int, body: bytes) -> None:
    """Nothing else is raised."""
    try:
        assert isinstance(answer_of(HttpAnswer(status, {}, body), Release(hold_id="a")), Again)
    except GuardRefusedError as refused:
        assert refused.status == status  # noqa: PT017 - either is right
