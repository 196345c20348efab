"""The examples fail where their data is flawed, and one edit mends them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FAULTY = 'group = [each for each in cars if each["Origin"] == origin]'
MENDED = 'group = [each for each in cars if each["Origin"] == origin and each["Horsepower"] is not None]'

pytestmark = pytest.mark.smoke


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the examples with a store of its own."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    run(tmp_path, "-m", "ckpt", "init")
    return tmp_path


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in `project`, as somebody who has never used ckpt."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYCKPT", "XDG_"))}
    environment = inherited | {"HOME": str(project), "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "TERM": "dumb"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def mend(project: Path) -> None:
    """Change the one line that is wrong."""
    script = project / "examples" / "cars.py"
    text = script.read_text(encoding="utf-8")
    assert text.count(FAULTY) == 1
    script.write_text(text.replace(FAULTY, MENDED), encoding="utf-8")


def test_the_cars_have_the_gaps_that_the_example_is_about() -> None:
    """The data is as published: 406 cars, six without horsepower, eight without mileage."""
    cars = json.loads((ROOT / "examples" / "cars.json").read_text(encoding="utf-8"))
    assert len(cars) == 406
    assert sum(car["Horsepower"] is None for car in cars) == 6
    assert sum(car["Miles_per_Gallon"] is None for car in cars) == 8


def test_the_example_fails_on_the_first_car_without_horsepower(project: Path) -> None:
    """The analysis ends as it would without ckpt, and the failing call is kept with the car that broke it."""
    done = run(project, "examples/cars.py")
    assert done.returncode == 1
    assert done.stdout == "loading cars.json ...\n"
    assert done.stderr.splitlines()[-1] == "TypeError: unsupported operand type(s) for /: 'NoneType' and 'float'"
    (capture,) = json.loads(run(project, "-m", "ckpt", "info", "--json").stdout)["captures"]
    assert (capture["name"], capture["status"]) == ("summarise", "failed")
    assert "renault lecar deluxe" in run(project, "-m", "ckpt", "show").stdout


def test_after_the_edit_run_says_fixed_without_loading_again(project: Path) -> None:
    """The replay calls the mended function with the captured cars; the data file is not even there any more."""
    run(project, "examples/cars.py")
    again = run(project, "-m", "ckpt", "run", "summarise")
    assert (again.returncode, again.stderr.splitlines()[-1].partition(":")[0]) == (1, "same failure")
    mend(project)
    (project / "examples" / "cars.json").unlink()
    done = run(project, "-m", "ckpt", "run", "summarise")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "{'Europe': 45.2, 'Japan': 48.2, 'USA': 31.2}"
    assert done.stderr.splitlines()[-1].startswith("fixed")
    assert "loading" not in done.stdout + done.stderr


def test_the_mended_example_prints_its_table(project: Path) -> None:
    """With the edit the analysis runs through, and its call is listed as returned."""
    mend(project)
    done = run(project, "examples/cars.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "{'Europe': 45.2, 'Japan': 48.2, 'USA': 31.2}"
    (capture,) = json.loads(run(project, "-m", "ckpt", "info", "--json").stdout)["captures"]
    assert (capture["name"], capture["status"]) == ("summarise", "returned")
