"""Registration: ``df.createos`` is there as soon as both packages are imported, in whichever order.

Importing createos_nb loads no pandas, and importing pandas none of our charts: what the accessor needs is loaded
when a frame is first asked for it.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    import pandas as pd

    from createos_nb.accessor import CreateOSAccessor

NAME = "createos"


def arrange() -> None:
    """See to it that frames have the accessor: now, or when pandas is imported."""
    if sys.modules.get("pandas") is not None:
        _register()
    else:
        sys.meta_path.insert(0, _WhenPandasIsImported())


def give_way() -> None:
    """Make room for the accessor itself, which registers as accessors do."""
    import pandas as pd

    if hasattr(pd.DataFrame, NAME):
        delattr(pd.DataFrame, NAME)


def _register() -> None:
    import pandas as pd

    if not hasattr(pd.DataFrame, NAME):
        pd.api.extensions.register_dataframe_accessor(NAME)(_accessor)  # type: ignore[type-var] # a function does, too


def _accessor(frame: pd.DataFrame) -> CreateOSAccessor:
    try:
        from createos_nb.accessor import CreateOSAccessor
    except ModuleNotFoundError as error:
        from createos_nb.extras import explained

        # Anything else would break dir() and Tab of every frame.
        raise AttributeError(str(explained(error, f"df.{NAME}"))) from None
    return CreateOSAccessor(frame)


class _WhenPandasIsImported:
    """Finds nothing by itself; lets those that find pandas register the accessor once it is loaded."""

    def __init__(self) -> None:
        self._asks = False

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "pandas" or self._asks:
            return None
        from importlib.util import find_spec

        self._asks = True
        try:
            spec = find_spec(name)
        finally:
            self._asks = False
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            load = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                # Only now: who asks whether there is a pandas may load it much later, or another time.
                with suppress(ValueError):
                    sys.meta_path.remove(self)
                _register()

            loader.exec_module = exec_module
        return spec
