"""A function that `exec` made fails."""
import ckpt

namespace = {}
exec("def made(a, b=2):\n    c = a + b\n    return c.missing\n", namespace)


@ckpt.ckpt
def job(value):
    return namespace["made"](value)


#> p a, b, c
#> a
#> source namespace
#> u
#> p value
job(1)
