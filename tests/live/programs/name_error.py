"""A misspelt name, for which Python has a suggestion."""
import ckpt

temperature = 20


@ckpt.ckpt
def job(humidity):
    comfort = temperatur * humidity
    return comfort


#> p humidity
job(0.5)
