"""The pure functions need no provider's package, and bring none along."""

import subprocess
import sys

PURE = ("anthropic", "litellm", "openai", "opentelemetry")
SCRIPT = """
import sys
for name in {names}:
    sys.modules[name] = None  # an import of it raises
for name in {names}:
    __import__("billing_pipeline.emit.adapters." + name)
"""


def test_the_adapters_import_without_any_provider_package() -> None:
    """As in a product that uses one of them, or only receives spans."""
    script = SCRIPT.format(names=PURE)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
