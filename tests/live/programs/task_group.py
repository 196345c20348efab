"""Tasks of a group fail together; the captured coroutine holds the group."""
import asyncio

import ckpt


async def part(number):
    await asyncio.sleep(0)
    raise ValueError(f"part {number}")


@ckpt.ckpt
async def job(count):
    wanted = list(range(count))
    async with asyncio.TaskGroup() as group:
        for number in wanted:
            group.create_task(part(number))


#! other callers
#> u
#> p wanted
#> p number
asyncio.run(job(2))
