"""A small web shop: products, a cart that lives in a cookie, a checkout. One JSON log line per request.

Start it with ``python main.py``; it listens on PORT.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import checkout
from catalogue import PRODUCTS

MAX_BODY_BYTES = 10_000
STARTED = time.monotonic()

Routes = dict[str, Callable[[], dict]]


class Refused(Exception):
    """An answer that is not 200."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Shop(BaseHTTPRequestHandler):
    """Routes, each answering JSON."""

    protocol_version = "HTTP/1.1"
    # Headers and body are two writes; together with delayed acknowledgements that would cost 40 ms.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a GET request."""
        self.handle_with(
            {
                "/": self.home,
                "/products": self.products,
                "/cart": self.cart,
                "/checkout": self.bill,
                "/healthz": self.health,
            }
        )

    def do_POST(self) -> None:
        """Answer a POST request."""
        self.handle_with({"/cart": self.add_to_cart, "/checkout": self.place_order})

    def home(self) -> dict:
        """Say what the shop is."""
        return {"shop": "The On-Call Shop", "version": checkout.VERSION, "products": len(PRODUCTS)}

    def products(self) -> dict:
        """List everything there is."""
        return {"products": list(PRODUCTS.values())}

    def product(self, product: str) -> dict:
        """Show one product."""
        if product not in PRODUCTS:
            raise Refused(HTTPStatus.NOT_FOUND, f"There is no product {product!r}.")
        return PRODUCTS[product]

    def cart(self) -> dict:
        """Show the cart."""
        return {"items": self.items()}

    def add_to_cart(self) -> dict:
        """Put a product into the cart."""
        product = self.product(str(self.body().get("product")))["id"]
        items = self.items()
        items[product] = items.get(product, 0) + 1
        self.cookie = "cart=" + ".".join(f"{name}-{count}" for name, count in items.items()) + "; Path=/; HttpOnly"
        return {"items": items}

    def bill(self) -> dict:
        """Say what the cart costs."""
        return checkout.total({"items": self.items(), "coupon": self.query.get("coupon")})

    def place_order(self) -> dict:
        """Turn the cart into an order."""
        bill = checkout.total({"items": self.items(), "coupon": self.body().get("coupon")})
        self.cookie = "cart=; Path=/; HttpOnly"
        return {"order": uuid.uuid4().hex[:8], **bill}

    def health(self) -> dict:
        """Say that it runs, and since when."""
        return {"status": "ok", "version": checkout.VERSION, "uptime_s": round(time.monotonic() - STARTED, 1)}

    def items(self) -> dict[str, int]:
        """Read the cart from its cookie, leaving out what is no longer sold."""
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get("cart")
        pairs = (entry.partition("-") for entry in cookie.value.split(".")) if cookie else ()
        return {name: int(count) for name, _, count in pairs if name in PRODUCTS and count.isdecimal()}

    def body(self) -> dict:
        """Read the request's JSON object; no body is an empty one."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is more than an order needs.")
        try:
            value = json.loads(self.rfile.read(length) or b"{}")
        except ValueError:
            raise Refused(HTTPStatus.BAD_REQUEST, "The body is not JSON.") from None
        if not isinstance(value, dict):
            raise Refused(HTTPStatus.BAD_REQUEST, "The body is not a JSON object.")
        return value

    def handle_with(self, routes: Routes) -> None:
        """Find the route, answer, and log the request."""
        began = time.perf_counter()
        self.cookie = None
        parts = urlsplit(self.path)
        self.query = dict(parse_qsl(parts.query))
        trace = None
        try:
            status, answer = HTTPStatus.OK, self.route(routes, parts.path)
        except Refused as refused:
            status, answer = refused.status, {"error": refused.detail}
        except Exception:  # noqa: BLE001 - whatever went wrong, the visitor gets an answer and the log the trace
            status, answer = HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "Something went wrong."}
            trace = traceback.format_exc()
        self.log(status, (time.perf_counter() - began) * 1000, parts.path, trace)
        self.answer(status, answer)

    def route(self, routes: Routes, path: str) -> dict:
        """Call what answers a path."""
        if path in routes:
            return routes[path]()
        if self.command == "GET" and path.startswith("/products/"):
            return self.product(path.removeprefix("/products/"))
        raise Refused(HTTPStatus.NOT_FOUND, "There is no such page.")

    def answer(self, status: HTTPStatus, value: dict) -> None:
        """Send JSON."""
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if self.cookie is not None:
            self.send_header("Set-Cookie", self.cookie)
        self.end_headers()
        self.wfile.write(content)

    def log(self, status: HTTPStatus, duration_ms: float, path: str, trace: str | None) -> None:
        """Write one JSON line."""
        entry = {
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": "error" if status >= 500 else "warning" if status >= 400 else "info",
            "message": f"{self.command} {path} answered {int(status)}",
            "logger": "shop.http",
            "method": self.command,
            "path": path,
            "status": int(status),
            "duration_ms": round(duration_ms, 3),
            "request_id": self.headers.get("X-Request-Id") or uuid.uuid4().hex,
        }
        if trace is not None:
            entry["trace"] = trace
        # In one piece: print writes the end of the line by itself, and another thread may come between.
        sys.stdout.write(json.dumps(entry) + "\n")
        sys.stdout.flush()

    def log_request(self, *_: object) -> None:
        """Leave logging to `log`."""

    def log_message(self, form: str, *values: object) -> None:
        """Write what the server itself has to say to standard error."""
        sys.stderr.write(form % values + "\n")


class Server(ThreadingHTTPServer):
    """Accepts bursts: the default backlog is 5."""

    request_queue_size = 128


def main() -> None:
    """Serve until asked to end."""
    server = Server(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Shop)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    ready = f"shop {checkout.VERSION} listens on {server.server_port}"
    print(json.dumps({"level": "info", "message": ready}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
