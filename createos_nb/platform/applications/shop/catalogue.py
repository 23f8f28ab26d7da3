"""What the shop sells; prices in cents."""

PRODUCTS = {
    "tee": {"id": "tee", "name": "Deploy Friday T-shirt", "price": 2400},
    "mug": {"id": "mug", "name": "Works on my machine mug", "price": 1500},
    "duck": {"id": "duck", "name": "Rubber duck, senior", "price": 900},
    "poster": {"id": "poster", "name": "Rollback poster, A2", "price": 1800},
    "socks": {"id": "socks", "name": "Web sockets, one pair", "price": 1100},
}
