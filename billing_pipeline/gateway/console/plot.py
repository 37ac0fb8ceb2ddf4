"""Spend per minute as a picture in the page: bars of what was settled, held and unguarded."""

from collections.abc import Callable, Iterator, Sequence

from billing_pipeline.contract.instants import datetime_of
from billing_pipeline.gateway.console.html import Html, tag, together
from billing_pipeline.gateway.console.words import money
from billing_pipeline.guardrails.review.spend import SpendMinute
from billing_pipeline.guardrails.review.surroundings import MINUTE_US

WIDTH, HEIGHT = 720, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 4, 4, 34, 32
_TICKS = 4
Scale = Callable[[int], float]
"""From an instant or amount to a place in the picture."""
_LAYERS = ("settled", "pending", "unguarded")


def spend_plot(
    minutes: Sequence[SpendMinute],
    *,
    first_at: int,
    last_at: int,
    opened_at: int,
    currency: str,
    threshold: int | None = None,
) -> Html:
    """A bar for each minute. Instants are UTC µs, amounts nano-units; `threshold` is a line across."""
    highest = max(map(_height, minutes), default=0)
    if not highest:
        return tag("p", "Nothing was spent in this time.", class_="quiet")
    count = (last_at - first_at) // MINUTE_US + 1
    step = (WIDTH - _LEFT - _RIGHT) / count
    top = _round_up(max(highest, threshold or 0))
    floor = HEIGHT - _BOTTOM
    height = floor - _TOP

    def x_of(at_us: int) -> float:
        return _LEFT + (at_us - first_at) / MINUTE_US * step

    def y_of(nano: int) -> float:
        return floor - height * (nano / top)

    return tag(
        "figure",
        tag(
            "svg",
            _scale(top, currency, y_of(top)),
            _times(first_at, last_at, x_of),
            [_bar(each, x_of(each.at), step, y_of, currency) for each in minutes],
            None
            if threshold is None
            else _line(_LEFT, y_of(threshold), WIDTH - _RIGHT, y_of(threshold), "threshold"),
            _line(x_of(opened_at), _TOP, x_of(opened_at), floor, "opened"),
            viewBox=f"0 0 {WIDTH} {HEIGHT}",
            role="img",
            aria_label=f"Spend per minute, up to {money(highest, currency)}",
        ),
        tag(
            "figcaption",
            [tag("span", tag("i", class_=f"swatch {name}"), _NAMES[name]) for name in _LAYERS],
            tag("span", tag("i", class_="swatch opened"), "opened"),
            None if threshold is None else tag("span", tag("i", class_="swatch threshold"), "threshold"),
        ),
        class_="plot",
    )


def _height(minute: SpendMinute) -> int:
    """What its bar adds up to: unguarded usage that was taken back is below zero, and no bar."""
    return sum(max(getattr(minute, name), 0) for name in _LAYERS)


_NAMES = {"settled": "settled", "pending": "held", "unguarded": "unguarded"}


def _bar(minute: SpendMinute, x: float, step: float, y_of: Scale, currency: str) -> Html:
    def parts() -> Iterator[Html]:
        below = 0
        for name in _LAYERS:
            amount: int = getattr(minute, name)
            if amount > 0:
                y = y_of(below + amount)
                yield tag(
                    "rect",
                    class_=name,
                    x=f"{x + step * 0.1:.2f}",
                    y=f"{y:.2f}",
                    width=f"{step * 0.8:.2f}",
                    height=f"{y_of(below) - y:.2f}",
                )
                below += amount

    told = f"{datetime_of(minute.at):%H:%M} {money(minute.total, currency)}, {minute.calls} calls"
    return tag("g", tag("title", told), parts())


def _scale(top: int, currency: str, y: float) -> Html:
    return together(
        _line(_LEFT, y, WIDTH - _RIGHT, y, "grid"),
        tag("text", f"{money(top, currency)} a minute", x=_LEFT, y=f"{y - 8:.2f}", class_="label"),
        _line(_LEFT, HEIGHT - _BOTTOM, WIDTH - _RIGHT, HEIGHT - _BOTTOM, "axis"),
    )


def _times(first_at: int, last_at: int, x_of: Scale) -> list[Html]:
    span = last_at - first_at
    found = []
    for tick in range(_TICKS + 1):
        at = first_at + span * tick // _TICKS
        anchor = "start" if tick == 0 else "end" if tick == _TICKS else "middle"
        x = f"{x_of(at):.2f}"
        found.append(
            tag("text", f"{datetime_of(at):%H:%M}", x=x, y=HEIGHT - 8, text_anchor=anchor, class_="label")
        )
    return found


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Html:
    return tag("line", x1=f"{x1:.2f}", y1=f"{y1:.2f}", x2=f"{x2:.2f}", y2=f"{y2:.2f}", class_=kind)


def _round_up(nano: int) -> int:
    """1, 2 or 5 with zeros, at least the amount, which is above zero."""
    unit = 1
    while unit * 10 <= nano:
        unit *= 10
    return next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= nano)
