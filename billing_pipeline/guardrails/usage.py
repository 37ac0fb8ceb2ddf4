"""What an action is expected to use, or has used: quantities that meters take, as a usage event has them."""

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One quantity of one unit.

    Attributes:
        unit: as in a usage event, say `token`.
        quantity: decimal text, at least 0.
        dimensions: as in a usage event, say `{"model": …, "token_class": "output"}`.
        source: with `id`, the identity of the usage event that a settle sends. A product that sends the event as well
            gives its own, so that both are one event. Without them the guard gives one of its own.
        id: see `source`.
    """

    unit: str
    quantity: str
    dimensions: dict[str, str] = {}
    source: str | None = None
    id: str | None = None
