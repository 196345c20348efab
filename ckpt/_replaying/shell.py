"""IPython among captured variables; where it is missing or broken, the plain Python console."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from types import ModuleType, TracebackType
from typing import Any

from ckpt._replaying.interpreter import check_input, given_back, has_terminal, is_plain, module_put, say, shell_let_go, standard, why
from ckpt._replaying.tracebacks import entries, is_ours
from ckpt.errors import PlaceholderError

__all__ = ["shell"]


def shell(namespace: Mapping[str, Any], *, banner: str, module: ModuleType | None, exception: BaseException | None) -> None:
    """Open IPython among the names of `namespace`, over those of `module`, and return when the person leaves it.

    Locals and globals are one dict there, so that comprehensions, lambdas and nested functions see every name; it is a copy: what is
    assigned at the prompt stays there. With an `exception`, `%debug` opens its frames. Without IPython: the plain Python console.
    """
    check_input()
    with given_back(), ExitStack() as shells:
        _set_last(exception)
        try:
            ipython = shells.enter_context(_ipython(namespace, module))
        except Exception as err:
            say(f"IPython cannot be used ({why(err)}); the plain Python console instead.")
            _console(_merged(namespace, module), banner)
        else:
            ipython.show_banner(banner + "\n")
            ipython.mainloop()


@contextmanager
def _ipython(namespace: Mapping[str, Any], module: ModuleType | None) -> Iterator[Any]:
    """Give a new IPython shell over the names, which `get_ipython()` returns until it is left."""
    with module_put("pdb", standard("pdb")):  # `%debug` stands on it
        embed = import_module("IPython.terminal.embed")
        import_module("IPython.terminal.debugger")
    user = ModuleType(module.__name__ if module is not None else "__main__")
    user.__dict__.update(_merged(namespace, module))
    with shell_let_go(apart=True):
        ipython = embed.InteractiveShellEmbed.instance(config=_ipython_config(), user_module=user, user_ns=vars(user))
        # `%who` lists what was captured, not the module.
        ipython.user_ns_hidden.update({name: value for name, value in vars(user).items() if name not in namespace})
        ipython.events.register("post_run_cell", _follow_last)
        ipython.set_custom_exc((PlaceholderError,), _show_touched)
        yield ipython


def _show_touched(
    ipython: Any, kind: type[BaseException], error: BaseException, traceback: TracebackType, tb_offset: int | None = None
) -> None:
    """Show the traceback of a placeholder that was used, up to the line that used it."""
    found = [*entries(traceback)]
    while len(found) > 1 and is_ours(found[-1].tb_frame):
        found.pop()
    found[-1].tb_next = None
    ipython.showtraceback((kind, error, traceback), tb_offset=tb_offset)


def _ipython_config() -> Any:
    """Return the user's IPython configuration, made quiet where there is no terminal or a simple one."""
    config = import_module("IPython.terminal.ipapp").load_default_config()
    config.InteractiveShellEmbed = config.TerminalInteractiveShell
    if is_plain():
        config.InteractiveShellEmbed.colors = "nocolor"
        config.InteractiveShellEmbed.simple_prompt = True
    if not has_terminal():
        config.InteractiveShellEmbed.confirm_exit = False
        config.HistoryManager.enabled = False
    return config


def _merged(namespace: Mapping[str, Any], module: ModuleType | None) -> dict[str, Any]:
    return {**(vars(module) if module is not None else {"__name__": "__main__"}), **namespace}


def _console(names: dict[str, Any], banner: str) -> None:
    with suppress(SystemExit):  # `exit()` at the prompt
        standard("code").interact(banner=banner, local=names, exitmsg="")


def _set_last(exception: BaseException | None) -> None:
    if exception is not None:
        sys.last_type, sys.last_value, sys.last_traceback = type(exception), exception, exception.__traceback__
        _follow_last()


def _follow_last(_result: object = None) -> None:
    """Make `sys.last_exc` the last exception. IPython 8.30 reads it for `%debug`, but does not set it."""
    if sys.version_info >= (3, 12) and hasattr(sys, "last_value"):
        sys.last_exc = sys.last_value
