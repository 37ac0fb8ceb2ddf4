"""How often a login may fail: a few times at once from an address, then once in a while."""

from dataclasses import dataclass, field

BURST = 10
SECONDS_EACH = 6.0
ADDRESSES_MOST = 10_000


@dataclass(slots=True)
class LoginLimit:
    """Failures by address, in a bucket that leaks. Instants are seconds of a clock that nobody sets."""

    _failures: dict[str, tuple[float, float]] = field(default_factory=dict)

    def wait_seconds(self, address: str, now_seconds: float) -> int:
        """0 where another try is allowed, else the whole seconds until it is."""
        level = self._level(address, now_seconds)
        return 0 if level < BURST else int((level - BURST + 1) * SECONDS_EACH) + 1

    def count(self, address: str, now_seconds: float) -> None:
        """A login has failed."""
        level = self._level(address, now_seconds)
        self._failures.pop(address, None)
        if len(self._failures) >= ADDRESSES_MOST:
            del self._failures[next(iter(self._failures))]
        self._failures[address] = (level + 1, now_seconds)

    def _level(self, address: str, now_seconds: float) -> float:
        level, at_seconds = self._failures.get(address, (0.0, now_seconds))
        return max(0.0, level - (now_seconds - at_seconds) / SECONDS_EACH)
