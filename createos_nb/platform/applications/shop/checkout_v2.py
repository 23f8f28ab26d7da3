"""What an order costs, with coupons."""

from catalogue import PRODUCTS

VERSION = "v2"
SHIPPING = 490
COUPONS = {"WELCOME10": 10, "FRIDAY20": 20}


def total(order: dict) -> dict[str, int]:
    """Return the lines of the bill, in cents."""
    goods = sum(PRODUCTS[product]["price"] * count for product, count in order["items"].items())
    discount = goods * COUPONS.get(order.get("coupon"), 0) // 100
    return {"goods": goods, "discount": discount, "shipping": SHIPPING, "total": goods - discount + SHIPPING}
