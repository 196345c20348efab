"""A library's exception, with attributes of its own, from the library's frames."""
import json

import ckpt


@ckpt.ckpt
def job(text):
    size = len(text)
    return json.loads(text), size


#> p s
#> p end
#> u
#> u
#> u
#> p text, size
#> whatis json
#> p json.dumps([1])
job('{"a": 1,, }')
