"""A callback of LiteLLM that sends the usage of its calls for billing. Needs the package `litellm`."""

from collections.abc import Mapping

from litellm.integrations.custom_logger import CustomLogger
from typing_extensions import override

from billing_pipeline.emit.adapters.emitter import Emitter, OnError, log_error
from billing_pipeline.emit.adapters.litellm import callback_events


class UsageCallback(CustomLogger):  # type: ignore[misc] # LiteLLM is not followed by the type check, it is too large
    """Emits the usage events of each call; add it to `litellm.callbacks`.

    For one call LiteLLM may come by more than one of these methods; the ids are the same, so that it counts once. The
    client's `emit` may not wait for the network: the async methods call it in the product's event loop.
    """

    def __init__(
        self,
        client: Emitter,
        *,
        source: str,
        defaults: Mapping[str, str] | None = None,
        bill_cache_hits: bool = False,
        on_error: OnError = log_error,
    ) -> None:
        super().__init__()
        self._client = client
        self._source = source
        self._defaults = dict(defaults or {})
        self._bill_cache_hits = bill_cache_hits
        self._on_error = on_error

    @override
    def log_success_event(
        self, kwargs: Mapping[str, object], response_obj: object, start_time: object, end_time: object
    ) -> None:
        self._emit(kwargs, response_obj)

    @override
    def log_failure_event(
        self, kwargs: Mapping[str, object], response_obj: object, start_time: object, end_time: object
    ) -> None:
        self._emit(kwargs, response_obj)

    @override
    async def async_log_success_event(
        self, kwargs: Mapping[str, object], response_obj: object, start_time: object, end_time: object
    ) -> None:
        self._emit(kwargs, response_obj)

    @override
    async def async_log_failure_event(
        self, kwargs: Mapping[str, object], response_obj: object, start_time: object, end_time: object
    ) -> None:
        self._emit(kwargs, response_obj)

    def _emit(self, arguments: Mapping[str, object], response: object) -> None:
        try:
            for event in callback_events(
                arguments,
                response,
                source=self._source,
                defaults=self._defaults,
                bill_cache_hits=self._bill_cache_hits,
            ):
                self._client.emit(event)
        except Exception as error:  # noqa: BLE001 - LiteLLM would only log it where nobody looks
            self._on_error(error)
