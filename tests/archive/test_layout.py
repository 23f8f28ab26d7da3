"""Names of files tell what has been collected, whatever projects and environments are called."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from createos_nb.archive.layout import DAY_S, Part, live, missing, runs

DAY = 1_795_392_000
NAMES = st.text(min_size=1, max_size=30).filter(lambda name: name.isprintable() or True)


@given(NAMES, st.none() | NAMES, st.integers(0, DAY_S - 2), st.integers(1, DAY_S))
def test_a_part_is_read_back_from_its_path_whatever_the_names(project, environment, start, length):
    part = Part("traffic", project, environment, DAY + start, DAY + min(DAY_S, start + length))
    assert Part.of(part.path) == part
    steps = part.path.split("/")
    assert len(steps) == (4 if environment is None else 5)
    assert not {"", ".", ".."} & set(steps)
    assert all(character.isascii() and character.isprintable() for character in part.path)
    assert not set(part.path) & set("*?[]'\"\\ ")


@pytest.mark.parametrize(
    "path",
    [
        "traffic/project=a/environment=b/day=2026-11-23/.120000-130000.parquet.0f",
        "traffic/project=a/environment=b/day=2026-11-23/120000-130000.parquet.tmp",
        ".locks/abc.lock",
        "README.md",
    ],
)
def test_other_files_are_no_parts(path):
    assert Part.of(path) is None


def test_what_is_missing_and_what_is_held_make_up_what_is_wanted():
    chance = random.Random(3)
    for _ in range(300):
        start, end = sorted(chance.sample(range(400), 2))
        held = [tuple(sorted(chance.sample(range(400), 2))) for _ in range(chance.randrange(5))]
        found = missing((start, end), held)
        seconds = [second for first, last in found for second in range(first, last)]
        assert len(seconds) == len(set(seconds))
        assert set(seconds) == set(range(start, end)) - {s for first, last in held for s in range(first, last)}


def test_nothing_that_is_missing_crosses_midnight():
    assert missing((DAY - 10, DAY + 2 * DAY_S), []) == [
        (DAY - 10, DAY),
        (DAY, DAY + DAY_S),
        (DAY + DAY_S, DAY + 2 * DAY_S),
    ]


def test_a_part_that_a_longer_one_covers_does_not_count():
    def part(start, end, environment="production"):
        return Part("traffic", "shop", environment, DAY + start, DAY + end)

    parts = [part(0, 10), part(10, 20), part(0, 20), part(5, 8), part(20, 30), part(0, 10, "staging")]
    counted = live(parts)
    assert set(counted) == {part(0, 20), part(20, 30), part(0, 10, "staging")}
    mine = [one for one in counted if one.environment == "production"]
    assert runs([*mine, part(40, 50)]) == [mine, [part(40, 50)]]
