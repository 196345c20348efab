"""Code snapshots: the code of an experiment as one file, and several versions of it side by side.

`checkpoint` writes one; `UniqueCodebase` opens as many versions as one likes; `python codebase.zip train.py` runs one, without ckpt. The
names and parameters are those of the package `codesave`: there `from ckpt import codebase as codesave` is all that changes.
"""

from __future__ import annotations

from ckpt.codebase.loading import Codebase, UniqueCodebase
from ckpt.codebase.rules import LeftOut
from ckpt.codebase.runs import (
    WandBCodebase,
    checkpoint_to_wandb,
    download_from_wandb,
    load_codebase_from_wandb,
    zip_from_wandb,
    zip_from_wandb_artifact,
)
from ckpt.codebase.snapshot import Report, checkpoint, make_pyz

ZipCodebase = UniqueCodebase
checkpoint_codebase = checkpoint
checkpoint_codebase_for_wandb = checkpoint_to_wandb

__all__ = [
    "Codebase",
    "LeftOut",
    "Report",
    "UniqueCodebase",
    "WandBCodebase",
    "ZipCodebase",
    "checkpoint",
    "checkpoint_codebase",
    "checkpoint_codebase_for_wandb",
    "checkpoint_to_wandb",
    "download_from_wandb",
    "load_codebase_from_wandb",
    "make_pyz",
    "zip_from_wandb",
    "zip_from_wandb_artifact",
]
