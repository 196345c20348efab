"""A call or an exception -> records and bytes in the store.

The program never notices: what goes wrong here is one `CkptWarning`, and the call goes on. What is not ours to keep, a Ctrl-C or the
exception of a signal handler, goes on too. A capture that begins inside another on the same thread keeps plain values only.
"""

from __future__ import annotations

import _thread
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quote  # type: ignore[attr-defined]
from types import CodeType, FrameType, TracebackType
from typing import Any

from ckpt._model.codec import Container, Encoded, Limits, encode
from ckpt._model.describe import describe, one_line
from ckpt._model.interrupts import belongs_to_program
from ckpt._model.placeholder import Placeholder
from ckpt._model.record import Json
from ckpt._model.replaying import switch
from ckpt._model.tags import tags_json
from ckpt._recording.ground import Ground, ground, warn
from ckpt._recording.tracebacks import Inner, Recorded, Walk, read
from ckpt._store.journal import part
from ckpt.errors import UsageError

_NAME = re.compile(r"\w[\w.=+@-]{0,127}")
_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})
_VARARGS, _VARKW = 0x04, 0x08
#: Endings that are no failure of the call, by module and name: known without importing the modules.
_LEFT = (("asyncio", "CancelledError"), ("concurrent.futures", "CancelledError"), ("bdb", "BdbQuit"), ("unittest", "SkipTest"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The parameters of `@ckpt`."""

    name: str | None = None
    active: bool | Callable[..., bool] = True
    on_error: bool = True
    save_locals: bool = True
    keep: int = 10
    max_bytes: int = 1 << 30
    exclude: tuple[type, ...] = ()

    def __post_init__(self) -> None:
        if self.name is not None and not (isinstance(self.name, str) and _NAME.fullmatch(self.name)):
            raise UsageError(f"{self.name!r} cannot be the name of a capture.", hint="use letters, digits and _ . = + @ -, at most 128")
        if not (isinstance(self.active, bool) or callable(self.active)):
            raise UsageError(f"active is a bool or a function, not {self.active!r}.")
        if isinstance(self.keep, bool) or not isinstance(self.keep, int) or self.keep < 1:
            raise UsageError(f"keep is a whole number from 1, not {self.keep!r}.")
        if isinstance(self.max_bytes, bool) or not isinstance(self.max_bytes, int) or self.max_bytes < 1:
            raise UsageError(f"max_bytes is a whole number of bytes, not {self.max_bytes!r}.")
        if not (isinstance(self.exclude, tuple) and all(isinstance(kind, type) for kind in self.exclude)):
            raise UsageError(f"exclude is a tuple of types, not {self.exclude!r}.", hint="exclude=(MyType,)")


class _Thread(threading.local):
    """Whether this thread is recording at the moment."""

    busy = False


_thread_state = _Thread()


@dataclass(slots=True)
class Call:
    """A call that was recorded when it was entered."""

    id: str
    pid: int
    #: When it was entered: seconds since the epoch, and on the clock that durations are measured with.
    time: float
    started: float
    body: str
    parts: tuple[bytes, ...]


class Recorder:
    """Records the calls of one function. Every method is called by the function's wrapper, and none raises anything of ours."""

    def __init__(self, function: Any, options: Options, code: CodeType | None = None, module: str = "") -> None:
        self.options = options
        self._function = function
        self._code: CodeType | None = code or getattr(function, "__code__", None)
        module = getattr(function, "__module__", None) or module
        qualname = getattr(function, "__qualname__", None) or (code.co_qualname if code else "call")
        self.name = options.name or default_name(qualname)
        self._path = (module, qualname)
        #: What competes for the places that `keep` gives: failures, and other calls.
        self._failed_group, self._ended_group = (module, qualname, self.name, True), (module, qualname, self.name, False)
        self._head = f'"name":{quote(self.name)},"module":{quote(module)},"qualname":{quote(qualname)},"keep":{options.keep}'
        self._place = (self._code.co_filename, self._code.co_firstlineno) if self._code is not None else ("<ckpt>", 1)
        self._function_name: tuple[object, str] | None = None

    # What the wrapper calls

    def failed(self, error: BaseException) -> Recorded | None:
        """Record a failure in on-error mode; return what identifies the capture, None when there is nothing to record."""
        if switch.on or not is_failure(error):
            return None
        frame = sys._getframe(1)  # noqa: SLF001
        return self._fenced(self._record_failed, error, frame, None) if _is_outermost(frame) else None

    def entered(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        """Record a call before its body can change the arguments; None when this call is not recorded."""
        if switch.on or not _is_outermost(sys._getframe(1)):  # noqa: SLF001
            return None
        if self.options.active is not True and not self._fenced(self._is_active, args, kwargs):
            return None
        return self._fenced(self._record_entry, args, kwargs)

    def returned(self, call: Call | None, value: object) -> None:
        """Complete the record of a call that returned."""
        if call is not None:
            self._fenced(self._record_return, call, value)

    def ended(self, call: Call | None, error: BaseException) -> Recorded | None:
        """Complete the record of a call that raised; return what identifies the capture of a failure."""
        if switch.on:
            return None
        frame = sys._getframe(1)  # noqa: SLF001
        if not is_failure(error):
            return self._fenced(self._record_left, call, error) if call is not None else None
        if call is None and not (self.options.on_error and _is_outermost(frame)):
            return None
        return self._fenced(self._record_failed, error, frame, call)

    # What happens behind the fence

    def _fenced(self, work: Callable[..., Any], *args: Any) -> Any:
        """Return what `work` makes; when it fails, None and one warning. Deep in a recursion it runs on a fresh stack."""
        if sys.is_finalizing():
            return None
        nested, _thread_state.busy = _thread_state.busy, True
        try:
            return work(*args, nested)
        except RecursionError:
            return _on_fresh_stack(work, (*args, nested), self._lost)
        except BaseException as trouble:
            if belongs_to_program(trouble):
                raise
            self._lost(trouble)
            return None
        finally:
            _thread_state.busy = nested

    def _lost(self, trouble: BaseException) -> None:
        warn(f"A capture of {self.name} is lost: {one_line(trouble)}", *self._place)

    def _is_active(self, args: tuple[Any, ...], kwargs: dict[str, Any], nested: bool) -> bool:
        active = self.options.active
        assert callable(active)
        try:
            return bool(active(*args, **kwargs))
        except Exception as trouble:
            warn(f"active= of {self.name} raised, and the call is not captured: {one_line(trouble)}", *self._place)
            return False

    def _record_entry(self, args: tuple[Any, ...], kwargs: dict[str, Any], nested: bool) -> Call | None:
        here = ground()
        if here is None:
            return None
        positional = list(args)
        root: dict[str, Any] = {"args": positional, "kwargs": kwargs}
        if self._needs_cells():
            root["function"] = self._function
        described = describe_arguments(self._code, args, kwargs)
        encoded = self._encode(here, root, [positional, kwargs], nested=nested)
        if encoded.lost:
            _give_reasons(described, [*args, *kwargs.values()], encoded.lost)
        manifest = f'{{"arguments":[{",".join(map(value_json, described))}]}}'.encode()
        id = os.urandom(8).hex()
        shared, names = self._shared(here)
        stored, parts = _stored(here, encoded, manifest)
        now = time.time()
        body = f'{self._head},"time":{now:.6f},"tags":{tags_json()},{names},{stored}'
        here.journal.append(f'{{"event":"entered","id":"{id}",{body}}}'.encode(), parts, keep=(id, None, None), shared=shared)
        return Call(id, os.getpid(), now, time.perf_counter(), body, parts)

    def _record_return(self, call: Call, value: object, nested: bool) -> None:
        here, id = ground(), self._adopted(call)
        if here is not None:
            taken = time.perf_counter() - call.started
            body = f'{{"event":"returned","id":"{id}","duration":{taken:.9f},"value":{value_json(describe(value))}}}'
            here.journal.append(body.encode(), keep=(id, self._ended_group, self.options.keep))

    def _record_left(self, call: Call, error: BaseException, nested: bool) -> None:
        here, id = ground(), self._adopted(call)
        if here is not None:
            taken = time.perf_counter() - call.started
            body = f'{{"event":"left","id":"{id}","duration":{taken:.9f},"exception":{quote(one_line(error))}}}'
            here.journal.append(body.encode(), keep=(id, self._ended_group, self.options.keep))

    def _adopted(self, call: Call) -> str:
        """Return the id to complete: in a forked child, that of a copy of the entry in the child's own journal."""
        here = ground()
        if call.pid != os.getpid() and here is not None:
            call.id, call.pid = os.urandom(8).hex(), os.getpid()
            shared, _ = self._shared(here)
            here.journal.append(f'{{"event":"entered","id":"{call.id}",{call.body}}}'.encode(), call.parts, keep=(call.id, None, None), shared=shared)
        return call.id

    def _record_failed(self, error: BaseException, frame: FrameType, call: Call | None, nested: bool) -> Recorded | None:
        here = ground()
        if here is None:
            return None
        id = self._adopted(call) if call is not None else os.urandom(8).hex()
        args, kwargs = _bound(frame) if call is None or self.options.on_error else ([], {})
        start = _below(error.__traceback__, frame) if self.options.on_error else None
        return self._write_failure(here, error, start, id=id, args=args, kwargs=kwargs, call=call, nested=nested)

    def handled(self, error: BaseException) -> str | None:
        """Record an exception that the program handles itself, from its whole traceback; return the capture's id."""
        recorded = None if switch.on else self._fenced(self._record_handled, error)
        return recorded.id if recorded is not None else None

    def _record_handled(self, error: BaseException, nested: bool) -> Recorded | None:
        here, start = ground(), error.__traceback__
        if here is None:
            return None
        args, kwargs = ([], {}) if start is None else bound_arguments(start.tb_frame.f_code, start.tb_frame.f_locals)
        return self._write_failure(here, error, start, id=os.urandom(8).hex(), args=args, kwargs=kwargs, call=None, nested=nested)

    def _write_failure(  # noqa: PLR0913  the one place where a failure's parts meet
        self,
        here: Ground,
        error: BaseException,
        start: TracebackType | None,
        *,
        id: str,
        args: list[Any],
        kwargs: dict[str, Any],
        call: Call | None,
        nested: bool,
    ) -> Recorded:
        walk = read(error, start, here.source, save_locals=self.options.save_locals)
        function = None if self._function is None or self._is_found_by_name() else self._function
        calls = [_Given(function, args, kwargs, self._code), *[_Given.of(inner) for inner in walk.inner]]
        values = [given.values() for given in calls]
        described = [given.arguments() for given in calls]
        root = calls[0].root() | {
            "inner": [given.root() for given in calls[1:]],
            "exceptions": walk.exceptions,
            "locals": walk.locals,
            "globals": walk.globals,
        }
        containers: list[Container] = [walk.exceptions, *walk.locals, *walk.globals]
        for given in calls:
            containers += [given.args, given.kwargs]
        encoded = self._encode(here, root, containers, nested=nested, chain=tuple(walk.exceptions))
        for records, originals in zip(described, values, strict=True):
            _give_reasons(records, originals, encoded.lost)
        _give_frame_reasons(walk, encoded.lost)
        manifest = _manifest(walk, described)
        shared, names = self._shared(here)
        stored, parts = _stored(here, encoded, manifest, sources=[code["source"] for code in walk.codes if "source" in code])
        entered, taken = (time.time(), "") if call is None else (call.time, f',"duration":{time.perf_counter() - call.started:.9f}')
        head = f'{self._head},"time":{entered:.6f}{taken},"tags":{tags_json()},{names}'
        recorded = Recorded(id, head, one_line(error), function)
        keep = (id, self._failed_group, self.options.keep)
        views = [(inner.capture.id, inner.capture.body(stored, (inner.exception, inner.entry))) for inner in walk.inner]
        here.journal.append(recorded.body(stored, None), parts, keep=keep, shared=shared, views=views, sync=True)
        if os.environ.get("PYCKPT_VERBOSE", "0") not in {"", "0"} and sys.stderr is not None:
            sys.stderr.write(f"ckpt debug {self.name}\n")
        return recorded

    def _encode(
        self, here: Ground, root: dict[str, Any], containers: Sequence[Container], *, nested: bool, chain: tuple[BaseException, ...] = ()
    ) -> Encoded:
        if nested:
            _keep_plain_values(containers)
            for held in (root, *root.get("inner", ())):
                held.pop("function", None)
        limits = Limits(max_bytes=self.options.max_bytes, exclude=self.options.exclude, open_spill=here.objects.writer)
        return encode(root, containers, limits, chain=() if nested else chain)

    def _needs_cells(self) -> bool:
        """Whether the function must go with each call: it has variables of its own, and cannot be found by name."""
        return getattr(self._function, "__closure__", None) is not None and not self._is_found_by_name()

    def _shared(self, here: Ground) -> tuple[list[str], str]:
        """Return the names of the records this capture relies on, and the fields of its body that name them."""
        process = here.process()
        function = self._function_record(here)
        if function is None:
            return [process], f'"process":"{process}"'
        return [process, function], f'"process":"{process}","function":"{function}"'

    def _function_record(self, here: Ground) -> str | None:
        """Return the name of the function kept by value, for one that no import can find: of a script, a notebook, a lambda."""
        if self._function_name is None or self._function_name[0] is not here:
            self._function_name = (here, self._encode_function(here))
        return self._function_name[1] or None

    def _encode_function(self, here: Ground) -> str:
        if self._function is None or self._is_found_by_name():
            return ""
        encoded = encode({"function": self._function}, [], Limits(max_bytes=self.options.max_bytes))
        if encoded.buffers:
            return ""
        return here.journal.share("function", encoded.stream)

    def _is_found_by_name(self) -> bool:
        """Whether the wrapper, and so the function under it, is what an import finds."""
        module, path = self._path
        found: Any = sys.modules.get(module) if module not in {"__main__", "__mp_main__"} else None
        for name in path.split("."):
            found = getattr(found, name, None)
        return found is not None


def default_name(qualname: str) -> str:
    """Return the name of the captures of a function: its qualified name, in the letters that a name may have."""
    name = qualname.replace("<locals>.", "").replace("<lambda>", "lambda").replace("<module>", "module")
    name = re.sub(r"[^\w.=+@-]", "_", name)[:128]
    return name if _NAME.fullmatch(name) else f"f{name}"[:128]


def is_failure(error: BaseException) -> bool:
    """Whether an exception is a failure of the call that raised it, and not a way of leaving it."""
    if isinstance(error, KeyboardInterrupt):
        return True
    if not isinstance(error, Exception) or isinstance(error, StopIteration | StopAsyncIteration):
        return False
    for module, name in _LEFT:
        kind = vars(sys.modules[module]).get(name) if module in sys.modules else None
        if isinstance(kind, type) and isinstance(error, kind):
            return False
    return True


def _is_outermost(wrapper: FrameType) -> bool:
    """Whether no frame further up runs the same wrapper; looks no further than the next one."""
    code, frame = wrapper.f_code, wrapper.f_back
    while frame is not None:
        if frame.f_code is code:
            return False
        frame = frame.f_back
    return True


def _below(entry: TracebackType | None, wrapper: FrameType) -> TracebackType | None:
    """Return the traceback from the captured function on."""
    while entry is not None and entry.tb_frame is not wrapper:
        entry = entry.tb_next
    return entry.tb_next if entry is not None else None


def _bound(wrapper: FrameType) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments that a wrapper was called with, as they are now."""
    return bound_arguments(wrapper.f_code, wrapper.f_locals)


def bound_arguments(code: CodeType, held: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments among a frame's variables, positional and by keyword; those that are deleted are left out."""
    names, end = code.co_varnames, code.co_argcount + code.co_kwonlyargcount
    args = [held[name] for name in names[: code.co_argcount] if name in held]
    kwargs = {name: held[name] for name in names[code.co_argcount : end] if name in held}
    if code.co_flags & _VARARGS:
        args += held.get(names[end], ())
    if code.co_flags & _VARKW:
        kwargs |= held.get(names[end + bool(code.co_flags & _VARARGS)], {})
    return args, kwargs


def describe_arguments(code: CodeType | None, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Json]:
    """Return the described arguments of a call, under the names of the parameters they went to."""
    names = code.co_varnames[: code.co_argcount] if code is not None else ()
    described = [describe(value, names[index] if index < len(names) else f"*{index}") for index, value in enumerate(args)]
    return described + [describe(value, name) for name, value in kwargs.items()]


@dataclass(slots=True)
class _Given:
    """What a captured call was given, in containers of ours that the codec may put placeholders into."""

    function: object
    args: list[Any]
    kwargs: dict[str, Any]
    code: CodeType | None = None

    @classmethod
    def of(cls, inner: Inner) -> _Given:
        args, kwargs = _bound(inner.wrapper)
        return cls(inner.capture.function, args, kwargs, inner.wrapper.f_code)

    def root(self) -> dict[str, Any]:
        held = {"args": self.args, "kwargs": self.kwargs}
        return held if self.function is None else held | {"function": self.function}

    def values(self) -> list[Any]:
        return [*self.args, *self.kwargs.values()]

    def arguments(self) -> list[Json]:
        return describe_arguments(self.code, self.args, self.kwargs)


def _manifest(walk: Walk, described: Sequence[list[Json]]) -> bytes:
    inner = [
        {"exception": call.exception, "entry": call.entry, "arguments": arguments}
        for call, arguments in zip(walk.inner, described[1:], strict=True)
    ]
    record = {"arguments": described[0], "exceptions": walk.raised, "codes": walk.codes, "frames": walk.frames, "inner": inner}
    return _dumps(record).encode()


def _stored(here: Ground, encoded: Encoded, manifest: bytes, sources: Sequence[str] = ()) -> tuple[str, tuple[bytes, ...]]:
    """Put what does not belong into the journal into objects; return the fields of the body that say where all lies, and the parts."""
    buffers = [here.objects.put_buffer(view) for view in encoded.buffers]
    stream = encoded.spill.publish() if encoded.spill is not None else None  # type: ignore[attr-defined]
    parts = (manifest,) if stream is not None else (manifest, encoded.stream)
    named = f',"sources":{json.dumps(sorted(set(sources)))}' if sources else ""
    sizes = ",".join(f'[{length},"{digest}"]' for length, digest in map(part, parts))
    at = "null" if stream is None else f'"{stream}"'
    return f'"buffers":{json.dumps(buffers) if buffers else "[]"},"stream":{at}{named},"parts":[{sizes}]', parts


def value_json(described: Json) -> str:
    """Return a described value as JSON; quicker than the general encoder, for the records of calls that return."""
    text = f'{{"name":{quote(described["name"])},"type":{quote(described["type"])},"text":{quote(described["text"])}'
    for key in ("length", "shape", "size"):
        if described.get(key) is not None:
            text += f',"{key}":{described[key]}'
    return f'{text},"reason":{quote(described["reason"])}}}' if "reason" in described else text + "}"


def _give_reasons(described: Sequence[Json], values: Sequence[object], lost: dict[int, str]) -> None:
    for record, value in zip(described, values, strict=True):
        if id(value) in lost:
            record["reason"] = lost[id(value)]


def _give_frame_reasons(walk: Walk, lost: dict[int, str]) -> None:
    for frame, held in zip(walk.frames, walk.locals, strict=True):
        for record in frame["locals"]:
            value = held.get(record["name"])
            if type(value) is Placeholder:
                record["reason"] = value.ckpt_reason
            elif id(value) in lost:
                record["reason"] = lost[id(value)]


def _keep_plain_values(containers: Sequence[Container]) -> None:
    reason = "this capture began while another was being made, and keeps plain values only"
    for container in containers:
        for key, value in list(enumerate(container)) if isinstance(container, list) else list(container.items()):
            if type(value) not in _PLAIN:
                described = describe(value)
                container[key] = Placeholder(described["type"], described["text"], reason)


_dumps = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), check_circular=False).encode


def _on_fresh_stack(work: Callable[..., Any], args: tuple[Any, ...], lost: Callable[[BaseException], None]) -> Any:
    """Return what `work` makes on a thread of its own, which begins with a whole stack; for a program that is deep in a recursion."""
    result: list[Any] = []
    done = _thread.allocate_lock()
    done.acquire()

    def run() -> None:
        _thread_state.busy = True
        try:
            result.append(work(*args))
        except BaseException as trouble:  # noqa: BLE001  a thread of ours: signals go to the main thread
            lost(trouble)
        finally:
            done.release()

    _thread.start_new_thread(run, ())
    done.acquire()
    return result[0] if result else None


def capture_exception(exc: BaseException | None = None, name: str | None = None) -> str | None:
    """Capture an exception that the program handles itself, as `@ckpt` captures one that leaves its function.

    Args:
        exc: the exception; inside an `except` block, by default, the one being handled.
        name: the capture's name; by default the qualified name of the function with the `except` block.

    Returns the capture's id, or None when there is no exception or it could not be kept, with one warning.
    Raises `UsageError` for a name that cannot be one.
    """
    options = Options(name=name)
    error = exc if exc is not None else sys.exception()
    if error is None:
        warn("capture_exception() was called where no exception is being handled; nothing is captured.")
        return None
    frame = error.__traceback__.tb_frame if error.__traceback__ is not None else sys._getframe(1)  # noqa: SLF001
    module = frame.f_globals.get("__name__")
    return Recorder(None, options, frame.f_code, module if type(module) is str else "").handled(error)


__all__ = ["Options", "Recorder", "bound_arguments", "capture_exception", "default_name", "is_failure"]
