"""Matching: where the lines of one window stand among those of another. No I/O, no clock."""

from __future__ import annotations

from collections import Counter

DISORDER = 100
"""Lines by which one may stand elsewhere in the next window."""


def lines_of(text: str) -> list[str]:
    r"""Return the lines of a platform's answer, but for empty ones at its end.

    Whether a last ``"\n"`` ends a line or begins an empty one is not known until another line follows.

    Examples
    --------
    >>> lines_of("a\n\nb\n")
    ['a', '', 'b']
    """
    lines = text.split("\n")
    while lines and not lines[-1]:
        lines.pop()
    return lines


def overlaps(seen: list[str], lines: list[str]) -> list[int]:
    """Return every number of lines that both end what was seen and begin a window, 0 included.

    Knuth, Morris and Pratt's failure function, so that equal lines cost no more than different ones.
    """
    pattern = lines[: len(seen)]
    if not pattern:
        return [0]
    failure = [0] * len(pattern)
    k = 0
    for at in range(1, len(pattern)):
        line = pattern[at]
        while k and pattern[k] != line:
            k = failure[k - 1]
        if pattern[k] == line:
            k += 1
        failure[at] = k
    k = 0
    for line in seen[len(seen) - len(pattern) :]:
        while k and (k == len(pattern) or pattern[k] != line):
            k = failure[k - 1]
        if pattern[k] == line:
            k += 1
    found = [0]
    while k:
        found.append(k)
        k = failure[k - 1]
    return found


def cut(line: str, text: str) -> bool:
    """Return whether a line and a text are one line, of which a part of the beginning is lost."""
    return line != text and (line.endswith(text) or text.endswith(line))


def aligned(tail: list[str], lines: list[str]) -> tuple[int | None, int]:
    """Return where in the tail the lines begin, and where in the lines the tail ends; None for nowhere."""
    seen, shown = Counter(tail), Counter(lines)
    at = {line: place for place, line in enumerate(tail) if seen[line] == 1}
    votes = Counter(at[line] - place for place, line in enumerate(lines) if shown[line] == 1 and line in at)
    if not votes:
        return None, 0
    begin = votes.most_common(1)[0][0]
    near = [vote for vote in votes if abs(vote - begin) <= DISORDER]
    return begin, len(tail) - min(near)
