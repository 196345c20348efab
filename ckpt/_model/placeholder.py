"""What stands in for a value that could not be kept, or could not be loaded."""

from __future__ import annotations

from typing import Any, NoReturn

from ckpt.errors import PlaceholderError


class Placeholder:
    """Stands for a value that is not there. Printing it is harmless; any use of it raises `PlaceholderError`.

    Its three fields are readable under names no program uses, so that nothing is mistaken for the value's own: `ckpt_type`,
    `ckpt_description` and `ckpt_reason`.
    """

    __slots__ = ("ckpt_description", "ckpt_reason", "ckpt_type")

    def __init__(self, type_name: str, description: str, reason: str) -> None:
        self.ckpt_type = type_name
        self.ckpt_description = description
        self.ckpt_reason = reason

    def __repr__(self) -> str:
        return f"<placeholder for {self.ckpt_type}: {self.ckpt_reason}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Placeholder, (self.ckpt_type, self.ckpt_description, self.ckpt_reason)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise PlaceholderError(
            f"This {self.ckpt_type} is only a placeholder, {self.ckpt_description}: {self.ckpt_reason}.",
            hint="give another value in its place; the captured one could not be kept",
        )

    def __getattr__(self, name: str) -> NoReturn:
        self._refuse()

    __call__ = __iter__ = __next__ = __len__ = __getitem__ = __contains__ = __bool__ = __enter__ = __exit__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = __rdivmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _refuse
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = __pos__ = __invert__ = _refuse
    __abs__ = __round__ = __bytes__ = __fspath__ = _refuse
    __int__ = __float__ = __index__ = __neg__ = __await__ = __aiter__ = __anext__ = __setitem__ = __delitem__ = _refuse


class Gone(Placeholder):
    """Base of the classes that stand for classes which are gone when a capture is loaded. Their instances keep the data they had."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Gone:
        """Return a placeholder whatever the class's own constructor took."""
        self = object.__new__(cls)
        Placeholder.__init__(self, f"{cls.__module__}.{cls.__qualname__}", "an object of a class that cannot be imported", cls.__doc__ or "")
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what the class's own constructor took; `__new__` has done the work."""

    def __setstate__(self, state: Any) -> None:
        """Keep the fields the object had, in its `__dict__`."""
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.__dict__.update(part)

    def append(self, item: Any) -> None:
        """Keep an item of an object that was a list."""
        self.__dict__.setdefault("items", []).append(item)

    def extend(self, items: Any) -> None:
        """Keep the items of an object that was a list."""
        self.__dict__.setdefault("items", []).extend(items)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.__dict__.setdefault("items", {})[key] = value


def gone_class(module: str, qualname: str, reason: str) -> type[Gone]:
    """Return a class to stand for `module.qualname`, whose instances keep their data and say why their class is not there."""
    name = qualname.rpartition(".")[2]
    return type(name, (Gone,), {"__module__": module, "__qualname__": qualname, "__doc__": reason})
