"""The containers of `collections`."""
import collections

import ckpt


@ckpt.ckpt
def job(words):
    counts = collections.Counter(words)
    groups = collections.defaultdict(list)
    for word in words:
        groups[len(word)].append(word)
    queue = collections.deque(words, maxlen=2)
    chain = collections.ChainMap({"a": 1}, {"b": 2})
    return queue[3] + chain["a"]


#> p counts
#> p counts.most_common(1)
#> p groups
#> p queue
#> p chain
#> pp groups
#> whatis groups
#> p groups[99]
job(["one", "two", "three", "one"])
