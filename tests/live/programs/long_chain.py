"""A chain of four exceptions."""
import ckpt


def level(number):
    local = number * 10
    if number == 0:
        raise KeyError("bottom")
    try:
        level(number - 1)
    except Exception as error:
        raise ValueError(f"level {number}") from error


@ckpt.ckpt
def job(depth):
    return level(depth)


#> exceptions
#> exceptions 0
#> p local
#> w
#> exceptions 2
#> p local
#> u
#> p local
job(3)
