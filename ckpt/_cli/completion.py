"""The names of captures, for completion.

Typer answers the shells with commands and options, and asks here for names. zsh evaluates the answer, so a name reaches it only in the
characters of which ckpt makes names, whatever stands in a journal; and never a message or a value.
"""

from __future__ import annotations

import typer

from ckpt._cli.shells import offered


def capture_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of captures that begin with `incomplete`, the latest first. Reads JSON only and never raises."""
    from ckpt._store.location import locate
    from ckpt._store.store import Store

    try:
        option = ctx.find_root().params.get("ckpt_dir")
        names = [header.name for header in reversed(Store(locate(option).path).headers())]
        return offered(names, incomplete)
    except Exception:  # a person pressed TAB in the middle of a line: no trouble of ours may be written into it
        return []
