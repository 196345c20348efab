"""Two functions call each other."""
import ckpt


def even(n):
    rest = n - 1
    return odd(rest) if n else 1 / n


def odd(n):
    left = n - 1
    return even(left) if n else False


@ckpt.ckpt
def job(n):
    return even(n)


#> p n
#> u
#> p left
#> u
#> p rest
#> p even
#> whatis odd
job(4)
