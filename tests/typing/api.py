"""What a type checker sees of the public interface; checked by mypy --strict, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, assert_type

import ckpt


@ckpt.ckpt
def bare(a: int, *, b: str = "") -> float:
    return a + len(b)


@ckpt.ckpt(
    active=lambda rows, **_: len(rows) > 1, name="load", on_error=True, save_locals=True, callers=True, keep=20, max_bytes=1, exclude=(int,)
)
def with_parameters(rows: list[int]) -> int:
    return len(rows)


@ckpt.ckpt(active=False)
async def coroutine(a: int) -> str:
    return str(a)


@ckpt.ckpt
def generator() -> Iterator[int]:
    yield 1


@ckpt.ckpt
async def stream() -> AsyncIterator[int]:
    yield 1


class Model:
    @ckpt.ckpt
    def method(self, a: int) -> bytes:
        return bytes(a)

    @classmethod
    @ckpt.ckpt
    def build(cls, a: int) -> Model:
        return cls()


async def use() -> None:
    assert_type(bare(1, b="x"), float)
    assert_type(with_parameters([1]), int)
    assert_type(await coroutine(1), str)
    assert_type(next(generator()), int)
    assert_type(Model().method(1), bytes)
    assert_type(Model.build(1), Model)
    bare("x")  # type: ignore[arg-type]
    bare(1, c=2)  # type: ignore[call-arg]
    ckpt.ckpt(keep="x")  # type: ignore[call-overload]
    assert_type(ckpt.capture_exception(), str | None)
    assert_type(ckpt.get_ckpt_dir(), str)
    with ckpt.tags(run=1):
        ckpt.set_ckpt_dir("here")
    loaded = ckpt.load("load", code=Path("folder"))
    assert_type(loaded.exception, BaseException | None)
    assert_type([header["id"] for header in ckpt.captures()], list[Any])
