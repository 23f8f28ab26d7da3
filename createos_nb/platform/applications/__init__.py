"""Applications that come with the package: data for demonstrations and tests, standard library only."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def shop(version: int) -> dict[str, str]:
    """Return the files of a small web shop.

    Parameters
    ----------
    version
        1 works; 2 adds coupons and works; 3 adds taxes and answers 500 on ``/checkout``.

    Returns
    -------
    dict of str to str
        Text by path, to be uploaded as they are and run with ``python main.py``.

    Raises
    ------
    ValueError
        There is no such version.
    """
    if version not in {1, 2, 3}:
        raise ValueError(f"There is no version {version} of the shop. Choose 1, 2 or 3.")
    sources = {"main.py": "main.py", "catalogue.py": "catalogue.py", "checkout.py": f"checkout_v{version}.py"}
    return {name: (_HERE / "shop" / source).read_text(encoding="utf-8") for name, source in sources.items()}
