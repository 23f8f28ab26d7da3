"""What importing costs, each in a fresh interpreter, beside the libraries it is made of."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from statistics import median

from tests.benchmarks.size import size

ROUNDS = size(1, 5)
PEERS = {"boto3", "msticpy"}
WAYS = {
    "import createos_nb": "import createos_nb",
    "createos_nb.Client": "import createos_nb; createos_nb.Client",
    "createos_nb.Workspace": "import createos_nb; createos_nb.Workspace",
    "httpx and pydantic": "import httpx, pydantic",
    "pandas": "import pandas",
    "pandas and altair": "import pandas, altair",
    "boto3": "import boto3",
    "msticpy": "import msticpy",
}
"""The last two are not installed for the tests; beside them where somebody did."""


def seconds(statement):
    """Seconds a statement takes in a fresh interpreter, its start not counted."""
    program = f"import time; began = time.perf_counter(); {statement}; print(time.perf_counter() - began)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(run.stdout)


def test_imports_beside_those_of_others(figures):
    taken = {name: [] for name in WAYS}
    installed = {name: statement for name, statement in WAYS.items() if name not in PEERS or find_spec(name)}
    for _ in range(ROUNDS):
        for name, statement in installed.items():
            taken[name].append(seconds(statement))
    reference = median(taken["httpx and pydantic"])
    with figures():
        print(f"\n\n{'import':28}{'ms':>8}{'of httpx and pydantic':>25}")
        for name in WAYS.keys() - installed.keys():
            print(f"{name:28}not installed")
        for name in installed:
            times = taken[name]
            print(f"{name:28}{1000 * median(times):8.0f}{median(times) / reference:25.2f}")
