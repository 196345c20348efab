"""Python called from C called from Python."""
import functools

import ckpt


def compare(left, right):
    if left[1] == right[1]:
        raise LookupError(f"{left} and {right} are equal")
    return left[1] - right[1]


@ckpt.ckpt
def job(pairs):
    return sorted(pairs, key=functools.cmp_to_key(compare))


#> p left, right
#> u
#> p pairs
#> whatis compare
#> p sorted(pairs)
job([("a", 1), ("b", 2), ("c", 2)])
