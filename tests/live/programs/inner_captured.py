"""A captured function calls another captured one."""
import ckpt


@ckpt.ckpt
def load(path):
    suffix = path.rpartition(".")[2]
    return {"csv": 1}[suffix]


@ckpt.ckpt
def job(paths):
    loaded = []
    for path in paths:
        loaded.append(load(path))
    return loaded


#> p suffix
#> u
#> p loaded, path
#> whatis load
job(["a.csv", "b.txt"])
