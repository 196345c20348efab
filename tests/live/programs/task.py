"""An asyncio task fails."""
import asyncio

import ckpt


@ckpt.ckpt
async def job(number):
    await asyncio.sleep(0)
    half = number / 2
    return [1, 2][int(half)]


async def main():
    tasks = [asyncio.create_task(job(n)) for n in (0, 8)]
    return await asyncio.gather(*tasks)


#! other callers
#> p half
#> p number
asyncio.run(main())
