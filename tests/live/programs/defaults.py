"""Default values, a mutable one among them."""
import ckpt


@ckpt.ckpt
def job(item, into=[], *, label="none"):
    into.append(item)
    return into[5], label


#> p into
#> p label
#> whatis label
job("x")
