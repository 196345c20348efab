"""`python -m ckpt`, and what the command `ckpt` calls."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from ckpt._cli.app import main as run

    run()


if __name__ == "__main__":
    main()
