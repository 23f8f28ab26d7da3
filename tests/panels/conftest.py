from __future__ import annotations

from collections.abc import Callable

import pytest

from createos_nb.api.rest import RestTransport


@pytest.fixture
def at_once() -> Callable[[Callable[[], None]], None]:
    """An executor that does the work before it returns, so that no test waits."""
    return lambda work: work()


@pytest.fixture
def application(tmp_path, shop):
    """A directory that holds version 1 of the shop."""
    directory = tmp_path / "app"
    directory.mkdir()
    for path, text in shop.files(1).items():
        (directory / path).write_text(text)
    return directory


@pytest.fixture
def requests(monkeypatch):
    """Every request that this process sends, as method and path."""
    sent = []
    send = RestTransport.send

    def counted(self, request):
        sent.append(f"{request.method} {request.path}")
        return send(self, request)

    monkeypatch.setattr(RestTransport, "send", counted)
    return sent
