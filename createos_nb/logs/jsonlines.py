"""JSON lines: one object a line, read by Arrow where the lines are alike and by Python where they are not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as arrow_json

from createos_nb.logs import alike, fields, values
from createos_nb.logs.fields import COLUMN_OF, Columns
from createos_nb.logs.lines import Mask, joined, last_bytes

# The top of each name: "req.url" is found under "req", unless a logger writes the dot itself.
_TOPS = frozenset(top for name in COLUMN_OF for top in (name, name.partition(".")[0]))
_NESTED: Mapping[str, tuple[str, ...]] = {
    top: tuple(name for name in COLUMN_OF if name.startswith(f"{top}.")) for top in _TOPS if "." not in top
}
_ROW = re.compile(r" in row (\d+)$")
_EXPELLED = 3  # lines that are read one by one before the way of reading is given up
_SHAPE = 12  # characters that tell one logger's lines from another's: the first name, often its value's type
_SHAPES = 8
_SMALL = 512
_LARGEST = 1 << 30  # bytes; Arrow's reader counts them in 32 bits


def parse(lines: pa.LargeStringArray) -> tuple[Mask, Columns]:
    """Return which lines are JSON objects, and the columns of those."""
    closed = last_bytes(lines) == ord("}")
    if not closed.all():
        closed = last_bytes(pc.utf8_rtrim_whitespace(lines)) == ord("}")
    places = np.flatnonzero(closed)
    objects = _taken(lines, places)
    cut, left = alike.parse(objects)
    parts = [(places[where], _with_message(read, _taken(objects, where))) for where, read in cut]
    if len(left):
        parts += _read(_taken(objects, left), places[left], first=not cut)
    found = np.concatenate([where for where, _ in parts]) if parts else np.zeros(0, np.int64)
    matched = np.zeros(len(lines), bool)
    matched[found] = True
    return matched, together(parts, np.argsort(found))


def _taken(lines: pa.LargeStringArray, places: np.ndarray) -> pa.LargeStringArray:
    return lines if len(places) == len(lines) else lines.take(pa.array(places))


def together(parts: Sequence[tuple[np.ndarray, Columns]], order: np.ndarray) -> Columns:
    """Put columns that were read apart below each other, in the given order."""
    if len(parts) == 1 and (np.diff(order) > 0).all():
        return parts[0][1]
    names = {name: column.type for _, read in parts for name, column in read.items()}
    taken = pa.array(order)
    return {
        name: pa.concat_arrays(
            [read[name] if name in read else values.nulls(len(where), kind) for where, read in parts]
        ).take(taken)
        for name, kind in names.items()
    }


def _read(
    lines: pa.LargeStringArray, places: np.ndarray, *, first: bool = False
) -> list[tuple[np.ndarray, Columns]]:
    """Return the places of lines that are objects, in groups that were read together, and their columns."""
    alone: list[int] = []
    left = np.arange(len(lines))
    for _ in range(_EXPELLED + 1):
        held = _taken(lines, left)
        if len(held) == 0 or int(held.nbytes) > _LARGEST:
            break
        try:
            return [
                (places[left], _by_arrow(held)),
                *_by_python(lines.take(pa.array(alone, pa.int64())), places[alone]),
            ]
        except pa.ArrowInvalid as error:
            row = _ROW.search(str(error))
            if row is None:
                break
            # The reader counts one too many where something follows the object.
            wrong = min(int(row[1]), len(held) - 1)
            alone.append(int(left[wrong]))
            left = np.delete(left, wrong)
    if len(lines) <= _SMALL:
        return _by_python(lines, places)
    groups = _by_shape(lines) if first else None
    halves = groups or np.array_split(np.arange(len(lines)), 2)
    return [part for group in halves for part in _read(lines.take(pa.array(group)), places[group])]


def _by_shape(lines: pa.LargeStringArray) -> list[np.ndarray] | None:
    coded = pc.utf8_slice_codeunits(lines, 0, _SHAPE).dictionary_encode()
    if not 1 < len(coded.dictionary) <= _SHAPES:
        return None
    shape = coded.indices.to_numpy()
    return [np.flatnonzero(shape == number) for number in range(len(coded.dictionary))]


# --- alike: by Arrow ------------------------------------------------------------------------------------------


def _by_arrow(lines: pa.LargeStringArray) -> Columns:
    # Each line begins with a brace and ends with one, so no object goes on in the next line; see test_logs.py.
    payload = joined(lines, np.array([0, len(lines)])).buffers()[2]
    schema = _schema(lines)
    table = arrow_json.read_json(
        pa.BufferReader(payload),
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=payload.size + 1),
        parse_options=arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    )
    if table.num_rows != len(lines):
        raise pa.ArrowInvalid("some lines are not one object each")
    written: dict[str, pa.Array] = {}
    for top in schema.names:
        held = table.column(top).combine_chunks()
        if pa.types.is_struct(held.type):
            for inner, name in _paths(held.type, top):
                written[name] = _flat(pc.struct_field(held, inner))
        elif top in COLUMN_OF:
            written[top] = _flat(held)
    read = fields.columns(written)
    return _with_message(read, lines)


def _flat(column: pa.Array) -> pa.Array:
    return (
        column.cast(values.TEXT) if pa.types.is_string(column.type) or pa.types.is_boolean(column.type) else column
    )


def _paths(kind: pa.DataType, top: str) -> Iterable[tuple[list[str], str]]:
    for field in kind:
        name = f"{top}.{field.name}"
        if pa.types.is_struct(field.type):
            yield from (([field.name, *inner], leaf) for inner, leaf in _paths(field.type, name))
        else:
            yield [field.name], name


def _schema(lines: pa.LargeStringArray) -> pa.Schema:
    """Return the type of every wanted field that any of the lines has."""
    seen: dict[str, pa.DataType] = {}
    look = sorted({0, len(lines) // 2, len(lines) - 1})
    while look:
        for row in look:
            _learn(lines[row].as_py(), seen)
        absent = sorted(_TOPS - seen.keys())
        if not absent:
            break
        hits = pc.match_substring_regex(lines, f'"(?:{"|".join(map(re.escape, absent))})"\\s*:').to_numpy(
            zero_copy_only=False
        )
        look = np.flatnonzero(hits)[:8].tolist()
    return pa.schema([(name, kind) for name, kind in seen.items() if kind != pa.null()])


def _learn(line: str, seen: dict[str, pa.DataType]) -> None:
    found = _object(line) or {}
    for name in _TOPS & found.keys():
        kind = _kind(name, found[name])
        if kind is not None and seen.get(name) in {None, pa.null()}:
            seen[name] = kind
    # A name that stands deeper down here may stand at the top of another line: as text, most likely.
    for name in _TOPS - seen.keys():
        if f'"{name}"' in line:
            seen[name] = pa.string() if name in COLUMN_OF else pa.null()


def _kind(name: str, value: object) -> pa.DataType | None:
    """Return the type to read a field as, None when this value does not tell."""
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int | float):
        # A number is quick to compare as one; an id keeps all its digits.
        return pa.float64() if COLUMN_OF.get(name) in {"timestamp", "status", "duration_ms"} else pa.int64()
    if isinstance(value, str):
        return pa.string()
    if isinstance(value, dict):
        return _struct(name, value)
    return pa.null() if isinstance(value, list) else None


def _struct(name: str, value: Mapping[str, object]) -> pa.DataType:
    wanted = {nested[len(name) + 1 :].partition(".")[0] for nested in COLUMN_OF if nested.startswith(f"{name}.")}
    if not wanted:
        raise pa.ArrowInvalid("an object where text is expected")
    kinds = {inner: _kind(f"{name}.{inner}", value.get(inner)) or pa.string() for inner in sorted(wanted)}
    return pa.struct([(inner, kind) for inner, kind in kinds.items() if kind != pa.null()])


def _with_message(read: Columns, lines: pa.LargeStringArray) -> Columns:
    """Return the columns with a message in every row: the whole line where it has none."""
    if "message" not in read:
        return {**read, "message": lines}
    return {**read, "message": pc.coalesce(read["message"], lines)} if read["message"].null_count else read


# --- not alike: by Python -------------------------------------------------------------------------------------


def _by_python(lines: pa.LargeStringArray, places: np.ndarray) -> list[tuple[np.ndarray, Columns]]:
    found = [_object(line) for line in lines.to_pylist()]
    objects = np.array([value is not None for value in found], bool)
    if not objects.any():
        return []
    rows = [_written(value) for value in found if value is not None]
    names = {name for row in rows for name in row}
    written: dict[str, pa.Array] = {}
    numbers: dict[str, pa.Array] = {}
    for name in names:
        column = [row.get(name) for row in rows]
        written[name] = pa.array([value if isinstance(value, str) else None for value in column], values.TEXT)
        numbers[name] = pa.array([value if isinstance(value, float) else None for value in column], pa.float64())
    read = _both(
        fields.columns(written), fields.columns({n: v for n, v in numbers.items() if v.null_count < len(v)})
    )
    return [(places[objects], _with_message(read, lines.filter(pa.array(objects))))]


def _both(text: Columns, numbers: Columns) -> Columns:
    return {
        name: pc.coalesce(*(read[name] for read in (text, numbers) if name in read)) for name in {**text, **numbers}
    }


def _object(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _written(found: Mapping[str, Any]) -> dict[str, str | float]:
    """Return the wanted fields of an object: numbers of which one counts as floats, all else as text."""
    row: dict[str, str | float] = {}
    for name in _TOPS & found.keys():
        value = found[name]
        if name in COLUMN_OF and not (isinstance(value, dict) and _NESTED.get(name)):
            _put(row, name, value)
        if isinstance(value, dict):
            for nested in _NESTED.get(name, ()):
                inner: object = value
                for part in nested.split(".")[1:]:
                    inner = inner.get(part) if isinstance(inner, dict) else None
                _put(row, nested, inner)
    return row


def _put(row: dict[str, str | float], name: str, value: object) -> None:
    if value is None:
        return
    counted = COLUMN_OF[name] in {"timestamp", "status", "duration_ms"}
    if isinstance(value, str):
        row[name] = _whole(value)
    elif counted and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            row[name] = float(value)
        except OverflowError:
            return
    elif not counted:
        row[name] = _whole(json.dumps(value, ensure_ascii=False))


def _whole(text: str) -> str:
    # JSON can spell half a surrogate pair, which no UTF-8 column can hold: it is shown as its escape.
    return text.encode("utf-8", "backslashreplace").decode()
