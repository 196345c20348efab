"""The captured function runs in a pool of threads."""
from concurrent.futures import ThreadPoolExecutor

import ckpt


@ckpt.ckpt
def job(text):
    words = text.split()
    return int(words[1])


#! other callers
#> p words
#> p text
with ThreadPoolExecutor(2) as pool:
    list(pool.map(job, ["a 1", "b two"]))
