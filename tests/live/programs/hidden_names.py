"""Names that look like Python's own, and like the debugger's commands."""
import ckpt


@ckpt.ckpt
def job(list, next):
    n = 5
    c = "cc"
    _ = "underscore"
    __name = 3
    return list[next]


#> p list
#> p n, c, _
#> !n
#> !c = 3
#> p c
#> list
#> p next
job([1], 2)
