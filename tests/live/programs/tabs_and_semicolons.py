"""Several statements in a line, indented with tabs."""
import ckpt


@ckpt.ckpt
def job(a):
	b = a + 1; c = b * 2; d = {}["x"]; e = 5
	return d


#> p b, c
#> l
job(1)
