"""Positional-only, keyword-only, `*args` and `**kwargs`."""
import ckpt


@ckpt.ckpt
def job(first, /, second=2, *rest, flag, scale=1.5, **more):
    everything = [first, second, *rest]
    return everything[len(everything)] * scale


#> p first, second, rest, flag, scale, more
#> p more["unit"]
#> pp locals()
#> whatis rest
#> !rest = ()
#> a
job(1, 2, 3, 4, flag=True, unit="mm", depth=9)
