"""A lambda fails."""
import ckpt


@ckpt.ckpt
def job(values):
    pick = lambda value, offset=1: values[value + offset]
    return [pick(0), pick(5)]


#> p value, offset
#> p values
#> u
#> p pick(0)
job([1, 2, 3])
