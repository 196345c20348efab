"""One object in several frames, and a cycle."""
import ckpt


def inner(tree):
    node = tree["child"]
    return node["weight"]


@ckpt.ckpt
def job(tree):
    child = tree["child"]
    child["parent"] = tree
    return inner(tree)


#> p node
#> p node["parent"] is tree
#> !node["weight"] = 3
#> u
#> p child["weight"]
#> p child is tree["child"]
#> pp tree
job({"name": "root", "child": {}})
