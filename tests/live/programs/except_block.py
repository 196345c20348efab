"""Captured in the `except` block of a frame that is still running."""
import ckpt


def read(number):
    half = number // 2
    return [1, 2, 3][half]


def job(numbers):
    found = []
    for number in numbers:
        try:
            found.append(read(number))
        except IndexError:
            ckpt.capture_exception(name="job")
            number = None
    return found


#! handled
#> p half
#> u
#> p found
#> p number
#> l
#> ll
#> w
job([1, 2, 9])
