"""An asynchronous generator fails."""
import asyncio

import ckpt


@ckpt.ckpt
async def job(limit):
    for number in range(limit):
        await asyncio.sleep(0)
        yield 6 // (2 - number)


async def main():
    found = []
    async for each in job(5):
        found.append(each)
    return found


#! other callers
#> p number
#> p limit
asyncio.run(main())
