"""A function in one line."""
import ckpt


def inner(x): return x.y


@ckpt.ckpt
def job(x): return inner(x)


#> ll
#> p x
#> u
#> ll
job(1)
