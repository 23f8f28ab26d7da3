from __future__ import annotations

from itertools import pairwise

import pytest

from createos_nb.charts import colours


def grey(colour):
    """Luma of a colour, 0 to 255, as a greyscale printer sees it (ITU-R BT.601)."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue


@pytest.mark.parametrize("meanings", [colours.STATUS_CLASSES, colours.LEVELS], ids=["status", "level"])
def test_the_graver_the_darker(meanings):
    shades = [grey(colour) for colour in meanings.values()]
    assert all(before - after >= 10 for before, after in pairwise(shades))


@pytest.mark.parametrize(
    "shades",
    [[*colours.OUTCOMES.values()], [*colours.SHARES.values()], colours.AMOUNTS],
    ids=["outcome", "share", "amount"],
)
def test_cells_of_a_map_are_apart_in_grey(shades):
    greys = [grey(colour) for colour in shades]
    assert all(before - after >= 20 for before, after in pairwise(greys))


def test_neighbours_in_a_stack_are_far_apart_in_grey():
    shades = [grey(colour) for colour in colours.STATUS_CLASSES.values()]
    assert min(before - after for before, after in pairwise(shades)) >= 35


def test_every_line_has_a_colour_and_dashes_of_its_own():
    assert len(set(colours.SERIES)) == len({tuple(dash) for dash in colours.DASHES}) == 5
    shades = sorted(grey(colour) for colour in colours.SERIES)
    assert min(after - before for before, after in pairwise(shades)) >= 20
