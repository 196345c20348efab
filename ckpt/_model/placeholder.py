"""What stands in for a value that could not be kept, or could not be loaded."""

from __future__ import annotations

from typing import Any, NoReturn, Self

from ckpt._model.verbs import stream_placeholder
from ckpt.errors import PlaceholderError


class Placeholder:
    """Stands for a value that is not there. Printing it is harmless; any use of it raises `PlaceholderError`.

    Its three fields are readable under names no program uses, so that nothing is mistaken for the value's own: `ckpt_type`,
    `ckpt_description` and `ckpt_reason`.
    """

    __slots__ = ("ckpt_description", "ckpt_reason", "ckpt_type")
    ckpt_type: str
    ckpt_description: str
    ckpt_reason: str

    def __init__(self, type_name: str, description: str, reason: str) -> None:
        for name, text in (("ckpt_type", type_name), ("ckpt_description", description), ("ckpt_reason", reason)):
            object.__setattr__(self, name, text)

    def __repr__(self) -> str:
        return f"<placeholder for {self.ckpt_type}: {self.ckpt_reason}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return stream_placeholder, (self.ckpt_type, self.ckpt_description, self.ckpt_reason)

    def __copy__(self) -> Placeholder:
        return self

    def __deepcopy__(self, memo: object) -> Placeholder:
        return self

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise PlaceholderError(
            f"This {self.ckpt_type} is only a placeholder, {self.ckpt_description}: {self.ckpt_reason}.",
            hint="give another value in its place; the captured one could not be kept",
        )

    def __getattr__(self, name: str) -> NoReturn:
        self._refuse()

    def __eq__(self, other: object) -> bool:
        """Return True for the placeholder itself; of anything else nobody can tell, and a False would decide a replay."""
        return True if other is self else self._refuse()

    __hash__ = object.__hash__


#: Everything one can do with an object but print it, compare it with itself, hash it, copy it and ask for its class.
_USES = """
    call iter next len getitem setitem delitem contains reversed bool int float complex index bytes fspath enter exit aenter aexit
    await aiter anext setattr delattr neg pos abs invert round trunc floor ceil lt le gt ge add sub mul matmul truediv floordiv mod
    divmod pow lshift rshift and xor or radd rsub rmul rmatmul rtruediv rfloordiv rmod rdivmod rpow rlshift rrshift rand rxor ror
    iadd isub imul imatmul itruediv ifloordiv imod ipow ilshift irshift iand ixor ior
"""
for _use in _USES.split():
    setattr(Placeholder, f"__{_use}__", Placeholder._refuse)  # noqa: SLF001


class GoneClass(type):
    """The class of the classes that are gone: the stream may call them while it is loaded, nobody may afterwards."""

    ckpt_sealed = False

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls.ckpt_sealed:
            raise PlaceholderError(f"{cls.__module__}.{cls.__qualname__} is only a placeholder: {cls.__doc__}.")
        return super().__call__(*args, **kwargs)

    def __repr__(cls) -> str:
        return f"<placeholder for {cls.__module__}.{cls.__qualname__}: {cls.__doc__}>"


class Gone(Placeholder, metaclass=GoneClass):
    """Base of the classes that stand for classes and functions which are gone when a capture is loaded.

    Their instances keep the data they had: fields under their names, what they were made from in `ckpt_arguments`, items in `ckpt_items`.
    """

    ckpt_what = "an object of a class that cannot be imported"

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Return a placeholder whatever the class's own constructor took."""
        self = object.__new__(cls)
        Placeholder.__init__(self, f"{cls.__module__}.{cls.__qualname__}", cls.ckpt_what, cls.__doc__ or "")
        if args or kwargs:
            vars(self)["ckpt_arguments"] = (*args, *kwargs.items())
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what the class's own constructor took; `__new__` has done the work."""

    def __setstate__(self, state: Any) -> None:
        """Keep the fields the object had, in its `__dict__`."""
        for part in state if type(state) is tuple else (state,):
            if type(part) is dict:
                vars(self).update((key, value) for key, value in part.items() if type(key) is str)
            elif part is not None:
                vars(self)["ckpt_state"] = part

    def append(self, item: Any) -> None:
        """Keep an item of an object that was a list."""
        self.extend((item,))

    def extend(self, items: Any) -> None:
        """Keep the items of an object that was a list."""
        self._items([]).extend(items)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Keep an item of an object that was a dict."""
        self._items({})[key] = value

    def _items(self, empty: Any) -> Any:
        return self._refuse() if type(self).ckpt_sealed else vars(self).setdefault("ckpt_items", empty)


def gone_class(module: str, qualname: str, reason: str, what: str = Gone.ckpt_what) -> GoneClass:
    """Return a class to stand for `module.qualname`, whose instances keep their data and say what they are, and why."""
    name = qualname.rpartition(".")[2]
    return GoneClass(name, (Gone,), {"__module__": module, "__qualname__": qualname, "__doc__": reason, "ckpt_what": what})


def seal(kind: GoneClass) -> None:
    """From now on, calling `kind` raises `PlaceholderError`: what the stream had to make of it is made."""
    kind.ckpt_sealed = True
