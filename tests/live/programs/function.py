"""An expression in a function fails."""
import ckpt

SCALE = 3


def ratio(values, k):
    total = sum(values)
    text = "half"
    return total / (k - k)


@ckpt.ckpt
def job(n):
    rows = list(range(n))
    table = {"rows": rows, "scale": SCALE}
    return ratio(rows, SCALE) + table["scale"]


#> p total
#> p SCALE * 2
#> whatis values
#> whatis ratio
#> pp {"a": values}
#> !total = 99
#> p total
#> u
#> source ratio
#> p [row + n for row in rows]
#> p sum(rows) + n
#> p max(rows, key=abs)
#> d
#> p text
job(4)
