"""An exception with a cause."""
import ckpt


def parse(text):
    digits = text.strip()
    return int(digits)


@ckpt.ckpt
def job(fields):
    for position, field in enumerate(fields):
        try:
            parse(field)
        except ValueError as error:
            raise RuntimeError(f"field {position}") from error


#> p position, field
#> exceptions
#> exceptions 0
#> w
#> p digits
#> u
#> p field
#> exceptions 1
#> p position
job(["1", "x"])
