"""An asynchronous comprehension fails."""
import asyncio

import ckpt


async def numbers():
    for number in (2, 1, 0):
        yield number


@ckpt.ckpt
async def job(top):
    return [top // number async for number in numbers()]


#! other callers
#> p top
#> whatis top
asyncio.run(job(4))
