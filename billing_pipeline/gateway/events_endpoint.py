"""`POST /v1/events`: from a request's bytes to lines of the log, and the answer once they are durable."""

import asyncio
import time
from collections import Counter

from billing_pipeline.access.api_key import ApiKey
from billing_pipeline.access.scope import Right
from billing_pipeline.contract.log_lines import body_of
from billing_pipeline.errors import QueueError, RequestRefusedError
from billing_pipeline.gateway.admission import Admission, admit_all
from billing_pipeline.gateway.answer import Answer, refused, settled, undone
from billing_pipeline.gateway.byte_budget import Share
from billing_pipeline.gateway.completions import Completions
from billing_pipeline.gateway.decompression import Decompressor
from billing_pipeline.gateway.framing import framing_of, split
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.request import ClientGoneError, Receive, Request, Scope, Send
from billing_pipeline.gateway.request_code import RequestCode
from billing_pipeline.ingest.queue_clock import wall_clock_us

_GONE = 499
"""The status that the log shows where the client hung up."""


class EventsEndpoint:
    """An ASGI application for one path."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._decompressor = Decompressor()
        self._completions: Completions | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever it is."""
        gateway = self._gateway
        started = time.perf_counter()
        request = Request(scope, receive)
        key_id: str | None = None
        answer = Answer(_GONE, b"")
        gateway.in_flight += 1
        try:
            try:
                key = self._authenticated(request)
                key_id = key.key_id
                answer = await self._answer(request, key)
            except RequestRefusedError as error:
                answer = refused(error)
            except Exception as error:  # noqa: BLE001 - a fault of ours is one request's, told without its payload
                gateway.log.problem("fault", kind=type(error).__name__, place=_place(error))
                answer = refused(
                    RequestRefusedError(500, RequestCode.INTERNAL, "a fault of the gateway; see its log")
                )
            await _send(request, answer, send, closing=gateway.draining)
        except ClientGoneError:
            pass
        finally:
            gateway.in_flight -= 1
            self._tell(request, answer, key_id, time.perf_counter() - started)

    def _authenticated(self, request: Request) -> ApiKey:
        gateway = self._gateway
        gateway.check_open()
        key = gateway.keys.find(request.api_key(), wall_clock_us())
        if key is None:
            message = "send a known API key: Authorization: Bearer KEY, or X-API-Key: KEY"
            raise RequestRefusedError(401, RequestCode.UNAUTHENTICATED, message)
        if Right.EVENTS_WRITE not in key.scope.rights:
            raise RequestRefusedError(
                403, RequestCode.FORBIDDEN, f"the API key lacks the right {Right.EVENTS_WRITE}"
            )
        return key

    async def _answer(self, request: Request, key: ApiKey) -> Answer:
        gateway = self._gateway
        framing = framing_of(request.header(b"content-type"))
        if b"ce-specversion" in request.headers:
            message = "send CloudEvents in structured mode: application/cloudevents+json"
            raise RequestRefusedError(415, RequestCode.UNSUPPORTED_CONTENT_MODE, message)
        encoding = request.content_encoding()
        is_atomic = request.is_atomic()
        with gateway.budget.share() as share:
            body = await request.body(share, gateway.settings.body_seconds)
            if encoding != "identity":
                body = await self._decompressor.decompress(body, encoding, share)
            frames = split(body, framing)
            self._limit_rate(key, len(frames))
            admission = await admit_all(frames, key.scope, share)
            del body, frames
            if is_atomic and admission.refusals:
                return undone(admission)
            await self._make_durable(key, admission, share)
        return settled(admission)

    def _limit_rate(self, key: ApiKey, events: int) -> None:
        metrics = self._gateway.metrics
        metrics.batch_events.observe(events)
        if key.events_per_second is None:
            return
        wait_seconds = self._gateway.limiter.take(key.key_id, key.events_per_second, events, time.monotonic())
        if wait_seconds:
            metrics.rate_limited.labels(key.key_id).inc()
            raise RequestRefusedError(
                429,
                RequestCode.RATE_LIMITED,
                f"the API key may send {key.events_per_second} events a second",
                limit=key.events_per_second,
                retry_after_seconds=wait_seconds,
            )

    async def _make_durable(self, key: ApiKey, admission: Admission, share: Share) -> None:
        """Hands the lines in and waits for the commit.

        Raises:
            RequestRefusedError: the queue did not take them.
        """
        gateway = self._gateway
        gateway.check_working()
        if self._completions is None:
            self._completions = Completions(asyncio.get_running_loop())
        body = body_of(admission.lines)
        share.take(len(body.lines))
        started = time.perf_counter()
        try:
            await self._completions.wait(gateway.queue.submit(key.name, body))
        except QueueError as error:
            raise gateway.refusal_of(error) from error
        gateway.check_working()  # what is durable all the same is sent again, and found to be a duplicate
        metrics = gateway.metrics
        metrics.durable_seconds.observe(time.perf_counter() - started)
        metrics.accepted.inc(admission.accepted)
        for code, count in Counter(refusal.code for refusal in admission.refusals).items():
            metrics.refused.labels(code).inc(count)

    def _tell(self, request: Request, answer: Answer, key_id: str | None, seconds: float) -> None:
        gateway = self._gateway
        gateway.metrics.request(answer.status, seconds)
        gateway.log.info(
            "request",
            correlation_id=request.correlation_id.decode("ascii"),
            key_id=key_id,
            status=answer.status,
            code=answer.code,
            accepted=answer.accepted,
            refused=answer.refused,
            wire_bytes=request.wire_bytes,
            milliseconds=round(seconds * 1000, 3),
        )


async def _send(request: Request, answer: Answer, send: Send, *, closing: bool) -> None:
    if not request.came_whole:
        await request.discard_rest()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(answer.body)),
        (b"x-correlation-id", request.correlation_id),
        *answer.headers,
    ]
    if closing or not request.came_whole:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
