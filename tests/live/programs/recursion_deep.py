"""A recursion of 900 levels."""
import sys

import ckpt

sys.setrecursionlimit(3000)


@ckpt.ckpt
def job(depth):
    text = f"level {depth}"
    if depth == 0:
        raise RuntimeError("bottom")
    return job(depth - 1)


#> p depth
#> u 3
#> p depth, text
#> u 500
#> p depth, text
#> d 100
#> p text
#> whatis job
job(899)
