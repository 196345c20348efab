"""Locals that were never assigned."""
import ckpt


@ckpt.ckpt
def job(flag):
    if not flag:
        skipped = 1
    for index in range(3):
        last = index
    else:
        done = True
    return skipped


#> p last, done, index
#> p skipped
job(True)
