"""Progress: a bar for what takes long, where a person is looking."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm


def watched() -> bool:
    """Whether there is a person to show a bar to: in a notebook or at a terminal, not in a log file."""
    interactive = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(interactive, "kernel") or bool(sys.stderr and sys.stderr.isatty())


@contextmanager
def bar(description: str, *, shown: bool, **options: Any) -> Iterator[tqdm[Any]]:
    """Show how far something is, until the block is left, however that happens.

    Parameters
    ----------
    description
        What is under way.
    shown
        Whether to, if anybody watches.
    **options
        Of tqdm, such as ``total`` and ``unit``.
    """
    from tqdm.auto import tqdm

    # Two files at once in a notebook would be a widget each; a finished bar tells nothing more.
    with tqdm(desc=description, disable=not (shown and watched()), leave=False, **options) as shown_bar:
        yield shown_bar
