"""Mistakes at the prompt."""
import ckpt


@ckpt.ckpt
def job(x):
    y = x + 1
    return y / 0


#> p nothing
#> p x +
#> !x = = 3
#> p 1 / 0
#> whatis nothing
#> source nothing
#> u 100
#> d
#> j 5
#> unknown
#> p "text".missing
#> !raise KeyError(x)
#> !import math
#> p math.floor(2.5)
#> !def twice(v): return v * 2
#> p twice(3)
#> !for i in range(2): print(i)
#> p i
#> b 3
#> until
#> retval
#> help p
job(1)
