"""The captured function is a lambda."""
import ckpt



def make():
    return lambda x, y=0: x["k"] / y


double = ckpt.ckpt(name="job")(make())


#> p x, y
#> p double
double({"k": 1})
