"""Arrays and a table in the frames."""
import numpy
import pandas

import ckpt


def normalise(frame, column):
    values = frame[column].to_numpy()
    spread = values.max() - values.min()
    return values[:, None, 5] / spread


@ckpt.ckpt
def job(size):
    frame = pandas.DataFrame({"a": range(size), "b": numpy.linspace(0, 1, size)})
    return normalise(frame, "b")


#> p values
#> p spread
#> whatis values
#> p values.sum()
#> whatis frame
#> p frame
#> !values[0] = 9
#> p values[:2]
#> p pandas.Series(values).max()
#> p (values > 0.5).sum()
#> u
#> p frame.b[:2].tolist()
#> p frame.describe()
job(6)
