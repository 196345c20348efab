"""The names that a stream calls when it is loaded: a file format.

Here they are empty. `loading` answers to them with functions that know where the stream is loaded; a stream that falls into the hands of a
plain unpickler raises.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

#: The first object of a stream that consists of several pickles: this, the deepest objects, the root, and states until the end.
DEEP = "ckpt: deepest first"


def _verb(name: str) -> Callable[..., Any]:
    def verb(*args: Any) -> Any:
        raise pickle.UnpicklingError(f"This stream can only be loaded by ckpt ({name}).")

    verb.__name__ = verb.__qualname__ = name
    verb.__module__ = __name__
    return verb


#: (type, description, reason) -> a placeholder
stream_placeholder = _verb("stream_placeholder")
#: (module, qualname, function, args, id) -> today's object of that name, or the one made before, or function(*args)
stream_by_value = _verb("stream_by_value")
#: (object, state) -> None; nothing for an object that was there before
stream_function_state = _verb("stream_function_state")
stream_class_state = _verb("stream_class_state")
#: (code, globals, cells) -> a function
stream_function = _verb("stream_function")
#: (bytes, magic number of their Python) -> a code object, or a placeholder on another Python
stream_code = _verb("stream_code")
#: (module, names) -> the globals of that module; a new dict with those names when it cannot be imported
stream_namespace = _verb("stream_namespace")
#: () -> an empty cell; (cell, contents) -> None
stream_cell = _verb("stream_cell")
stream_cell_state = _verb("stream_cell_state")
#: (class, args, name of its builtin base) -> an exception, built without running its own constructor
stream_exception = _verb("stream_exception")
#: (exception, state) -> None
stream_exception_state = _verb("stream_exception_state")
#: (function, self) -> a bound method
stream_method = _verb("stream_method")
#: (class, *args) -> class.__new__(class, *args), for objects that lie about their class
stream_new = _verb("stream_new")
#: (object, fields) -> None; sets slots and dictionary, past anything that the class says about attributes
stream_state = _verb("stream_state")
#: (value,) -> value; what a wrapper of ours stands for
stream_same = _verb("stream_same")
#: (buffer,) -> the memory of tensors; (class, memory, (dtype, offset, shape, stride), requires_grad, device) -> a tensor
stream_storage = _verb("stream_storage")
stream_tensor = _verb("stream_tensor")
#: (tensor, gradient) -> None
stream_gradient = _verb("stream_gradient")
#: (bytes,) -> what dill makes of them
stream_dill = _verb("stream_dill")
#: (name,) -> the module of that name, imported
stream_module = _verb("stream_module")
#: (name,) -> `sys.stdin`, `sys.stdout` or `sys.stderr`
stream_standard = _verb("stream_standard")
#: (buffer, format, shape) -> a memoryview
stream_view = _verb("stream_view")
