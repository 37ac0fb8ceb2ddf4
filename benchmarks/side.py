"""One measured side of a benchmark: a child process that times its stages and tells its peak memory."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Side:
    """Seconds by stage (wall clock, and CPU of all threads), and whatever else a side has found out."""

    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def total_seconds(self) -> float:
        return sum(self.seconds.values())

    @property
    def total_cpu_seconds(self) -> float:
        return sum(self.cpu_seconds.values())

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; say on stderr that it is over."""
        started, cpu_started = time.perf_counter(), time.process_time()
        yield
        self.seconds[name] = time.perf_counter() - started
        self.cpu_seconds[name] = time.process_time() - cpu_started
        print(
            f"  {name}: {self.seconds[name]:.2f} s, CPU {self.cpu_seconds[name]:.2f} s",
            file=sys.stderr,
            flush=True,
        )

    def tell(self) -> None:
        """Print the result for the parent. Peak memory is that of this process alone."""
        peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.found["peak_mb"] = peak_kb / (1 << 20 if sys.platform == "darwin" else 1 << 10)
        print(json.dumps(asdict(self)))


def run_side(script: str, name: str, folder: Path, events: int, environment: Mapping[str, str]) -> Side:
    """Run `script --side NAME --folder FOLDER` in a process of its own and return what it told.

    The parent stays small: a process inherits its parent's peak memory.
    """
    print(f" {name}", file=sys.stderr, flush=True)
    command = [sys.executable, script, "--side", name, "--folder", str(folder), "--events", str(events)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=dict(environment))
    return Side(**json.loads(done.stdout.splitlines()[-1]))
