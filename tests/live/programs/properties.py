"""A property and a `__getattr__` fail."""
import ckpt


class Config:
    def __init__(self, data):
        self.data = data

    @property
    def port(self):
        raw = self.data["port"]
        return int(raw)

    def __getattr__(self, name):
        raise AttributeError(f"no option {name}")


@ckpt.ckpt
def job(config):
    return config.port


#> p raw
#> p self.data
#> u
#> p config.data
#> p config.missing
#> whatis config
job(Config({"port": "x"}))
