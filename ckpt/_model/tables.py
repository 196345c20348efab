"""Arrays and tables of other packages, described by shape and type without work, and without importing those packages.

A type counts only when it is the very one that its package has under that name. Of a subclass, what the base knows is read past the
subclass.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

from ckpt._model.layout import bases_of, fields_of, found_in, module_of, name_of, type_name

#: Most columns and elements shown.
SHOWN_LIMIT = 8


class Table(NamedTuple):
    """What is known of an array or a table: text without its type's name, shape, and size in bytes where that costs nothing."""

    text: str
    shape: list[int]
    size: int | None


def table_base(kind: type) -> Any:
    """Return the type this room knows that `kind` is, or is derived from; None for any other type."""
    for base in bases_of(kind):
        key = (module_of(base), name_of(base))
        if key in READERS and found_in(*key) is base:
            return base
    return None


def read_table(value: Any, base: type) -> Table:
    """Return what is known of `value`, `base` being its `table_base`."""
    return READERS[(module_of(base), name_of(base))](value, base)


def _array(value: Any, base: Any) -> Table:
    shape = list(base.shape.__get__(value))
    dtype = base.dtype.__get__(value)
    text = f"{_times(shape)} {_dtype(dtype)}"
    if dtype.kind in "biuf" and 0 < base.size.__get__(value) <= SHOWN_LIMIT:
        text += f" {base.tolist(value)}"
    return Table(text, shape, base.nbytes.__get__(value))


def _tensor(value: Any, base: Any) -> Table:
    if base.is_nested.__get__(value):
        return Table("nested", [], None)
    shape = list(base.shape.__get__(value))
    dtype, device = base.dtype.__get__(value), base.device.__get__(value)
    return Table(f"{_times(shape)} {dtype} {device}", shape, None)


def _pandas_frame(value: Any, base: Any) -> Table:
    axes = _axes(value)
    return Table(f"{_times([len(axis) for axis in axes])}: {_columns(axes[1])}", [len(axis) for axis in axes], None)


def _pandas_series(value: Any, base: Any) -> Table:
    shape = [len(axis) for axis in _axes(value)]
    dtype = base.dtype.fget(value) if type(value) is base else None
    return Table(f"{_times(shape)} {_dtype(dtype)}".rstrip(), shape, None)


def _axes(value: Any) -> list[Any]:
    """Return the index and the columns of a pandas object, from its manager."""
    manager = fields_of(value)["_mgr"]
    if not module_of(type(manager)).startswith("pandas."):
        raise TypeError("no pandas manager")
    return list(reversed(manager.axes))


def _polars_frame(value: Any, base: Any) -> Table:
    if type(value) is not base:
        return Table("", [], None)
    return Table(f"{_times(value.shape)}: {_columns(value.columns)}", list(value.shape), None)


def _polars_series(value: Any, base: Any) -> Table:
    if type(value) is not base:
        return Table("", [], None)
    return Table(f"{_times(value.shape)} {value.dtype}", list(value.shape), None)


def _times(shape: Any) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _columns(names: Any) -> str:
    return ", ".join(name if type(name) is str else type_name(type(name)) for name in islice(names, SHOWN_LIMIT))


def _dtype(dtype: Any) -> str:
    """Return the name of an element type; of one that a user made, the name of its class."""
    return (
        str(dtype)[:80]
        if module_of(type(dtype)).split(".")[0] in {"numpy", "pandas"}
        else type_name(type(dtype))
        if dtype is not None
        else ""
    )


READERS: dict[tuple[str, str], Callable[[Any, Any], Table]] = {
    ("numpy", "ndarray"): _array,
    ("torch", "Tensor"): _tensor,
    ("pandas", "DataFrame"): _pandas_frame,
    ("pandas", "Series"): _pandas_series,
    ("pandas.core.frame", "DataFrame"): _pandas_frame,
    ("pandas.core.series", "Series"): _pandas_series,
    ("polars.dataframe.frame", "DataFrame"): _polars_frame,
    ("polars.series.series", "Series"): _polars_series,
}
