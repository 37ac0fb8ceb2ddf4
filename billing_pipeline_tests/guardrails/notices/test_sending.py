"""Notices reach the webhook signed, at least once, whatever it does, and are given up after days, not forgotten."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, insert

from billing_pipeline.control.database import writing
from billing_pipeline.control.guard_tables import GUARD_NOTICES
from billing_pipeline.errors import SettingsError
from billing_pipeline.guardrails.notices import book
from billing_pipeline.guardrails.notices.book import Notice, notices
from billing_pipeline.guardrails.notices.patience import GIVE_UP_DAYS, wait_us
from billing_pipeline.guardrails.notices.sender import NoticeSender, Webhook
from billing_pipeline.guardrails.notices.signature import secrets_of
from billing_pipeline_tests.guardrails.notices.receiver import Receiver

AT = 1_795_867_200_000_000
SECOND = 1_000_000
DAY = 86_400 * SECOND
SECRETS = (b"s" * 32, b"t" * 32)
Run = Callable[..., int]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def send(control: Engine, receiver: Receiver) -> Run:
    """Sends what is due at an instant; returns how many were delivered."""

    def run(at: int, attempt_seconds: float = 0.5) -> int:
        async def once() -> int:
            webhook = Webhook(url=receiver.url, secrets=SECRETS, attempt_seconds=attempt_seconds)
            sender = NoticeSender(control, webhook, lambda: at)
            try:
                return await sender.send_due()
            finally:
                await sender.close()

        return asyncio.run(once())

    return run


def put(control: Engine, **fields: object) -> None:
    row = {"kind": "breaker", "payload": '{"scope":"session:acme/run-7"}', "created_at": AT, "attempts": 0}
    with writing(control) as connection:
        connection.execute(insert(GUARD_NOTICES), row | {"next_attempt_at": AT} | fields)


def only(control: Engine) -> Notice:
    (notice,) = notices(control).rows
    return notice


def test_a_notice_is_delivered_once_with_signatures_that_its_receiver_can_verify(
    control: Engine, receiver: Receiver, send: Run
) -> None:
    put(control)
    assert (send(AT), send(AT + DAY)) == (1, 0)
    ((headers, body),) = receiver.came
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = [
        "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
        for secret in SECRETS
    ]
    assert headers["webhook-signature"].split(" ") == wanted
    assert headers["webhook-timestamp"] == str(AT // SECOND)
    assert json.loads(body) == {
        "type": "breaker",
        "timestamp": "2026-11-28T12:00:00.000000Z",
        "data": {"scope": "session:acme/run-7"},
    }
    assert (only(control).state, only(control).delivered_at) == ("delivered", AT)


@pytest.mark.parametrize("way", ["500", "404", "redirect", "hang", "drop", "drip"])
def test_a_failed_attempt_is_told_and_made_again_later_under_the_same_id(
    control: Engine, receiver: Receiver, send: Run, way: str
) -> None:
    receiver.ways = [way, "204"]
    put(control)
    assert send(AT) == 0
    notice = only(control)
    assert (notice.state, notice.attempts, notice.next_attempt_at) == ("waiting", 1, AT + 5 * SECOND)
    assert notice.last_failure
    assert "token" not in notice.last_failure
    assert send(AT + 4 * SECOND) == 0
    assert len(receiver.came) == 1
    assert send(AT + 5 * SECOND) == 1
    assert len({headers["webhook-id"] for headers, _ in receiver.came}) == 1


def test_a_receiver_that_is_not_there_is_a_failure_like_others(
    control: Engine, receiver: Receiver, send: Run
) -> None:
    put(control)
    receiver.close()
    assert send(AT) == 0
    assert "ConnectError" in (only(control).last_failure or "")


def test_a_notice_is_given_up_after_days_and_stays_listed(
    control: Engine, receiver: Receiver, send: Run
) -> None:
    receiver.ways = ["500"]
    put(control)
    at = AT
    attempts = 0
    while (notice := only(control)).next_attempt_at is not None:
        at = notice.next_attempt_at
        send(at)
        attempts += 1
    assert notice.state == "given_up"
    assert at - AT <= GIVE_UP_DAYS * DAY
    assert 60 < attempts < 100
    assert [each.id for each in notices(control, undelivered=True).rows] == [notice.id]
    assert send(at + DAY) == 0
    assert len(receiver.came) == attempts


def test_notices_from_before_a_webhook_was_set_are_sent_while_new_and_given_up_when_old(
    control: Engine, receiver: Receiver, send: Run
) -> None:
    put(control, created_at=AT - 4 * DAY)
    put(control, created_at=AT - DAY, next_attempt_at=None)
    assert send(AT) == 1
    assert len(receiver.came) == 1
    assert [each.state for each in notices(control).rows] == ["delivered", "given_up"]


def test_of_several_senders_only_one_has_a_notice(control: Engine) -> None:
    put(control)
    seen = only(control)
    assert [book.claim(control, seen, AT) for _ in range(3)] == [True, False, False]


def test_a_notice_whose_sender_died_is_tried_again_after_the_lease(
    control: Engine, receiver: Receiver, send: Run
) -> None:
    put(control)
    assert book.claim(control, only(control), AT)
    assert send(AT + book.LEASE_US - 1) == 0
    assert send(AT + book.LEASE_US) == 1
    assert len(receiver.came) == 1


def test_a_slow_senders_failure_does_not_undo_anothers_delivery(control: Engine) -> None:
    put(control)
    slow = only(control)
    book.claim(control, slow, AT)
    quick = only(control)
    book.claim(control, quick, AT + book.LEASE_US)
    book.delivered(control, quick, AT + book.LEASE_US)
    book.failed(control, slow, AT + book.LEASE_US + 1, "late")
    assert only(control).state == "delivered"


def test_many_notices_go_out_and_one_that_hangs_holds_up_no_other(
    control: Engine, receiver: Receiver, send: Run
) -> None:
    receiver.ways = ["hang", "200"]
    for _ in range(20):
        put(control)
    assert send(AT, attempt_seconds=5) == 19


@given(st.integers(1, 10_000))
def test_waits_grow_to_an_hour_and_no_further(attempts: int) -> None:
    """No attempt waits less than the one before, or more than an hour."""
    assert wait_us(attempts) <= wait_us(attempts + 1) <= 3600 * SECOND


@pytest.mark.parametrize(
    "text", ["", " ", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_" + "A" * 200, "whsec_ä"]
)
def test_a_secret_that_is_none_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(SettingsError) as told:
        secrets_of(text)
    assert "c2hvcnQ" not in str(told.value)


def test_several_secrets_sign_while_a_new_one_takes_over() -> None:
    texts = ["whsec_" + base64.b64encode(secret).decode() for secret in SECRETS]
    assert secrets_of(" ".join(texts)) == SECRETS
