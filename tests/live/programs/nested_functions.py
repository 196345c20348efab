"""Functions within functions, three deep."""
import ckpt


@ckpt.ckpt
def job(a):
    def middle(b):
        def inner(c):
            return [a, b, c][a + b + c]

        return inner(b + 1)

    return middle(a + 1)


#> p a, b, c
#> u
#> p inner
#> whatis inner
#> source inner
#> p inner.__name__
#> u
#> p middle
job(1)
