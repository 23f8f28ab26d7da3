from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import datetime

import pytest

from createos_nb.platform.applications import shop


@pytest.fixture(params=[1, 2, 3])
def version(request):
    return request.param


@pytest.fixture
def ask(version, tmp_path):
    """Run a version of the shop: a function that answers (status, answer, headers), with the log at its end."""
    for name, text in shop(version).items():
        (tmp_path / name).write_text(text)
    process = subprocess.Popen(
        [sys.executable, "main.py"],
        cwd=tmp_path,
        env={**os.environ, "PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    port = json.loads(process.stdout.readline())["message"].rpartition(" ")[2]

    def ask(path, body=None, cookie=None, method=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}",
            data=None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode(),
            headers={"Cookie": cookie} if cookie else {},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, json.loads(answer.read()), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read()), error.headers

    def log():
        process.terminate()
        with process:
            return [json.loads(line) for line in process.stdout]

    ask.log = log
    yield ask
    process.kill()
    process.wait()
    process.stdout.close()


def test_every_page_but_the_checkout_works_in_every_version(ask, version):
    assert ask("/")[1]["version"] == f"v{version}"
    assert ask("/healthz")[1]["status"] == "ok"
    products = ask("/products")[1]["products"]
    assert len(products) == 5
    for product in products:
        assert ask(f"/products/{product['id']}")[1] == product
    assert ask("/products/nothing")[0] == 404
    assert ask("/nothing")[0] == 404
    assert ask("/cart")[1] == {"items": {}}


def test_the_cart_lives_in_its_cookie(ask):
    cookie = None
    for product in ("mug", "duck", "mug"):
        status, answer, headers = ask("/cart", {"product": product}, cookie)
        assert status == 200
        cookie = headers["Set-Cookie"].partition(";")[0]
    assert answer == ask("/cart", cookie=cookie)[1] == {"items": {"mug": 2, "duck": 1}}
    assert ask("/cart", {"product": "car"}, cookie)[0] == 404
    assert ask("/cart", cookie="cart=car-1.mug-x.duck-2")[1] == {"items": {"duck": 2}}


def test_the_checkout_works_until_the_third_version(ask, version):
    cart = "cart=mug-2.duck-1"
    quote, order = ask("/checkout", cookie=cart), ask("/checkout", {}, cart)
    if version == 3:
        assert quote[:2] == order[:2] == (500, {"error": "Something went wrong."})
        return
    assert quote[1]["total"] == order[1]["total"] == 2 * 1500 + 900 + 490
    assert order[1]["order"]


def test_coupons_came_with_the_second_version(ask, version):
    status, bill, _ = ask("/checkout?coupon=FRIDAY20", cookie="cart=mug-2")
    assert status == (500 if version == 3 else 200)
    assert bill.get("total") == {1: 3490, 2: 2890, 3: None}[version]


@pytest.mark.parametrize("body", [b"not json", b"[]", b"x" * 20_000], ids=["text", "list", "large"])
def test_a_bad_body_is_the_callers_fault(ask, body):
    assert ask("/cart", body)[0] in {400, 413}


def test_every_request_is_one_structured_line_of_the_log(ask, version):
    ask("/products?page=1")
    ask("/nothing")
    ask("/checkout")
    lines = ask.log()
    assert [(line["path"], line["status"], line["level"]) for line in lines] == [
        ("/products", 200, "info"),
        ("/nothing", 404, "warning"),
        ("/checkout", *((500, "error") if version == 3 else (200, "info"))),
    ]
    for line in lines:
        assert {"timestamp", "message", "logger", "method", "duration_ms", "request_id"} <= line.keys()
        assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None
    assert ("KeyError: 'country'" in lines[2].get("trace", "")) == (version == 3)


def test_there_is_no_fourth_version():
    with pytest.raises(ValueError, match="Choose 1, 2 or 3"):
        shop(4)
