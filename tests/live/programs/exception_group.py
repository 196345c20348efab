"""A group of exceptions, one within another."""
import ckpt


def failing(kind, text):
    mark = text.upper()
    raise kind(text, len(mark))


@ckpt.ckpt
def job(names):
    errors = []
    for name in names:
        try:
            failing(ValueError, name)
        except ValueError as error:
            errors.append(error)
    inner = ExceptionGroup("inner", errors[1:])
    raise ExceptionGroup("outer", [errors[0], inner])


#> p errors
#> p inner
#> whatis inner
#> p len(errors)
#> exceptions
job(["a", "b", "c"])
