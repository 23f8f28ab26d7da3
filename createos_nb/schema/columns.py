"""Columns: how the columns of the kinds are spelled, and those that many kinds share."""

from __future__ import annotations

from typing import Any, get_args

from createos_nb.schema.kind import Column


def text(name: str, meaning: str) -> Column:
    """Return a column of text."""
    return Column(name, "str", "", meaning)


def time(name: str, meaning: str) -> Column:
    """Return a column of aware UTC times."""
    return Column(name, "datetime64[us, UTC]", "", meaning)


def whole(name: str, unit: str, meaning: str) -> Column:
    """Return a column of whole numbers that are always there."""
    return Column(name, "int64", unit, meaning)


def maybe_whole(name: str, unit: str, meaning: str) -> Column:
    """Return a column of whole numbers that may be missing."""
    return Column(name, "Int64", unit, meaning)


def number(name: str, unit: str, meaning: str) -> Column:
    """Return a column of numbers that may be missing."""
    return Column(name, "float64", unit, meaning)


def flag(name: str, meaning: str) -> Column:
    """Return a column of true and false."""
    return Column(name, "bool", "", meaning)


def choice(name: str, meaning: str, values: tuple[str, ...]) -> Column:
    """Return a column of few words, in their order."""
    return Column(name, "category", "", meaning, values)


def status(meaning: str, annotated: Any) -> Column:
    """Return a column of a state, in the order that its model documents."""
    # The documented values stand once, beside the model they belong to.
    documented = get_args(annotated)[1].json_schema["enum"]
    return Column("status", "category", "", meaning, tuple(documented))


PROJECT = text("project", "The project's unique name.")
ENVIRONMENT = text("environment", "The environment's unique name.")
