"""Access: lines of nginx and Apache, common and combined, found by a pattern and cut at their marks.

To say that a line fits costs Arrow's expressions a tenth of what it costs to say where its groups are. So a
pattern without groups finds the lines, and since it leaves no doubt where each thing stands, they are cut at
the bytes around it, all at once.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from createos_nb.logs import values
from createos_nb.logs.fields import Columns
from createos_nb.logs.layouts import CLOCK
from createos_nb.logs.lines import Mask, Offsets, chosen, cut, holding, offsets, places_of

MARK = b'] "'
"""What ends the time and begins the request: nothing before it in such a line can be one."""

_CLOCK_LENGTH = len("25/Nov/2026:00:00:00 +0000")
_STATUS_LENGTH = 3
_LINE = rf'^\S+ [^\[\"]*\[{CLOCK}\] "[A-Z]{{3,10}} [^\s"]+(?: [^"]*)?" \d{{3}}(?:\s|$)'


def parse(lines: pa.LargeStringArray) -> tuple[Mask, Columns]:
    """Return which lines are a request in an access log, and the columns of those."""
    matched = holding(lines, MARK)
    if not matched.any():
        return matched, {}
    matched[matched] = pc.match_substring_regex(chosen(lines, matched), _LINE).to_numpy(zero_copy_only=False)
    if not matched.any():
        return matched, {}
    kept = chosen(lines, matched)
    quotes, blanks = places_of(kept, b'"'), places_of(kept, b" ")
    mark = _next(places_of(kept, MARK), offsets(kept)[:-1])
    method = mark + len(MARK)
    close = _next(quotes, method)
    path = _next(blanks, method) + 1
    path_end = np.minimum(_next(blanks, path), close)
    status = close + len('" ')
    return matched, {
        "timestamp": values.access_times(cut(kept, mark - _CLOCK_LENGTH, mark)),
        "method": cut(kept, method, path - 1),
        "path": cut(kept, path, path_end),
        "status": values.statuses(cut(kept, status, status + _STATUS_LENGTH)),
        "message": kept,
    }


def _next(places: Offsets, after: Offsets) -> Offsets:
    """Return the first of the places that is at or after each of others."""
    return places[np.searchsorted(places, after)]
