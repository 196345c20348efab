"""An exception class with a `__str__` and slots of its own."""
import ckpt


class Problem(Exception):
    __slots__ = ("where",)

    def __init__(self, where, *rest):
        self.where = where

    def __str__(self):
        return f"problem at {self.where}"


@ckpt.ckpt
def job(place):
    error = Problem(place, "ignored", 3)
    raise error


#> p error
#> p error.where
#> p str(error)
#> p error.args
job("north")
