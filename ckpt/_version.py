"""The version of the package; `pyproject.toml` reads it here, so that knowing it costs no look into installed metadata."""

VERSION = "0.3.0"
