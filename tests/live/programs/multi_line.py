"""The failing expression spans several lines."""
import ckpt


def combine(first, second, *, third):
    return first + second + third


@ckpt.ckpt
def job(values):
    result = combine(
        values[0],
        second=(
            values[1]
            + values[2]
        ),
        third=values[
            9
        ],
    )
    return result


#> p values
#> w
#> l
#> ll
job([1, 2, 3])
