"""Displays, aliases and convenience variables."""
import ckpt


def inner(depth):
    level = depth * 2
    return level.missing


@ckpt.ckpt
def job(depth):
    level = depth
    return inner(level + 1)


#> display level
#> display level * 2
#> u
#> display
#> d
#> undisplay level
#> u
#> alias twice p %1 * 2
#> twice level
#> p level;;p depth
#> unalias twice
#> display missing
#> !level = 8
#> d
#> u
job(1)
