"""The order in which an invoice is read: usage, fees, the terms around them, adjustments, then what pays for it."""

_LAST = {"credit": 8, "invoice_coupon": 7}
_ADJUSTMENT = 6
_OWN = {"usage": 0, "flat_fee": 1, "discount": 2, "minimum": 3, "maximum": 4}
_OTHER = 5


def line_rank(component: str, kind: str) -> int:
    """The rank of a line, to order by before anything else of one invoice."""
    if component in _LAST:
        return _LAST[component]
    return _ADJUSTMENT if kind == "adjustment" else _OWN.get(component, _OTHER)


def _whens(ranks: dict[str, int]) -> str:
    return "\n".join(f"    WHEN component = '{component}' THEN {rank}" for component, rank in ranks.items())


LINE_RANK = f"""CASE
{_whens(_LAST)}
    WHEN kind = 'adjustment' THEN {_ADJUSTMENT}
{_whens(_OWN)}
    ELSE {_OTHER}
END"""
"""The same as an SQL expression over `invoice_lines`."""
