"""An assertion fails, with a message."""
import ckpt


@ckpt.ckpt
def job(values):
    mean = sum(values) / len(values)
    assert min(values) <= mean < max(values), f"mean {mean} of {values}"
    return mean


#> p mean
#> whatis mean
#> p values
job([2, 2])
