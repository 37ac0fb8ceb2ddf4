"""A body split into its events, without reading them: by content type, as JSON or as lines."""

from collections.abc import Sequence
from enum import Enum
from typing import TypeAlias

import msgspec

from billing_pipeline.errors import RequestRefusedError
from billing_pipeline.gateway.limits import EVENTS, JSON_COMMAS
from billing_pipeline.gateway.request_code import RequestCode

Frame: TypeAlias = bytes | msgspec.Raw
"""The bytes of one event, as they came."""

_ONE = msgspec.json.Decoder(msgspec.Raw)
_MANY = msgspec.json.Decoder(list[msgspec.Raw])
_JSON_SPACE = b" \t\r\n"


class Framing(Enum):
    """How the events of a body are told apart."""

    JSON = "one event, or an array of them"
    LINES = "one event a line"
    CLOUDEVENT = "one CloudEvent"
    CLOUDEVENTS = "an array of CloudEvents"


_BY_MEDIA_TYPE = {
    "application/json": Framing.JSON,
    "application/x-ndjson": Framing.LINES,
    "application/jsonl": Framing.LINES,
    "application/cloudevents+json": Framing.CLOUDEVENT,
    "application/cloudevents-batch+json": Framing.CLOUDEVENTS,
}
MEDIA_TYPES = tuple(_BY_MEDIA_TYPE)


def framing_of(content_type: str) -> Framing:
    """The framing that a Content-Type stands for.

    Raises:
        RequestRefusedError: it is none of those known, or says another character set than UTF-8.
    """
    media_type, _, parameters = content_type.partition(";")
    framing = _BY_MEDIA_TYPE.get(media_type.strip().lower())
    if framing is None:
        raise RequestRefusedError(
            415, RequestCode.UNSUPPORTED_CONTENT_TYPE, f"send one of {', '.join(MEDIA_TYPES)}"
        )
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in {"utf-8", "utf8"}:
            raise RequestRefusedError(415, RequestCode.UNSUPPORTED_CHARSET, "send the events as UTF-8")
    return framing


def split(body: bytes, framing: Framing) -> Sequence[Frame]:
    """The events of a body, at least one.

    Raises:
        RequestRefusedError: the framing cannot be read, there is no event, or there are too many.
    """
    frames = _lines(body) if framing is Framing.LINES else _json(body, framing)
    if not frames:
        raise RequestRefusedError(400, RequestCode.NO_EVENTS, "the body holds no event; send at least one")
    if len(frames) > EVENTS:
        raise _too_many()
    return frames


def _lines(body: bytes) -> list[bytes]:
    if body.count(b"\n") > EVENTS:
        raise _too_many()
    return [line.removesuffix(b"\r") for line in body.split(b"\n") if line.strip(_JSON_SPACE)]


def _json(body: bytes, framing: Framing) -> Sequence[Frame]:
    start = body[:256].lstrip(_JSON_SPACE)[:1] or body.lstrip(_JSON_SPACE)[:1]
    is_array = start == b"["
    if not start:
        return []
    if framing in {Framing.CLOUDEVENT, Framing.CLOUDEVENTS} and is_array is (framing is Framing.CLOUDEVENT):
        raise RequestRefusedError(
            400, RequestCode.INVALID_FRAMING, f"this content type means {framing.value}"
        )
    if body.count(b",") > JSON_COMMAS:
        raise _too_many()
    try:
        if is_array:
            return _MANY.decode(body)
        _ONE.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise RequestRefusedError(
            400, RequestCode.INVALID_FRAMING, f"the body is no JSON: {error}"
        ) from error
    return [body.strip(_JSON_SPACE)]


def _too_many() -> RequestRefusedError:
    message = f"a request may have at most {EVENTS} events; send fewer at once"
    return RequestRefusedError(413, RequestCode.TOO_MANY_EVENTS, message, limit=EVENTS)
