"""Says whom the spans within a block are booked for, also spans that an instrumentation makes.

It is kept in the context of the process and not in baggage, which goes out to the provider with each call, and which
a caller could send along to be booked on somebody else. Needs the package `opentelemetry-sdk`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.context import Context, attach, create_key, detach, get_value, set_value
from opentelemetry.sdk.trace import Span, SpanProcessor

from billing_pipeline.emit.adapters.opentelemetry import PREFIX

_BOOKED = create_key("billing")


@contextmanager
def booked_for(**told: str) -> Iterator[None]:
    """Everything within is booked so: `customer_id`, `project_id`, `user_id`, `session_id`, `step`.

    Within another such block, what is not told stays as it is there.
    """
    token = attach(set_value(_BOOKED, {**_booked(None), **told}))
    try:
        yield
    finally:
        detach(token)


class BookingSpanProcessor(SpanProcessor):
    """Writes on each span that starts whom it is booked for, as `billing.` attributes."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Write what the innermost block of `booked_for` tells."""
        for name, text in _booked(parent_context).items():
            span.set_attribute(PREFIX + name, text)


def _booked(context: Context | None) -> Mapping[str, str]:
    found = get_value(_BOOKED, context)
    return found if isinstance(found, dict) else {}
