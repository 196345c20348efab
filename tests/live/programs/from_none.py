"""An exception whose context is suppressed."""
import ckpt


@ckpt.ckpt
def job(table, key):
    try:
        return table[key]
    except KeyError:
        raise LookupError(f"no {key}") from None


#> p key
#> exceptions
#> ll
job({}, "k")
