"""A closure reads and changes the variables around it."""
import ckpt


def counter(start):
    count = start
    unused = "not closed over"

    @ckpt.ckpt(name="job")
    def step(by):
        nonlocal count
        count += by
        return count / (by - by)

    return step


#> p count
#> p by
#> !count = 50
#> p count
#> p [count for _ in range(2)]
counter(10)(5)
