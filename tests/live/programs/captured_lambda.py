"""The captured function is a lambda."""
import ckpt

double = ckpt.ckpt(name="job")(lambda x, y=0: x["k"] / y)


#> p x, y
#> p double
double({"k": 1})
