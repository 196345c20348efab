"""The recursion limit is reached."""
import sys

import ckpt


def sink(level):
    return sink(level + 1) + 1


@ckpt.ckpt
def job(start):
    kept = start
    return sink(kept)


#! other depth
#> p level > 100
#> u
#> u
#> whatis level
#> source sink
job(0)
