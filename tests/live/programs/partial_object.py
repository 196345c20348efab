"""A partial object is captured."""
import functools

import ckpt


def scale(factor, value):
    shown = f"{value}"
    return factor / value


job = ckpt.ckpt(name="job")(functools.partial(scale, 3))


#> p factor, value, shown
#> whatis scale
job(0)
