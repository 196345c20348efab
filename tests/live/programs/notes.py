"""An exception with notes."""
import ckpt


@ckpt.ckpt
def job(number):
    try:
        return 1 // number
    except ZeroDivisionError as error:
        error.add_note("the number came from the form")
        error.add_note("second\nnote")
        raise


#> p number
#> p error
#> w
#> l
job(0)
