"""Decorators above and below the captured function."""
import functools

import ckpt


def above(function):
    @functools.wraps(function)
    def around(*args, **kwargs):
        mark = "above"
        return function(*args, **kwargs)

    return around


def below(function):
    @functools.wraps(function)
    def around(*args, **kwargs):
        tries = 1
        return function(*args, **kwargs)

    return around


@above
@ckpt.ckpt(name="job")
@below
def work(number):
    return 1 / number


#> p number
#> u
#> p tries
#> p args, kwargs
#> p function
#> whatis function
work(0)
