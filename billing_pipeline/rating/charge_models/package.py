"""Charge model `package`: units are sold in packages, and a package that is begun is paid whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing_pipeline.rating.charge_models.positions import along
from billing_pipeline.rating.charge_models.price import NoPrice, Part, Price, Priced, Segment
from billing_pipeline.rating.charge_models.surroundings import Surroundings, read_tier_by
from billing_pipeline.rating.charge_models.unit_price import read_price
from billing_pipeline.rating.document import Field
from billing_pipeline.rating.money import EXACT, grouped, plain

_ZERO = Decimal()
_ONE = Decimal(1)


@dataclass(frozen=True)
class Package(Price):
    """ceil(max(0, quantity - free_units) / size) x unit_price.

    Attributes:
        size: units of a package, above 0.
        unit_price: what a package costs, in major units.
        free_units: so many come before the first package.
    """

    size: Decimal
    unit_price: Decimal
    free_units: Decimal = Decimal()
    tier_by: tuple[str, ...] = ()

    def rate(self, segment: Segment) -> Sequence[Priced | NoPrice]:
        """What the packages cost that each row begins."""
        return along(segment, self._between)

    def describe(self) -> str:
        """`5 per package of 1,000, the first 100 free`."""
        free = f", the first {grouped(self.free_units)} free" if self.free_units else ""
        return self._price_text + free

    def _between(self, before: Decimal, after: Decimal) -> Priced:
        begun = EXACT.subtract(self._packages(after), self._packages(before))
        amount = EXACT.multiply(begun, self.unit_price)
        free = EXACT.subtract(min(after, self.free_units), min(before, self.free_units))
        paid = EXACT.subtract(EXACT.subtract(after, before), free)
        parts: list[Part] = []
        if free:
            parts.append(Part("free", free, "0", _ZERO, _ZERO))
        if paid:
            parts.append(Part(_packages_text(begun), paid, self._price_text, _ZERO, amount))
        return Priced(amount, tuple(parts))

    def _packages(self, position: Decimal) -> Decimal:
        paid = EXACT.subtract(position, self.free_units)
        if paid <= 0:
            return _ZERO
        full = EXACT.divide_int(paid, self.size)
        return EXACT.add(full, _ONE) if EXACT.remainder(paid, self.size) else full

    @property
    def _price_text(self) -> str:
        return f"{plain(self.unit_price)} per package of {grouped(self.size)}"


def _packages_text(begun: Decimal) -> str:
    if not begun:
        return "in a package begun before"
    return f"in {grouped(begun)} package{'' if begun == 1 else 's'}"


def read(field: Field, around: Surroundings) -> Package:
    """`{model: package, size, unit_price, free_units?, tier_by?}`; the unit price is that of a package."""
    keys = field.mapping(required=("model", "size", "unit_price"), optional=("free_units", "tier_by"))
    size = keys["size"].decimal(integer_digits=29, fraction_digits=9)
    if size is not None and not size:
        keys["size"].fault("a package of 0 units has no price; give how many units a package has")
    free = keys["free_units"].decimal(integer_digits=29, fraction_digits=9) if "free_units" in keys else _ZERO
    tier_by = read_tier_by(keys.get("tier_by"), around)
    return Package(size or _ONE, read_price(keys["unit_price"], 1), free or _ZERO, tier_by)
