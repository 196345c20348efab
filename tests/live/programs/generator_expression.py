"""A generator expression fails while another function consumes it."""
import ckpt


def consume(items):
    total = 0
    for item in items:
        total += item
    return total


@ckpt.ckpt
def job(numbers):
    divisor = 0
    return consume(number // divisor for number in numbers)


#> p number
#> p divisor
#> u
#> p total
#> whatis total
#> u
#> p divisor
job([3, 4])
