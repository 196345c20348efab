"""A coroutine fails inside `async with`."""
import asyncio

import ckpt


class Session:
    def __init__(self):
        self.log = []

    async def __aenter__(self):
        self.log.append("in")
        return self

    async def __aexit__(self, *error):
        self.log.append("out")


@ckpt.ckpt
async def job(url):
    async with Session() as session:
        session.log.append(url)
        answer = await asyncio.wait_for(session.missing(), 1)
    return answer


#! other callers
#> p session.log
#> p url
#> whatis session
asyncio.run(job("x"))
