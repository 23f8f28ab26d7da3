"""Size: how much a benchmark does.

With the whole suite each does little, in seconds, to show that it runs and that its answers are right; its table
then is no figure to quote. ``CREATEOS_NB_BENCHMARK=full python -m pytest tests/benchmarks`` takes minutes, and
gives those. Further sizes are the environment's, such as ``CREATEOS_NB_BENCHMARK_RECORDS=100000000``.
"""

from __future__ import annotations

import os

FULL = os.environ.get("CREATEOS_NB_BENCHMARK") == "full"


def size(quick: int, full: int, name: str | None = None) -> int:
    """Return how many there are of something, by what the environment says.

    Parameters
    ----------
    name
        The end of the variable that says another number.
    """
    said = os.environ.get(f"CREATEOS_NB_BENCHMARK_{name}") if name else None
    return int(said) if said else full if FULL else quick
