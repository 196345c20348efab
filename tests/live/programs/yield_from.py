"""A generator delegates to another, which fails."""
import ckpt


def inner(limit):
    count = 0
    while True:
        got = yield count
        count += got or 1
        if count > limit:
            raise OverflowError(count)


@ckpt.ckpt
def job(limit):
    name = "delegating"
    result = yield from inner(limit)
    return result


#> p count, got
#> u
#> p name
#> p limit
list(job(2))
