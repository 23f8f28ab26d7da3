from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from createos_nb.endpoints import reach

labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


@pytest.mark.parametrize(
    ("url", "address", "host"),
    [
        (
            "http://production.shop.localhost:8080/a?b=1",
            "http://127.0.0.1:8080/a?b=1",
            "production.shop.localhost:8080",
        ),
        ("http://production.shop.localhost", "http://127.0.0.1", "production.shop.localhost"),
        ("http://Production.Shop.LOCALHOST:1/", "http://127.0.0.1:1/", "Production.Shop.LOCALHOST:1"),
        ("http://user:pass@a.localhost:1/", "http://127.0.0.1:1/", "a.localhost:1"),
    ],
)
def test_a_name_under_localhost_is_reached_on_this_machine_by_its_host_header(url, address, host):
    assert reach(url) == (address, {"Host": host})


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example.com/",
        "http://localhost:8080/",
        "http://notlocalhost/",
        "http://localhost.evil.example/",
        "http://a.localhost.evil.example/",
        "/relative",
        "",
    ],
)
def test_any_other_address_stays_as_it_is(url):
    assert reach(url) == (url, {})


@given(st.lists(labels, min_size=1, max_size=4), st.integers(1, 65535), st.text("abc/=&%;", max_size=20))
def test_path_and_query_are_never_touched(names, port, rest):
    host = f"{'.'.join(names)}.localhost:{port}"
    assert reach(f"http://{host}/{rest}?{rest}x") == (f"http://127.0.0.1:{port}/{rest}?{rest}x", {"Host": host})
