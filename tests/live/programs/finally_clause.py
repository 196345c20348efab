"""A frame that went on to its `finally` clause after the failure."""
import ckpt


def read(source):
    state = "open"
    try:
        value = source["missing"]
    finally:
        state = "closed"
        unrelated = 1
    return value


@ckpt.ckpt
def job(source):
    return read(source)


#> p state
#> l
#> ll
#> w
job({})
