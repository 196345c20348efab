"""Checkpoints as parquet: one table, or columns of one length. Read by anything that reads parquet; `load` gives back what was given."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ckpt._model.describe import type_name
from ckpt._model.tags import Tags
from ckpt._store.archive import Source
from ckpt.checkpoints.spilling import SPILL_THRESHOLD, OpenSpill, Piece, Spilled
from ckpt.errors import DamagedError, UsageError

try:
    import pyarrow as pa
    from pyarrow import parquet
except ImportError as err:
    raise UsageError(f"format='parquet' needs pyarrow, which is missing: {err}", hint="pip install 'ckpt[parquet]'") from err

#: Where a file notes the checkpoint and what its values were.
NOTE = b"ckpt"


class ParquetFile:
    """Tables and columns of pandas, polars, pyarrow, numpy and lists <-> a parquet file. `options` are those of `write_table`."""

    def __init__(self, options: Mapping[str, Any], open_spill: OpenSpill = Spilled) -> None:
        self._options = dict(options)
        self._open_spill = open_spill
        try:
            self._written(pa.table({}))
        except (TypeError, ValueError, OSError, pa.ArrowException) as err:
            raise UsageError(f"pyarrow cannot write parquet with {', '.join(map(repr, options))}: {err}.") from err

    def encode(self, name: str, value: Any) -> tuple[str, Any]:
        """Return a value as a table or a column of arrow's, and what kind it was."""
        kind, convert = _kind(value)
        try:
            return kind, convert(value)
        except (TypeError, ValueError, pa.ArrowException) as err:
            text = f"The value {name!r}, a {type_name(type(value))}, cannot be written as parquet: {err}."
            raise UsageError(text, hint='parquet holds a table, or columns; format="pickle" keeps any value') from err

    def freeze(self, encoded: tuple[str, Any]) -> tuple[str, Any]:
        """Return `encoded` with memory of its own: a conversion may share that of the program's arrays."""
        kind, held = encoded
        table = held if isinstance(held, pa.Table) else pa.table({"": held})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        copied = pa.ipc.open_stream(sink.getvalue()).read_all()
        return kind, copied if isinstance(held, pa.Table) else copied.column(0)

    def pieces(self, name: str, tags: Tags, encoded: Mapping[str, tuple[str, Any]]) -> Sequence[Piece]:
        """Return the bytes of a file; raise `UsageError` unless there is one table, or only columns of one length."""
        held = {each: value for each, (_, value) in encoded.items()}
        tables = [value for value in held.values() if isinstance(value, pa.Table)]
        if tables and held.keys() - {next(iter(held))}:
            raise UsageError(f"{name!r} holds a table and more: a parquet file holds one table.", hint="one checkpoint for each table")
        try:
            table = tables[0] if tables else pa.table(held)
        except (TypeError, ValueError, pa.ArrowException) as err:
            raise UsageError(f"The values of {name!r} are no columns of one length: {err}.", hint='format="pickle" keeps all') from err
        note = {"name": name, "tags": tags, "kinds": {each: kind for each, (kind, _) in encoded.items()}}
        return [self._written(table.replace_schema_metadata({**(table.schema.metadata or {}), NOTE: json.dumps(note).encode()}))]

    def lost(self, encoded: tuple[str, Any]) -> str:
        """Return nothing: parquet keeps a value or refuses it."""
        return ""

    def load(self, source: Source, only: str | None, *, trust: bool) -> dict[str, Any]:
        """Return the values in a file, of the kinds they were, which are data; a file of another program is one table of arrow's."""
        try:
            table = parquet.read_table(pa.BufferReader(source.map(source.size, 0)))
            kinds = json.loads((table.schema.metadata or {}).get(NOTE, b"{}")).get("kinds", {"data": "arrow table"})
        except (ValueError, OSError, pa.ArrowException) as err:
            raise DamagedError(f"{source.path!r} is not parquet: {err}.") from err
        if len(kinds) == 1 and (kind := next(iter(kinds.values()))) in _TABLES:
            return {next(iter(kinds)): _TABLES[kind][1](table)}
        return {name: _COLUMNS[kind][1](table.column(name)) for name, kind in kinds.items() if only in {None, name}}

    def _written(self, table: Any) -> Piece:
        """Return the bytes of a file; those of a large table are not in memory."""
        sink = self._open_spill() if table.nbytes > SPILL_THRESHOLD else pa.BufferOutputStream()
        parquet.write_table(table, sink, **self._options)
        return sink if isinstance(sink, Spilled) else memoryview(sink.getvalue())


def _kind(value: Any) -> tuple[str, Callable[[Any], Any]]:
    """Return what kind of table or column a value is, and what makes it one of arrow's."""
    package, name = type(value).__module__.partition(".")[0], type(value).__name__
    kind = _KINDS.get((package, name), "")
    if kind in _TABLES:
        return kind, _TABLES[kind][0]
    if kind in _COLUMNS:
        return kind, _COLUMNS[kind][0]
    if hasattr(value, "__arrow_c_stream__"):
        return "arrow table", pa.table
    return "list", pa.array


def _from_polars(column: Any) -> Any:
    import polars as pl

    return column.to_arrow(compat_level=pl.CompatLevel.oldest())


def _to_polars(table: Any) -> Any:
    import polars as pl

    return pl.from_arrow(table)


_KINDS = {
    ("pandas", "DataFrame"): "pandas table",
    ("polars", "DataFrame"): "polars table",
    ("pyarrow", "Table"): "arrow table",
    ("pyarrow", "RecordBatch"): "arrow table",
    ("numpy", "ndarray"): "numpy",
    ("pandas", "Series"): "pandas",
    ("polars", "Series"): "polars",
    ("pyarrow", "ChunkedArray"): "arrow",
}

Both = tuple[Callable[[Any], Any], Callable[[Any], Any]]

#: To arrow, and back.
_TABLES: dict[str, Both] = {
    "pandas table": (pa.Table.from_pandas, lambda table: table.to_pandas()),
    "polars table": (_from_polars, _to_polars),
    "arrow table": (lambda table: table if isinstance(table, pa.Table) else pa.table(table), lambda table: table),
}
_COLUMNS: dict[str, Both] = {
    "list": (pa.array, lambda column: column.to_pylist()),
    "numpy": (pa.array, lambda column: column.to_numpy()),
    "pandas": (pa.array, lambda column: column.to_pandas()),
    "polars": (_from_polars, _to_polars),
    "arrow": (lambda column: column, lambda column: column),
}
