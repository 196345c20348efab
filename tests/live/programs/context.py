"""An exception while another is handled."""
import ckpt


def cleanup(state):
    state["closed"] = True
    return state["handle"]


@ckpt.ckpt
def job(state):
    try:
        state["value"] = 1 / state["divisor"]
    except ZeroDivisionError:
        cleanup(state)


#> p state
#> exceptions
#> exceptions 0
#> p state
#> w
#> l
job({"divisor": 0})
