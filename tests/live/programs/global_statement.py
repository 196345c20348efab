"""A function changes a global."""
import ckpt

hits = 0
names = ["a"]


@ckpt.ckpt
def job(times):
    global hits, newest
    for _ in range(times):
        hits += 1
        newest = hits * 2
    return names[hits]


#> p hits, newest
#> p names
#> !hits = 70
#> p hits
#> !names.append("b")
#> p names
#> p _
job(3)
