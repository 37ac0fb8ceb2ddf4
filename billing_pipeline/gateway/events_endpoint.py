"""`POST /v1/events`: from a request's bytes to lines of the log, and the answer once they are durable."""

import time
from collections import Counter

from billing_pipeline.access.api_key import ApiKey
from billing_pipeline.access.scope import Right
from billing_pipeline.contract.log_lines import body_of
from billing_pipeline.errors import QueueError, RequestRefusedError
from billing_pipeline.gateway.admission import Admission, admit_all
from billing_pipeline.gateway.answer import Answer, settled, undone
from billing_pipeline.gateway.byte_budget import Share
from billing_pipeline.gateway.decompression import Decompressor
from billing_pipeline.gateway.endpoint import Endpoint
from billing_pipeline.gateway.framing import framing_of, split
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.request import Request
from billing_pipeline.gateway.request_code import RequestCode


class EventsEndpoint(Endpoint):
    """An ASGI application for one path."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway, Right.EVENTS_WRITE)
        self._decompressor = Decompressor()

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
        body = body_of(admission.lines)
        share.take(len(body.lines))
        started = time.perf_counter()
        try:
            await gateway.completions.wait(gateway.queue.submit(key.name, body))
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
