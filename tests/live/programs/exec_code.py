"""Code that was given to `exec` fails; it has no file."""
import ckpt


@ckpt.ckpt
def job(text):
    namespace = {"limit": 3}
    exec(text, namespace)
    return namespace


#> p {name: value for name, value in locals().items() if name[0] != "_"}
#> p limit
#> p total
#> whatis total
#> u
#> p sorted(namespace)[-1]
job("total = 0\nfor number in range(limit):\n    total += number\nresult = total / (total - 3)\n")
