"""`python -m ckpt`, and what the command `ckpt` calls."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    from ckpt._cli.app import main as run

    run()


if __name__ == "__main__":
    # `-m` puts the working directory first: a user's `grp.py` there would run in the place of Python's, even while one only looks.
    if not sys.flags.safe_path:
        del sys.path[0]
    main()
