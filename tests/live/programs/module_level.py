"""A module fails while it is imported by the captured function."""
import sys
import types

import ckpt

TEXT = "first = 1\nsecond = [first]\n\n\ndef helper():\n    return first\n\n\nthird = second[first]\n"


@ckpt.ckpt
def job(name):
    module = types.ModuleType(name)
    code = compile(TEXT, "/nowhere/plugin.py", "exec")
    exec(code, vars(module))
    return module


#> p first, second
#> p helper
#> whatis second
#> p [first for _ in range(2)]
#> !third = 3
#> p third
job("plugin")
