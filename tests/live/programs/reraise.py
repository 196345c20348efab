"""An exception is raised again, from another line of the same frame."""
import ckpt


def risky():
    raise ValueError("first")


@ckpt.ckpt
def job(attempts):
    for attempt in range(attempts):
        try:
            risky()
        except ValueError as error:
            last = error
    raise last


#> p attempt
#> p last
#> w
#> l
#> u
#> w
job(2)
