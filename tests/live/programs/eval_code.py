"""An expression that was given to `eval` fails."""
import ckpt


@ckpt.ckpt
def job(expression):
    x = 2
    return eval(expression)


#> p x
#> u
#> p expression
#> d
job("x +\\\n (x / 0)")
