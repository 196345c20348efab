"""What a run stores and loads, where, and how."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from ckpt.errors import UsageError
from ckpt.pipeline.graphs import Pipeline
from ckpt.pipeline.stages import SERIALIZERS, Stage

KEYS = ("code", "name")


@dataclass(frozen=True, slots=True)
class Config:
    """How a pipeline runs. Raises `UsageError` for what cannot work.

    Args:
        load: whether stored results are used in place of running a stage; or the stages, or their names, for which they are.
        store: whether results are stored; or the stages for which they are.
        dir: the directory of the results, or an fsspec URL; by default `pipelines` in the store of captures.
        key: "code": a result is used when code and inputs of its stage are those that made it; "name": whenever there is one.
        serializer: "json" or "pickle" for all stages that do not say it themselves.
        executor: any `concurrent.futures.Executor`, on which stages run at the same time; by default they run one by one, here.
        wait: for how many seconds to wait for a result that another process is computing, before computing it here.
        progress: whether to say on standard error what happens; None: a table on a terminal, lines elsewhere; True: lines.
        storage_options: what the file system of an fsspec URL is to be given.
        secret: signs the results in place of this user's key: whoever has it can use the others' results, and have theirs used.
    """

    load: bool | Sequence[Stage | str] = False
    store: bool | Sequence[Stage | str] = True
    dir: str | os.PathLike[str] | None = None
    key: str = "code"
    serializer: str | None = None
    executor: Executor | None = None
    wait: float = 3600.0
    progress: bool | None = None
    storage_options: Mapping[str, Any] = field(default_factory=dict)
    secret: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("load", "store"):
            _check_choice(name, getattr(self, name))
        _check_rest(self)
        if self.key not in KEYS:
            raise UsageError(f"key is 'code' or 'name', not {self.key!r}.")
        if self.serializer is not None and self.serializer not in SERIALIZERS:
            raise UsageError(f"serializer is 'json' or 'pickle', not {self.serializer!r}.")
        if self.executor is not None and not callable(getattr(self.executor, "submit", None)):
            raise UsageError(f"executor is a concurrent.futures.Executor, not {self.executor!r}.", hint="for Dask: client.get_executor()")

    def should_load(self, stage: Stage) -> bool:
        """Whether a stored result of `stage` may take the place of running it."""
        return _is_chosen(stage, self.load)

    def should_store(self, stage: Stage) -> bool:
        """Whether results of `stage` are stored."""
        return _is_chosen(stage, self.store)

    def get_checkpoint_path(self, stage: Stage | Pipeline) -> str:
        """Return where the result of a pipeline lies, or that of a stage without inputs; with `key="name"`, that of any stage.

        Raises `UsageError` for one that cannot be stored.
        """
        from ckpt.pipeline.keys import slots
        from ckpt.pipeline.places import place_of

        if self.key == "name":
            return place_of(self).path_of((stage.stage if isinstance(stage, Pipeline) else stage).capture_name)
        node = stage if isinstance(stage, Pipeline) else Pipeline(stage)
        slot = slots(node, self)[node]
        if not slot.key:
            raise UsageError(f"The result of {slot.stage!r} is not stored: {slot.file}.", hint='Config(key="name")')
        return place_of(self).path_of(slot.file)


def checked(sink: Pipeline, config: object) -> Config | None:
    """Return what `sink` was called with. Raises `UsageError` for something else than a Config, and for names of no stage of `sink`."""
    if config is None:
        return None
    if not isinstance(config, Config):
        raise UsageError(f"A pipeline is called with a Config, not with {config!r}.", hint="pipeline(Config(load=True))")
    for name in ("load", "store"):
        listed = getattr(config, name)
        if not isinstance(listed, bool):
            _check_names(name, [each for each in listed if isinstance(each, str)], sink)
    return config


def _check_names(listed_in: str, names: Sequence[str], sink: Pipeline) -> None:
    known = {node.stage.name for node in sink.nodes()}
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, 1, 0) or sorted(known)
            raise UsageError(f"{listed_in} names {name!r}, and the pipeline has no such stage.", hint=f"{listed_in}=[{near[0]!r}]")


def _check_rest(config: Config) -> None:
    """Raise `UsageError` for what a program without a type checker may have given."""
    wait: object = config.wait
    if not isinstance(wait, int | float) or isinstance(wait, bool) or not wait >= 0:
        raise UsageError(f"wait is a number of seconds, not {wait!r}.")
    if not isinstance(config.progress, bool | None):
        raise UsageError(f"progress is True, False or None, not {config.progress!r}.")
    if not isinstance(config.storage_options, Mapping):
        raise UsageError(f"storage_options is a mapping, not {config.storage_options!r}.", hint='storage_options={"anon": True}')
    place: object = config.dir
    if place is not None and (not isinstance(place, str | os.PathLike) or not os.fspath(place)):
        raise UsageError(f"dir is a path or a URL, not {place!r}.")
    shared: object = config.secret
    if shared is not None and (not isinstance(shared, str) or not shared):
        raise UsageError("secret is a text.", hint='secret=os.environ["RESULTS_SECRET"]')


def _check_choice(name: str, chosen: object) -> None:
    if isinstance(chosen, bool):
        return
    if isinstance(chosen, str) or not isinstance(chosen, Sequence | set | frozenset):
        raise UsageError(f"{name} is a bool or a list of stages, not {chosen!r}.", hint=f'{name}=[stage_a, "stage_b"]')
    for each in chosen:
        if not isinstance(each, Stage | str):
            raise UsageError(f"{name} lists stages and their names, not {each!r}.", hint=f'{name}=[stage_a, "stage_b"]')


def _is_chosen(stage: Stage, chosen: bool | Sequence[Stage | str]) -> bool:
    if isinstance(chosen, bool):
        return chosen
    return any(each is stage or stage.name == (each if isinstance(each, str) else each.name) for each in chosen)
