"""A coroutine awaits another, which fails."""
import asyncio

import ckpt


async def fetch(key):
    await asyncio.sleep(0)
    store = {"a": 1}
    return store[key]


@ckpt.ckpt
async def job(keys):
    found = []
    for key in keys:
        found.append(await fetch(key))
    return found


#! other callers
#> p store
#> p key
#> u
#> p found
#> whatis fetch
asyncio.run(job(["a", "z"]))
