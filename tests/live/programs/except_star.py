"""What `except*` leaves over."""
import ckpt


@ckpt.ckpt
def job(count):
    handled = []
    try:
        raise ExceptionGroup("mixed", [TypeError("t"), ValueError("v")])
    except* TypeError as group:
        handled.extend(group.exceptions)


#! without l
#! without ll
#> p handled
#> p count
job(2)
