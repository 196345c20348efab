"""What codesave's README shows runs with only the import changed; what needs wandb is in `test_codebase_wandb`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from ckpt import codebase
from tests import projects
from tests.processes import python

#: The README's calls in its order. A block is what somebody types into one script; `{...}` stands for the import that is all that changes.
SAVING = """
{checkpoint}
checkpoint('codebase/', output_zipname='codebase.zip')
checkpoint('codebase_v2/', output_zipname='codebase_v2.zip')
"""
PATH = """
import sys
sys.path.append('codebase.zip')
import src.model
assert src.model.VERSION == 1
"""
ONE = """
{Codebase}
with Codebase('codebase.zip'):
    from src import model
    model.whatever_you_want
assert model.whatever_you_want() == 1
"""
SEVERAL = """
{UniqueCodebase}
codebase1 = UniqueCodebase('codebase.zip')
codebase2 = UniqueCodebase('codebase_v2.zip')
model_v1 = codebase1.import_module('src.model')
model_v2 = codebase2.import_module('src.model')
assert (model_v1.VERSION, model_v2.VERSION) == (1, 2)
codebase1.import_('src.model')
assert src.model is model_v1
codebase1.import_('src.model', as_='model_v1')
codebase1.from_import('src', ('model', 'utils'))
assert model is model_v1 and utils.again() == 1
codebase2.from_import('src', 'model', as_='model_v1')
assert model_v1 is model_v2
"""
#: The generation in which a class was called ZipCodebase and its methods began with an underscore.
FIRST = """
{checkpoint_codebase}
checkpoint_codebase('flat/', output_zipname='codesave.zip')
checkpoint_codebase('codebase/', output_zipname='codebase.zip')
checkpoint_codebase('codebase_v2/', output_zipname='codebase_v2.zip')
"""
FIRST_PATH = """
import sys
sys.path.append('codesave.zip')
import model
assert model.FLAT
"""
FIRST_SEVERAL = """
{ZipCodebase}
flat = ZipCodebase('codesave.zip')
flat._import('model', _as='model_v1')
assert model_v1.FLAT
codebase1 = ZipCodebase('codebase.zip')
codebase2 = ZipCodebase('codebase_v2.zip')
codebase1._from('src', 'model', _as='model_v1')
codebase2._from('src', 'model', _as='model_v2')
assert (model_v1.VERSION, model_v2.VERSION) == (1, 2)
"""
README = (SAVING, PATH, ONE, SEVERAL, FIRST, FIRST_PATH, FIRST_SEVERAL)


def from_import(name: str) -> str:
    return f"from ckpt.codebase import {name}"


def module_import(name: str) -> str:
    return f"from ckpt import codebase as codesave\n{name} = codesave.{name}"


@pytest.mark.smoke
@pytest.mark.parametrize("imported", [from_import, module_import])
def test_the_readme_runs_with_only_the_import_changed(tmp_path: Path, imported: Callable[[str], str]) -> None:
    """Every block does what it did, in processes that share nothing but the directory."""
    projects.codebase(tmp_path / "codebase", 1)
    projects.codebase(tmp_path / "codebase_v2", 2)
    projects.plant(tmp_path / "flat", {"model.py": "FLAT = True\n", "train.py": "", "eval.py": ""})
    names = ("checkpoint", "checkpoint_codebase", "Codebase", "UniqueCodebase", "ZipCodebase")
    for number, block in enumerate(README):
        (tmp_path / f"block{number}.py").write_text(block.format_map({name: imported(name) for name in names}))
        python(f"block{number}.py", cwd=tmp_path, environ={"XDG_CACHE_HOME": str(tmp_path / "cache")})


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("checkpoint", "main_folder output_zipname extra_libraries extra_pythonpath extra_files ignore ignore_patterns py_only"),
        ("checkpoint", "main_folder extra_libraries extra_pythonpath output_zipname ignore_larger_than verbose"),
        ("checkpoint_to_wandb", "main_folder output_directory extra_libraries extra_pythonpath ignore ignore_patterns py_only"),
        ("checkpoint_to_wandb", "ignore_larger_than verbose codebase_zipname"),
        ("download_from_wandb", "wandb_path output_zipname wandb_filename api"),
        ("load_codebase_from_wandb", "runname wandb_filename output_zipname"),
        ("zip_from_wandb_artifact", "wandb_path output_zipname api"),
        ("zip_from_wandb", "wandb_path output_zipname api artifact"),
        ("Codebase", "zip_name verbose"),
        ("UniqueCodebase", "zip_name verbose make_unique"),
        ("WandBCodebase", "wandb_path api artifact make_unique"),
    ],
)
def test_parameters_keep_their_names(name: str, parameters: str) -> None:
    """Every parameter that codesave's interface names is there, and can be given in its place."""
    ours = inspect.signature(getattr(codebase, name)).parameters
    assert set(parameters.split()) <= set(ours)
    assert all(ours[parameter].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for parameter in parameters.split())


def test_every_name_of_either_generation_is_there() -> None:
    """The names that the README of either generation imports are public, and sorted."""
    names = (
        "Codebase UniqueCodebase ZipCodebase WandBCodebase checkpoint checkpoint_codebase checkpoint_to_wandb checkpoint_codebase_for_wandb"
    )
    more = "download_from_wandb load_codebase_from_wandb zip_from_wandb_artifact"
    assert set(f"{names} {more}".split()) <= set(codebase.__all__)
    assert sorted(codebase.__all__) == codebase.__all__
    assert all(hasattr(codebase, name) for name in codebase.__all__)
