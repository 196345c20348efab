"""A module that is not there."""
import importlib

import ckpt


@ckpt.ckpt
def job(name):
    parts = name.split(".")
    return importlib.import_module(name), parts


#> w
#> p name
job("not_a_module_at_all")
