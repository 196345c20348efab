"""A name that cannot be imported."""
import ckpt


@ckpt.ckpt
def job(flag):
    if flag:
        from collections import OrderedDictt
    return OrderedDictt()


#> p flag
job(True)
