"""Patterns over log lines beside plain drain3, and following beside reading the same lines once.

``CREATEOS_NB_BENCHMARK_LINES=1000000 pytest tests/benchmarks/test_patterns.py`` gives figures worth quoting.
"""

from __future__ import annotations

import random
from time import perf_counter

import pytest
from drain3.drain import Drain

from createos_nb import metrics, schema
from createos_nb.follow.stitching import Stitcher
from tests.benchmarks.size import size

LINES = size(10_000, 1_000_000)
PLAIN = 50_000


@pytest.fixture(scope="module")
def messages():
    rng = random.Random(1)
    return [
        rng.choice(
            [
                f"GET /products/{rng.randrange(5000)} 200 {rng.random() * 90:.1f} ms",
                f"user {rng.getrandbits(64):016x} signed in from 10.1.{rng.randrange(256)}.{rng.randrange(256)}",
                f"order {rng.randrange(10**7)} of {rng.choice(['lamp', 'chair', 'vase'])} was paid",
                "cache is warm",
                f"connection to db-{rng.randrange(20)} lost after {rng.randrange(99)} s: timed out",
            ]
        )
        for _ in range(LINES)
    ]


def test_patterns_beside_plain_drain3(messages, figures):
    columns = {column.name: [None] * LINES for column in schema.LOGS.columns}
    same = {name: ["p"] * LINES for name in ("project", "environment", "raw")}
    frame = schema.LOGS.from_columns(columns | same | {"message": messages})
    began = perf_counter()
    found = metrics.patterns(frame)
    ours_s = perf_counter() - began
    drain = Drain()
    began = perf_counter()
    for message in messages[:PLAIN]:
        drain.add_log_message(message)
    plain_s = (perf_counter() - began) * LINES / min(PLAIN, LINES)
    with figures():
        print(f"\npatterns over {LINES:,} lines   seconds   templates   times plain drain3's speed")
        print(f"createos_nb                {ours_s:10.2f} {len(found):11} {plain_s / ours_s:10.1f}")
        print(f"drain3, line by line       {plain_s:10.2f} {len(drain.clusters):11} {1:10.1f}")
    assert found["lines"].sum() == LINES


def test_stitching_beside_splitting(messages, figures):
    """Windows of five seconds, one every two: each line is in two or three of them."""
    per_s = 2000
    stitcher, lines, asked = Stitcher(), [], 0
    stitch_s = split_s = 0.0
    for second in range(2, LINES // per_s + 2, 2):
        since_s = stitcher.since_s(second, slack_s=0.5) if lines else 5
        text = "\n".join(messages[max(0, (second - since_s) * per_s) : second * per_s])
        began = perf_counter()
        window = text.split("\n")
        split_s += perf_counter() - began
        asked += len(window)
        began = perf_counter()
        lines += stitcher.add(window, sent=second, received=second + 0.01, since_s=since_s).lines
        stitch_s += perf_counter() - began
    with figures():
        print(f"\nstitching {LINES:,} lines      seconds   lines a second   lines asked for each")
        print(f"createos_nb                {stitch_s:10.2f} {LINES / stitch_s:14,.0f} {asked / LINES:10.1f}")
        print(f"str.split of the same      {split_s:10.2f}")
    assert lines == messages[: len(lines)]
    assert len(lines) == LINES
