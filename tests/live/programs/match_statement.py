"""A match statement fails in a guard."""
import ckpt


@ckpt.ckpt
def job(command):
    match command:
        case {"action": action, "speed": speed} if speed / 0:
            return action
        case [first, *rest]:
            return rest
    return None


#> p action, speed
#> p command
job({"action": "go", "speed": 3})
