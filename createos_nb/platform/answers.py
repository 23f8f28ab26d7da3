"""Answers: the envelope that everything goes out in."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse


def success(data: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an answer that it was done."""
    return JSONResponse({"status": "success", "data": data}, status, headers)


def failure(status: int, sentence: str, *, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an answer that it was not done, and why."""
    return JSONResponse({"status": "error" if status >= 500 else "fail", "data": sentence}, status, headers)
