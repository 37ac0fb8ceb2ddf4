"""Metadata as Stripe merges it: keys are set one by one, an empty text removes one, an empty value all."""

from typing import Any

from billing_pipeline.invoicing.simulator.api_error import ApiError

MAX_KEYS = 50
MAX_KEY_LENGTH = 40
MAX_VALUE_LENGTH = 500


def merged(metadata: dict[str, str], change: Any) -> dict[str, str]:
    """The metadata after a change; `change` is None (nothing given), "" (remove all) or a mapping.

    Raises:
        ApiError: too many keys, or one or its value is too long.
    """
    if change is None:
        return metadata
    if change == "":
        return {}
    found = {name: value for name, value in {**metadata, **change}.items() if value != ""}
    if len(found) > MAX_KEYS:
        raise ApiError(f"Metadata can have up to {MAX_KEYS} keys.", param="metadata")
    for name, value in found.items():
        if len(name) > MAX_KEY_LENGTH or len(value) > MAX_VALUE_LENGTH:
            raise ApiError(
                f"Metadata keys have up to {MAX_KEY_LENGTH} characters, values up to {MAX_VALUE_LENGTH}.",
                param=f"metadata[{name}]",
            )
    return found
