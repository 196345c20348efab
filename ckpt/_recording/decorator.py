"""`@ckpt`: call, and on failure record; nothing else.

A wrapper is generated with the exact parameters of its function, so that Python binds the arguments once and passes them on by position:
a wrapper that takes `*args, **kwargs` costs several times as much. It has the function's name in its code, defaults that are the same
objects, and `WRAPPER_FILE` as its file, by which tracebacks, replay and nested captures recognise it. Its local `ckpt_capture` holds the
id of the capture made of a failure: it lives exactly as long as the traceback.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import BuiltinFunctionType, CodeType, FunctionType
from typing import Any, ParamSpec, TypeVar, overload

from ckpt._model.record import WRAPPER_FILE
from ckpt._recording.options import PARAMETERS, Options, is_disabled
from ckpt._recording.recorder import Recorder
from ckpt.errors import UsageError

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

_VARARGS, _VARKW, _GENERATOR, _COROUTINE, _ITERABLE_COROUTINE, _ASYNC_GENERATOR = 0x04, 0x08, 0x20, 0x80, 0x100, 0x200


@overload
def ckpt(function: F, /) -> F: ...
@overload
def ckpt(
    *,
    name: str | None = None,
    active: bool | Callable[..., bool] = True,
    on_error: bool = True,
    save_locals: bool = True,
    callers: bool = False,
    keep: int = 10,
    max_bytes: int | None = None,
    exclude: tuple[type, ...] = (),
) -> Callable[[F], F]: ...


def ckpt(function: Any = None, /, **options: Any) -> Any:
    """Capture the calls of a function, so that they can be looked at, debugged and replayed later, in another process.

    Bare, each call is captured when it is entered and completed when it ends; a failure keeps the local variables of every frame down to
    the line that raised. With `active=False` only failures are captured, and a call that does not fail costs next to nothing.

    Args:
        function: a function, `async def`, generator, method, `classmethod` or `staticmethod`.
        name: the capture's name; the function's qualified name by default.
        active: whether each call is captured; or a callable that is given the call's own arguments and decides. One that raises
            counts as false, with one warning.
        on_error: whether the frames of a failure are captured.
        save_locals: whether the local variables are kept, or only the lines.
        callers: whether the frames above the function keep their variables too, not only where they stood.
        keep: how many captures of this function stay in the store; failures and other calls are counted apart.
        max_bytes: the most that one capture may hold; above it the biggest values become placeholders. By default what `[tool.ckpt]`
            in `pyproject.toml` says, else 1 GiB.
        exclude: types whose objects are never touched and become placeholders.

    Returns the function wrapped, or itself when there is nothing to capture or `PYCKPT_DISABLE=1` is set.
    Raises `UsageError` for something that cannot be captured, and for a name that cannot be one.
    """
    if unknown := options.keys() - PARAMETERS:
        raise UsageError(f"@ckpt takes no {', '.join(sorted(unknown))}.", hint=f"it takes {', '.join(sorted(PARAMETERS))}")
    settings = Options(**options) if options else Options()
    if function is None:
        return functools.partial(_decorate, options=settings)
    return _decorate(function, options=settings)


def _decorate(function: Any, /, *, options: Options) -> Any:
    if is_disabled():
        return function
    if isinstance(function, classmethod | staticmethod):
        return type(function)(_decorate(function.__func__, options=options))
    if type(function) not in {FunctionType, BuiltinFunctionType} and not isinstance(function, functools.partial):
        raise UsageError(f"@ckpt goes on a function, not on a value of type {type(function).__name__}.", hint="put it above a def")
    if options.active is False and not options.on_error:
        return function
    return _wrap(function, Recorder(function, options))


def _wrap(function: Any, recorder: Recorder) -> Any:
    plain = type(function) is FunctionType
    code = function.__code__ if plain else _any_signature.__code__
    lines = _source(code, in_every_call=recorder.options.active is not False)
    make = {name: getattr(recorder, name) for name in ("failed", "entered", "returned", "ended")} | {"call": function}
    prefix = _prefix(code)
    scope: dict[str, Any] = {f"{prefix}{key}": value for key, value in make.items()}
    text = "\n".join(lines).replace("$", prefix).replace("@", _stem(code))
    namespace: dict[str, Any] = {}
    exec(compile(f"def make({', '.join(scope)}):\n{text}\n return wrapper\n", WRAPPER_FILE, "exec"), namespace)  # noqa: S102
    wrapper = namespace["make"](**scope)
    name, qualname = getattr(function, "__name__", "call"), getattr(function, "__qualname__", "call")
    flags = wrapper.__code__.co_flags | (code.co_flags & _ITERABLE_COROUTINE)
    wrapper.__code__ = wrapper.__code__.replace(co_name=name, co_qualname=qualname, co_flags=flags)
    if plain:
        wrapper.__defaults__, wrapper.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    return functools.update_wrapper(wrapper, function)


def _any_signature(*args: Any, **kwargs: Any) -> None:
    """Stands for the signature of a callable that is no Python function."""


def _prefix(code: CodeType) -> str:
    """Return a beginning for our own names that none of the function's parameters has."""
    prefix = "_"
    while any(name.startswith(prefix) for name in code.co_varnames):
        prefix += "_"
    return prefix


