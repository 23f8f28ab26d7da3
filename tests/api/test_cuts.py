"""Connections cut at any point of any change: nothing happens twice, nothing is guessed (SAFETY H07, H08)."""

from __future__ import annotations

import random
from collections import Counter

import pytest

import createos_nb.api.declarations  # noqa: F401 - of every operation
from createos_nb.api.message import Unanswered
from createos_nb.api.operation import OPERATIONS
from createos_nb.errors import ConnectionFailed, OutcomeUnknown, ServerError
from tests.api.played import Played, itself, response, success

CHANGES = [declared for declared in OPERATIONS.values() if declared.safety != "read"]
ONCE = {"creates", "destroys"}
FATES = [
    *("before it is sent", "on its way there", "on its way back"),
    *("a proxy, before", "a proxy, after", "busy", "answered"),
]
UPLOADS = ["UploadDeploymentFiles", "UploadDeploymentBase64Files", "UploadDeploymentZip"]


class Cutting:
    """A server behind a bad line: what becomes of each request is drawn, and what it carried out is counted."""

    def __init__(self, data, dice):
        self.data, self.dice = data, dice
        self.committed = 0
        self.fates: list[str] = []

    def __call__(self, _request):
        fate = self.dice.choice(FATES)
        self.fates.append(fate)
        if fate in {"on its way back", "a proxy, after", "answered"}:
            self.committed += 1
        if fate == "before it is sent":
            return ConnectionFailed("no connection")
        if fate.startswith("on its way"):
            return Unanswered("cut")
        if fate.startswith("a proxy"):
            return response(self.dice.choice([502, 504]), b"<html>Bad gateway</html>")
        return response(503, b"") if fate == "busy" else success(self.data)

    @property
    def unanswered(self):
        return [fate for fate in self.fates if fate.startswith(("on its way", "a proxy"))]


def test_no_cut_makes_a_change_happen_twice_or_be_told_wrongly(arguments, documented_answer):
    cuts, ends = 0, Counter()
    for declared in CHANGES:
        sent, data, dice = arguments(declared), documented_answer(declared), random.Random(declared.name)
        for _ in range(200):
            server = Cutting(data, dice)
            played = Played(itself(declared, sent), server)
            cuts += len(server.fates) - server.fates.count("answered")
            told = f"{declared.name}: {server.fates} ended as {played.error!r}"
            if declared.safety in ONCE:
                assert server.committed <= 1, told
                assert len(server.unanswered) <= 1, f"{told}: sent again"
                assert not server.unanswered or server.fates[-1] == server.unanswered[-1], told
            if declared.costs:
                assert len(server.fates) == 1, told
            if played.error is None:
                assert server.fates[-1] == "answered", f"{told}: told as a success"
            elif declared.safety in ONCE:
                # Told as a plain failure only when it is certain that nothing was done.
                busy = server.fates[-1] == "busy"  # A server that says no more may have done it.
                assert isinstance(played.error, OutcomeUnknown) == (bool(server.unanswered) or busy), told
                assert server.committed == 0 or isinstance(played.error, OutcomeUnknown), told
            ends[type(played.error).__name__] += 1
    assert cuts >= 10_000
    assert {"NoneType", "OutcomeUnknown", "ConnectionFailed", "ServerError"} <= set(ends)


@pytest.mark.parametrize(
    "name",
    ["UploadDeploymentFiles", "UploadDeploymentBase64Files", "UploadDeploymentZip", "TriggerLatestDeployment"],
)
def test_no_cut_makes_a_second_deployment(arguments, documented_answer, name):
    declared = OPERATIONS[name]
    data, dice = documented_answer(declared), random.Random(name)
    for _ in range(1_000):
        server = Cutting(data, dice)
        played = Played(itself(declared, arguments(declared)), server)
        assert server.committed <= 1
        assert (server.committed == 1) <= (played.error is None or isinstance(played.error, OutcomeUnknown))


def test_what_is_idempotent_may_be_sent_again_but_is_not_called_done_without_an_answer(
    arguments, documented_answer
):
    for declared in (item for item in CHANGES if item.safety == "idempotent"):
        dice = random.Random(declared.name)
        for _ in range(50):
            server = Cutting(documented_answer(declared), dice)
            played = Played(itself(declared, arguments(declared)), server)
            assert len(server.fates) <= 3
            if server.fates[-1].startswith("on its way"):
                assert isinstance(played.error, OutcomeUnknown)
            elif server.fates[-1] != "answered":
                assert isinstance(played.error, OutcomeUnknown | ServerError | ConnectionFailed)
