"""A function longer than what `l` shows."""
import ckpt


@ckpt.ckpt
def job(start):
    a = start
    a += 1
    a += 2
    a += 3
    a += 4
    a += 5
    a += 6
    a += 7
    a += 8
    a += 9
    a += 10
    b = a
    b += 1
    b += 2
    b += 3
    b += 4
    b += 5
    b += 6
    b += 7
    c = b / (a - a)
    b += 8
    b += 9
    b += 10
    return c


#> l
#> l
#> l 1, 5
#> l .
#> p a, b
job(1)
