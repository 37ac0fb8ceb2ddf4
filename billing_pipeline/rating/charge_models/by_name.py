"""The charge models by the name that rule books use. A new one is a module with `read`, and one line here."""

from collections.abc import Callable, Mapping

from billing_pipeline.rating.charge_models import (
    capacity,
    dynamic,
    graduated,
    graduated_percentage,
    included,
    package,
    per_unit,
    percentage,
    volume,
)
from billing_pipeline.rating.charge_models.price import Price
from billing_pipeline.rating.charge_models.surroundings import Surroundings
from billing_pipeline.rating.document import Field

CHARGE_MODELS: Mapping[str, Callable[[Field, Surroundings], Price]] = {
    "per_unit": per_unit.read,
    "graduated": graduated.read,
    "volume": volume.read,
    "package": package.read,
    "included": included.read,
    "capacity": capacity.read,
    "percentage": percentage.read,
    "graduated_percentage": graduated_percentage.read,
    "dynamic": dynamic.read,
}


def read_charge_model(field: Field, around: Surroundings) -> Price | None:
    """The price that a charge's `price` field describes, or None where its model is missing or unknown."""
    model_field = field.child("model")
    if model_field is None:
        field.fault(f"has no `model`; give one of {', '.join(CHARGE_MODELS)}")
        return None
    model = model_field.choice(list(CHARGE_MODELS))
    return CHARGE_MODELS[model](field, around) if model else None
