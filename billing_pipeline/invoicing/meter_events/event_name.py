"""The name of a Stripe meter: one for each charge of a plan and each combination of its dimensions. Pure."""

import hashlib
import json
import re
from typing import NamedTuple

from billing_pipeline.rating.charge_models.price import dimension_values

MAX_NAME_LENGTH = 100
_DIGEST_LENGTH = 20
_READABLE_LENGTH = MAX_NAME_LENGTH - _DIGEST_LENGTH - 1
_OTHERS = re.compile(r"[^a-z0-9_]+")


class MeteredCharge(NamedTuple):
    """What has a Stripe meter of its own. `dimensions` is the canonical JSON text of the rollup row."""

    plan: str
    charge: str
    meter: str
    dimensions: str = "{}"


def event_name(metered: MeteredCharge) -> str:
    """At most 100 characters: readable first, then 80 bits of a digest of all parts, so that no two names collide.

    The readable part is `plan.charge.value.value`, the values in the order of their dimensions' names.
    """
    values = [value for _, value in sorted(dimension_values(metered.dimensions).items())]
    words = [_OTHERS.sub("-", part.lower()).strip("-") for part in (metered.plan, metered.charge, *values)]
    readable = ".".join(word for word in words if word)[:_READABLE_LENGTH].rstrip(".-")
    return f"{readable}.{_digest(metered)}" if readable else _digest(metered)


def display_name(metered: MeteredCharge) -> str:
    """For people: `growth: llm_tokens (model=atlas-large, token_class=output)`; at most 250 characters."""
    values = ", ".join(
        f"{name}={value}" for name, value in sorted(dimension_values(metered.dimensions).items())
    )
    return f"{metered.plan}: {metered.charge}{f' ({values})' if values else ''}"[:250]


def _digest(metered: MeteredCharge) -> str:
    text = json.dumps(metered, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]
