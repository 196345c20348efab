"""Code that was given to `exec` with locals of their own."""
import ckpt


@ckpt.ckpt
def job(text):
    outer, inner = {"limit": 3}, {"start": 1}
    exec(text, outer, inner)
    return inner


#> p {name: value for name, value in locals().items() if name[0] != "_"}
#> p start
#> p limit
#> p [start for _ in range(2)]
#> !start = 9
#> p start
job("value = [start]\nvalue[limit]\n")