def _stem(code: CodeType) -> str:
    """Return a beginning for the wrapper's own variables that none of the function's parameters has."""
    stem = "ckpt_"
    while any(name.startswith(stem) for name in code.co_varnames):
        stem = f"_{stem}"
    return stem


def _source(code: CodeType, *, in_every_call: bool) -> list[str]:
    """Return the lines of a wrapper. `$` and `@` stand for beginnings that no parameter has: of what it calls, and of its variables."""
    declared, passed, positional, keywords = _parameters(code)
    flavour = _flavour(code)
    call = f"$call({passed})"
    head = [f" {'async ' if flavour.startswith('async') else ''}def wrapper({declared}):"]
    if in_every_call:
        head.append(f"  @call = $entered(({positional}), {{{keywords}}})")
        caught = ["  except BaseException as @error:", "   @capture = $ended(@call, @error)", "   raise"]
        after = ["  $returned(@call, @value)", "  return @value"]
    else:
        caught = ["  except BaseException as @error:", "   @capture = $failed(@error)", "   raise"]
        after = ["  return @value"]
    body = _BODIES[flavour]
    if flavour == "plain" and not in_every_call:
        return [*head, "  try:", f"   return {call}", *caught]
    if flavour == "async generator":
        after = after[:1] if in_every_call else ["  return"]
    return [*head, "  try:", *[line.replace("$call()", call) for line in body], *caught, *after]


_BODIES = {
    "plain": ["   @value = $call()"],
    "generator": ["   @value = yield from $call()"],
    "async": ["   @value = await $call()"],
    # What `yield from` does for a generator, spelled out: Python has none for asynchronous ones.
    "async generator": [
        "   @value, @source = None, $call()",
        "   try:",
        "    @item = await @source.__anext__()",
        "    while True:",
        "     try:",
        "      @sent = yield @item",
        "     except GeneratorExit:",
        "      await @source.aclose()",
        "      raise",
        "     except BaseException as @caught:",
        "      @thrown = @caught",
        "     else:",
        "      @thrown = None",
        "     if @thrown is None:",
        "      @item = await @source.asend(@sent)",
        "     else:",
        "      @throw, @thrown = @source.athrow(@thrown), None",
        "      @item = await @throw",
        "   except StopAsyncIteration:",
        "    pass",
    ],
}


def _flavour(code: CodeType) -> str:
    if code.co_flags & _ASYNC_GENERATOR:
        return "async generator"
    if code.co_flags & _COROUTINE:
        return "async"
    return "generator" if code.co_flags & _GENERATOR else "plain"


def _parameters(code: CodeType) -> tuple[str, str, str, str]:
    """Return a code object's parameters as declared, as passed on, as items of a tuple, and as items of a dict.

    Defaults are declared as None: the function's own are put in their place afterwards, so that they stay the same objects.
    """
    names = code.co_varnames
    positional, keyword = names[: code.co_argcount], names[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    rest = list(names[code.co_argcount + code.co_kwonlyargcount :])
    variable = rest.pop(0) if code.co_flags & _VARARGS else None
    keywords = rest.pop(0) if code.co_flags & _VARKW else None
    declared = [*positional[: code.co_posonlyargcount], *(["/"] if code.co_posonlyargcount else []), *positional[code.co_posonlyargcount :]]
    declared += [f"*{variable}"] if variable else ["*"] if keyword else []
    declared += [*keyword, *([f"**{keywords}"] if keywords else [])]
    passed = [*positional, *([f"*{variable}"] if variable else [])]
    as_keywords = [*(f"{name}={name}" for name in keyword), *([f"**{keywords}"] if keywords else [])]
    as_items = [*(f"{name!r}: {name}" for name in keyword), *([f"**{keywords}"] if keywords else [])]
    return ", ".join(declared), ", ".join([*passed, *as_keywords]), "".join(f"{name}, " for name in passed), ", ".join(as_items)
