"""Locals and parameters that are deleted when the failure comes."""
import ckpt


@ckpt.ckpt
def job(first, second, third):
    early = first
    late = second
    del second, early
    return late.missing


#> p late
#> p second
#> p early
#> !second = 7
#> p second
#> a
job(1, 2, 3)
