"""A call or an exception -> records and bytes in the store.

The program never notices: what goes wrong here is one `CkptWarning`, and the call goes on. What is not ours to keep, a Ctrl-C or the
exception of a signal handler, goes on too. A capture that begins inside another on the same thread keeps plain values only.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from json.encoder import encode_basestring_ascii as quote
from types import CodeType, FrameType, TracebackType
from typing import Any

from ckpt._model.codec import Container, Encoded, Limits, Search, encode
from ckpt._model.describe import one_line, type_name
from ckpt._model.interrupts import let_pass
from ckpt._model.redact import holds_something, is_secret
from ckpt._model.replaying import switch
from ckpt._model.secrets import Secrets
from ckpt._model.tags import tags_json
from ckpt._recording import events
from ckpt._recording.concealing import (
    VARKW,
    conceal,
    conceal_call,
    conceal_failure,
    conceal_walk,
    described_without,
    has_secret_names,
    no_secrets,
    tags_without,
)
from ckpt._recording.endings import below, is_failure, is_outermost
from ckpt._recording.fence import BEYOND, fenced
from ckpt._recording.function import PARTIAL, Function, names_of
from ckpt._recording.given import Given, bound_arguments, keep_plain_values, named
from ckpt._recording.ground import Ground, ground, reason, say, warn
from ckpt._recording.options import Options, default_name, is_disabled
from ckpt._recording.tracebacks import own, read
from ckpt._recording.variables import variables_of
from ckpt._recording.walk import Extent, Recorded, Walk
from ckpt._recording.wording import described_json, give_reasons, redacted_json

NESTED = "this capture began while another was being made, and keeps plain values only"


@dataclass(slots=True)
class Call:
    """A call that was recorded when it was entered."""

    id: str
    pid: int
    #: When it was entered: seconds since the epoch, and on the clock that durations are measured with.
    time: float
    started: float
    #: The event, but for its id, and its parts: a forked child tells its own story with them.
    fields: str
    parts: tuple[bytes, ...]
    #: The secret texts among the arguments, which are not told of how it ends either.
    secrets: Secrets | None = None


@dataclass(slots=True)
class _Failure:
    """An exception that is to be recorded: from which entry of its traceback on, and of which call."""

    error: BaseException
    start: TracebackType | None
    given: Given
    call: Call | None
    #: The frame above the first of the traceback.
    above: FrameType | None = None
    #: Whether the program handles it itself, so that it ends no call.
    is_handled: bool = False
    #: What is secret among all that is kept of it.
    secrets: Secrets | None = None


class Recorder:
    """Records the calls of one function. Every method is called by the function's wrapper, and none raises anything of ours."""

    def __init__(self, function: Any, options: Options, code: CodeType | None = None, module: str = "") -> None:
        self.options = options
        self._code: CodeType | None = code or getattr(function, "__code__", None)
        module, qualname = names_of(function) if code is None else (module, code.co_qualname)
        self.name = options.name or default_name(qualname.removesuffix(PARTIAL))
        self._function = Function(function, module, qualname)
        self._function_name = qualname.removesuffix(PARTIAL).rpartition(".")[2]
        #: The ground by whose settings no name of a parameter is secret; and whether that of the function is, by those of the last.
        self._calm_on: Ground | None = None
        self._returns_secret = False
        #: What competes for the places that `keep` gives: failures, and other calls.
        self._failed_group, self._ended_group = (module, qualname, self.name, True), (module, qualname, self.name, False)
        self._head = f'"name":{quote(self.name)},"module":{quote(module)},"qualname":{quote(qualname)},"keep":{options.keep}'
        self._place = (self._code.co_filename, self._code.co_firstlineno) if self._code is not None else ("<ckpt>", 1)
        self._limits: Limits | None = None

    # What the wrapper calls. Each finds the wrapper's frame one level up.

    def failed(self, error: BaseException) -> Recorded | None:
        """Record a failure in on-error mode; return what identifies the capture, None when there is nothing to record."""
        try:
            frame = sys._getframe(1)
            if switch.on or not is_outermost(frame) or not is_failure(error, self._function_name):
                return None
            return fenced(self._lost, self._record_failed, error, frame, None)
        except BEYOND:  # so in the three below
            return None

    def entered(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        """Record a call before its body can change the arguments; None when this call is not recorded."""
        try:
            if switch.on or not is_outermost(sys._getframe(1)):
                return None
            if self.options.active is not True and not fenced(self._lost, self._is_active, args, kwargs):
                return None
            return fenced(self._lost, self._record_entry, args, kwargs)
        except BEYOND:
            return None

    def returned(self, call: Call | None, value: object) -> None:
        """Complete the record of a call that returned."""
        try:
            if call is not None:
                fenced(self._lost, self._record_return, call, value)
        except BEYOND:
            return

    def ended(self, call: Call | None, error: BaseException) -> Recorded | None:
        """Complete the record of a call that raised; return what identifies the capture of a failure."""
        try:
            if switch.on:
                return None
            if not is_failure(error, self._function_name):
                return fenced(self._lost, self._record_left, call, error) if call is not None else None
            frame = sys._getframe(1)
            if call is None and not (self.options.on_error and is_outermost(frame)):
                return None
            return fenced(self._lost, self._record_failed, error, frame, call) or fenced(self._lost, self._record_bare, error, call)
        except BEYOND:
            return None

    def handled(self, error: BaseException) -> str | None:
        """Record an exception that the program handles itself, from its whole traceback; return the capture's id."""
        recorded = None if switch.on else fenced(self._lost, self._record_handled, error)
        return recorded.id if recorded is not None else None

    # What happens behind the fence. The last parameter says whether this thread was recording already.

    def _lost(self, trouble: BaseException) -> None:
        warn(f"A capture of {self.name} is lost: {reason(trouble)}", *self._place)

    def _is_active(self, args: tuple[Any, ...], kwargs: dict[str, Any], nested: bool) -> bool:
        active = self.options.active
        assert callable(active)
        try:
            return bool(active(*args, **kwargs))
        except Exception as trouble:
            let_pass(trouble)
            warn(f"active= of {self.name} raised, and the call is not captured: {one_line(trouble)}", *self._place)
            return False

    def _record_entry(self, args: tuple[Any, ...], kwargs: dict[str, Any], nested: bool) -> Call | None:
        here = ground()
        if here is None:
            return None
        positional = list(args)
        root: dict[str, Any] = {"args": positional, "kwargs": kwargs}
        function = self._function.unlike_others()
        if function is not None:
            root["function"] = function
        search: Search = self._search if function is None else partial(self._search, function=function)
        secrets = None if self._calm_on is here else self._search_names(here, positional, kwargs)
        texts = [described_json(value, name) for value, name in named(self._code, args, kwargs)]
        encoded = self._encode(here, root, [positional, kwargs], secrets, search, nested=nested)
        secrets, tags = encoded.secrets, tags_json()
        if secrets is not None:
            conceal(texts, (*positional, *kwargs.values()), secrets)
            tags = tags_without(tags, secrets)
        if encoded.lost or nested or secrets is not None:
            give_reasons(texts, (*positional, *kwargs.values()), encoded.lost)
        manifest = events.entry_manifest(texts)
        shared, names = self._shared(here, secrets, nested=nested)
        placed = events.place(here.objects, encoded, manifest)
        now = time.time()
        fields = f'{self._head},"time":{now:.6f},"tags":{tags},{names},{placed.fields}'
        call = Call(os.urandom(8).hex(), here.pid, now, 0.0, fields, placed.parts, secrets)
        if secrets is not None:
            secrets.settle()
        here.journal.append(events.entered(call.id, call.fields), call.parts, keep=(call.id, None, None), shared=shared)
        call.started = time.perf_counter()
        return call

    def _search(self, containers: Sequence[Container], function: object = None) -> Secrets | None:
        args, kwargs = containers
        assert isinstance(args, list)
        assert isinstance(kwargs, dict)
        return conceal_call(self._code, args, kwargs, function)

    def _search_names(self, here: Ground, args: list[Any], kwargs: dict[str, Any]) -> Secrets | None:
        """Return what is secret by the names of arguments; that no parameter is, is remembered."""
        code = self._code
        self._returns_secret = is_secret(self._function_name)
        if has_secret_names(code) or any(map(is_secret, kwargs)):
            return conceal_call(code, args, kwargs)
        if code is None or not code.co_flags & VARKW:
            self._calm_on = here
        return None

    def _record_return(self, call: Call, value: object, nested: bool) -> None:
        taken = time.perf_counter() - call.started
        here = self._ground_of(call)
        if here is not None:
            text = redacted_json(value) if self._returns_secret and holds_something(value) else described_json(value)
            if call.secrets is not None:
                text = described_without(text, value, call.secrets)
            here.journal.append(events.returned(call.id, taken, text), keep=(call.id, self._ended_group, self.options.keep))

    def _record_left(self, call: Call, error: BaseException, nested: bool) -> None:
        taken = time.perf_counter() - call.started
        here = self._ground_of(call)
        if here is not None:
            text = one_line(error) if call.secrets is None else call.secrets.cover(one_line(error))
            here.journal.append(events.left(call.id, taken, text), keep=(call.id, self._ended_group, self.options.keep))

    def _ground_of(self, call: Call) -> Ground | None:
        """Return where a call is completed; a forked child first writes the entry again, under an id of its own."""
        here = ground()
        if here is not None and call.pid != here.pid:
            call.id, call.pid = os.urandom(8).hex(), here.pid
            shared, _ = self._shared(here)
            here.journal.append(events.entered(call.id, call.fields), call.parts, keep=(call.id, None, None), shared=shared)
        return here

    def _record_failed(self, error: BaseException, frame: FrameType, call: Call | None, nested: bool) -> Recorded | None:
        here = ground() if call is None else self._ground_of(call)
        if here is None:
            return None
        if not self.options.on_error:
            return self._record_bare(error, call, nested)
        given = Given.of(self._function.unimportable(), frame)
        return self._write(
            here,
            _Failure(error, below(own(error, "__traceback__"), frame), given, call, frame.f_back),
            nested=nested,
        )

    def _record_bare(self, error: BaseException, call: Call | None, nested: bool) -> Recorded | None:
        """Say at least that a call failed, when its frames could not be recorded."""
        here = self._ground_of(call) if call is not None else None
        if here is None:
            return None
        return self._write(here, _Failure(error, None, Given(None, [], {}, self._code), call), nested=nested)

    def _record_handled(self, error: BaseException, nested: bool) -> Recorded | None:
        here, start = ground(), own(error, "__traceback__")
        if here is None:
            return None
        held = ([], {}) if start is None else bound_arguments(start.tb_frame.f_code, variables_of(start.tb_frame))
        above = start.tb_frame.f_back if start is not None else None
        return self._write(here, _Failure(error, start, Given(None, *held, self._code), None, above, is_handled=True), nested=nested)

    def _write(self, here: Ground, failure: _Failure, *, nested: bool) -> Recorded:
        extent = Extent(save_locals=self.options.save_locals, callers=self.options.callers)
        walk = read(failure.error, failure.start, here.source, failure.above, extent)
        inner = [Given.of(found.capture.function, found.wrapper) for found in walk.inner]
        calls = (failure.given, *inner)
        arguments = [call.texts() for call in calls]
        known = conceal_failure(walk, calls, failure.call.secrets if failure.call is not None else None)
        encoded = self._encode_failure(here, walk, calls, known, nested=nested)
        secrets = failure.secrets = encoded.secrets
        if secrets is not None:
            conceal_walk(walk, secrets)
            for texts, call in zip(arguments, calls, strict=True):
                conceal(texts, call.values(), secrets)
        if encoded.lost or nested or walk.has_placeholders or secrets is not None:
            for texts, call in zip(arguments, calls, strict=True):
                give_reasons(texts, call.values(), encoded.lost)
            for frame, held in zip(walk.frames, walk.locals, strict=True):
                give_reasons(frame.locals, [held[name] for name in frame.names], encoded.lost)
        manifest = events.failure_manifest(walk, arguments[0], arguments[1:])
        sources = [code["source"] for code in walk.codes if "source" in code]
        placed = events.place(here.objects, encoded, manifest, sources, sync=True)
        return self._commit(here, failure, walk, placed, nested=nested)

    def _encode_failure(self, here: Ground, walk: Walk, calls: Sequence[Given], secrets: Secrets | None, *, nested: bool) -> Encoded:
        root = calls[0].root() | {
            "inner": [call.root() for call in calls[1:]],
            "exceptions": walk.exceptions,
            "locals": walk.locals,
            "globals": walk.globals,
        }
        containers: list[Container] = [walk.exceptions, *walk.locals, *walk.globals]
        for call in calls:
            containers += [call.args, call.kwargs]
        return self._encode(here, root, containers, secrets, no_secrets, nested=nested, chain=tuple(walk.exceptions))

    def _commit(self, here: Ground, failure: _Failure, walk: Walk, placed: events.Placed, *, nested: bool) -> Recorded:
        shared, names = self._shared(here, failure.secrets, nested=nested)
        call = failure.call
        id, times = os.urandom(8).hex(), f'"time":{time.time():.6f}'
        if call is not None:
            id, times = call.id, f'"time":{call.time:.6f},"duration":{time.perf_counter() - call.started:.9f}'
        tags, exception = tags_json(), one_line(failure.error)
        if failure.secrets is not None:
            tags, exception = tags_without(tags, failure.secrets), failure.secrets.cover(exception)
        handled = ',"handled":true' if failure.is_handled else ""
        recorded = Recorded(id, f'{self._head},{times},"tags":{tags},{names}{handled}', exception, failure.given.function)
        views = [(found.capture.id, found.capture.body(placed.fields, (found.exception, found.entry))) for found in walk.inner]
        keep = (id, self._failed_group, self.options.keep)
        here.journal.append(recorded.body(placed.fields, None), placed.parts, keep=keep, shared=shared, views=views, sync=True)
        if os.environ.get("PYCKPT_VERBOSE", "0") not in {"", "0"}:
            say(f"ckpt debug {self.name}")
        return recorded

    def _encode(  # noqa: PLR0913  what is encoded, and how
        self,
        here: Ground,
        root: dict[str, Any],
        containers: Sequence[Container],
        secrets: Secrets | None,
        search: Search,
        *,
        nested: bool,
        chain: tuple[BaseException, ...] = (),
    ) -> Encoded:
        if nested:
            keep_plain_values(containers, NESTED)
            for held in (root, *root.get("inner", ())):
                held.pop("function", None)
        if self._limits is None or self._limits.open_spill != here.objects.writer:
            max_bytes = self.options.max_bytes or here.max_bytes
            self._limits = Limits(max_bytes=max_bytes, exclude=self.options.exclude, open_spill=here.objects.writer)
        return encode(root, containers, self._limits, chain=() if nested else chain, secrets=secrets, search=search)

    def _shared(self, here: Ground, secrets: Secrets | None = None, *, nested: bool = False) -> tuple[list[str], str]:
        """Return the names of the records this capture relies on, and the fields of its body that name them."""
        process = here.process(secrets)
        function = self._function.name_on(here, self.options, secrets, nested=nested)
        if not function:
            return [process], f'"process":"{process}"'
        return [process, function], f'"process":"{process}","function":"{function}"'


def capture_exception(exc: BaseException | None = None, name: str | None = None) -> str | None:
    """Capture an exception that the program handles itself, as `@ckpt` captures one that leaves its function.

    Args:
        exc: the exception; inside an `except` block, by default, the one being handled.
        name: the capture's name; by default the qualified name of the function with the `except` block.

    Returns the capture's id, or None when there is no exception or it could not be kept, with one warning.
    Raises `UsageError` for a name that cannot be one.
    """
    try:
        options = Options(name=name)
        error = exc if exc is not None else sys.exception()
        if switch.tell is not None and error is not None and issubclass(type(error), BaseException):
            switch.tell(error)
        return None if is_disabled() else _capture_handled(error, options)
    except BEYOND:
        return None


def _capture_handled(error: BaseException | None, options: Options) -> str | None:
    caller = sys._getframe(2)
    here = caller.f_code.co_filename, caller.f_lineno or 1
    if error is None:
        warn("capture_exception() was called where no exception is being handled; nothing is captured.", *here)
        return None
    if not issubclass(type(error), BaseException):
        warn(f"capture_exception() takes an exception, not an object of type {type_name(type(error))}; nothing is captured.", *here)
        return None
    start = own(error, "__traceback__")
    frame = start.tb_frame if start is not None else caller
    module = frame.f_globals.get("__name__")
    return Recorder(None, options, frame.f_code, module if type(module) is str else "").handled(error)
