"""Which objects are never kept, by their type: running code, live resources, and what does harm when it is made again.

A resource is a placeholder as a whole: its parts are useless, and some make noise, or delete a file, when they are thrown away. Types are
known by module and name, so that nothing has to be imported to know them; a subclass is known by its bases. No code of theirs runs.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from ckpt._model.layout import bases_of, has_plain_hash, module_of, name_of

#: The modules whose names mean something else in another process.
MAIN_NAMES = frozenset({"__main__", "__mp_main__"})

_REASONS: dict[tuple[str, str], str] = {
    ("builtins", "frame"): "a running frame",
    ("builtins", "traceback"): "a traceback of running frames",
    ("builtins", "generator"): "a generator cannot be kept half-way",
    ("builtins", "coroutine"): "a coroutine cannot be kept half-way",
    ("builtins", "async_generator"): "an asynchronous generator cannot be kept half-way",
    ("builtins", "super"): "super() is bound to a running frame",
    ("_io", "_IOBase"): "an open file",
    ("_thread", "_local"): "values of one thread",
    ("_threading_local", "local"): "values of one thread",
    ("threading", "Thread"): "a thread",
    ("_socket", "socket"): "a socket",
    ("mmap", "mmap"): "a mapped file",
    ("asyncio.events", "AbstractEventLoop"): "an event loop",
    ("_asyncio", "Future"): "a future or task of a running loop",
    ("asyncio.futures", "Future"): "a future or task of a running loop",
    ("concurrent.futures._base", "Executor"): "an executor with running workers",
    ("concurrent.futures._base", "Future"): "a future of a running executor",
    ("multiprocessing.process", "BaseProcess"): "a child process",
    ("subprocess", "Popen"): "a child process",
    ("logging", "Handler"): "a logging handler with its lock and file",
    ("sqlite3", "Connection"): "a database connection",
    ("sqlalchemy.engine.base", "Connection"): "a database connection",
    ("sqlalchemy.engine.base", "Engine"): "a pool of database connections",
    ("sqlalchemy.pool.base", "Pool"): "a pool of database connections",
    ("sqlalchemy.orm.session", "Session"): "a session with a database",
    ("sqlalchemy.ext.asyncio.engine", "AsyncConnection"): "a database connection",
    ("sqlalchemy.ext.asyncio.engine", "AsyncEngine"): "a pool of database connections",
    ("sqlalchemy.ext.asyncio.session", "AsyncSession"): "a session with a database",
    ("tqdm.std", "tqdm"): "a progress bar",
    ("zipfile", "ZipFile"): "an open archive",
    ("tarfile", "TarFile"): "an open archive",
    ("numpy.lib._npyio_impl", "NpzFile"): "an open archive",
    ("numpy.lib.npyio", "NpzFile"): "an open archive",
    ("selectors", "BaseSelector"): "a selector of open files",
    ("ctypes", "CDLL"): "a loaded library",
    # Made again, these connect to a server, or when they are thrown away write to the program's files, or delete its memory.
    ("dbm.dumb", "_Database"): "an open database file",
    ("dbm.sqlite3", "_Database"): "an open database file",
    ("fileinput", "FileInput"): "open files",
    ("shelve", "Shelf"): "an open database file",
    ("multiprocessing.managers", "BaseProxy"): "a connection to a manager's process",
    ("multiprocessing.shared_memory", "SharedMemory"): "shared memory",
    ("tempfile", "TemporaryDirectory"): "a temporary directory",
    ("tempfile", "_TemporaryFileCloser"): "an open temporary file",
    ("tempfile", "_TemporaryFileWrapper"): "an open temporary file",
}
#: Files that are only memory.
_KEPT = frozenset({("_io", "BytesIO"), ("_io", "StringIO")})


def refusal(kind: type, exclude: tuple[type, ...] = ()) -> str | None:
    """Return why objects of type `kind` are never kept; None when they may be."""
    if exclude and issubclass(kind, exclude):
        return "excluded"
    if not has_plain_hash(kind):
        return _find(kind)
    if kind not in _found:
        _found[kind] = _find(kind)
    return _found[kind]


#: Types are asked about again and again.
_found: WeakKeyDictionary[type, str | None] = WeakKeyDictionary()


def _find(kind: type) -> str | None:
    for base in bases_of(kind):
        name = (module_of(base), name_of(base))
        if name in _KEPT:
            return None
        if name in _REASONS:
            return _REASONS[name]
    return None


def is_of_main(kind: type) -> bool:
    """Whether a class is of `__main__`, which is another module where the stream will be loaded."""
    return module_of(kind) in MAIN_NAMES
