"""What the tests of charts look at: the specification, never pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import altair as alt
import pytest


class Specification:
    """A chart's specification, with what tests ask for at hand."""

    def __init__(self, chart: alt.Chart | alt.LayerChart) -> None:
        self.spec: dict[str, Any] = chart.to_dict()

    @property
    def heading(self) -> str:
        return self.spec["title"]["text"]

    @property
    def facts(self) -> str:
        subtitle = self.spec["title"]["subtitle"]
        return subtitle if isinstance(subtitle, str) else " ".join(subtitle)

    @property
    def words(self) -> str | None:
        """What stands in place of a drawing."""
        return self.spec.get("description")

    def layers(self, spec: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        spec = spec or self.spec
        inner = [*spec.get("layer", []), *spec.get("vconcat", [])]
        if not inner:
            yield spec
        for layer in inner:
            yield from self.layers(layer)

    def layer(self, mark: str) -> dict[str, Any]:
        return next(layer for layer in self.layers() if layer["mark"]["type"] == mark)

    def marked(self, mark: str) -> list[dict[str, Any]]:
        return [layer for layer in self.layers() if layer["mark"]["type"] == mark]

    def rows(self, layer: dict[str, Any]) -> list[dict[str, Any]]:
        data = layer.get("data") or self.spec["data"]
        return self.spec["datasets"][data["name"]]

    @property
    def largest(self) -> int:
        return max(len(rows) for rows in self.spec["datasets"].values())

    def axis_titles(self) -> set[str]:
        channels = (layer["encoding"].get(channel, {}) for layer in self.layers() for channel in ("x", "y"))
        return {channel["axis"]["title"] for channel in channels if channel.get("axis")}


@pytest.fixture
def read() -> type[Specification]:
    return Specification
