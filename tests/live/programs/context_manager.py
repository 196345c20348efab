"""A failure passes a context manager, which has a local of its own."""
from contextlib import contextmanager

import ckpt

log = []


@contextmanager
def timed(name):
    log.append(name)
    try:
        yield name.upper()
    finally:
        log.append("done")


@ckpt.ckpt
def job(name):
    with timed(name) as shown:
        size = len(shown)
        return size / 0


#> p shown, size
#> p log
#> w
#> l
job("load")
