"""The charge models by the name that rule books use. A new one is a module with `read`, and one line here."""

from collections.abc import Callable, Mapping

from billing_pipeline.rating.charge_models import graduated, per_unit
from billing_pipeline.rating.charge_models.price import Price
from billing_pipeline.rating.charge_models.surroundings import Surroundings
from billing_pipeline.rating.document import Field

CHARGE_MODELS: Mapping[str, Callable[[Field, Surroundings], Price]] = {
    "graduated": graduated.read,
    "per_unit": per_unit.read,
}


def read_charge_model(field: Field, around: Surroundings) -> Price | None:
    """The price that a charge's `price` field describes, or None where its model is missing or unknown."""
    model_field = field.child("model")
    if model_field is None:
        field.fault(f"has no `model`; give one of {', '.join(CHARGE_MODELS)}")
        return None
    model = model_field.choice(list(CHARGE_MODELS))
    return CHARGE_MODELS[model](field, around) if model else None
