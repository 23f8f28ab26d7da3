"""What an order costs."""

from catalogue import PRODUCTS

VERSION = "v1"
SHIPPING = 490


def total(order: dict) -> dict[str, int]:
    """Return the lines of the bill, in cents."""
    goods = sum(PRODUCTS[product]["price"] * count for product, count in order["items"].items())
    return {"goods": goods, "shipping": SHIPPING, "total": goods + SHIPPING}
