"""`super()` and class methods."""
import ckpt


class Base:
    registry = {}

    @classmethod
    def build(cls, kind):
        made = cls.registry[kind]
        return made()


class Child(Base):
    @classmethod
    @ckpt.ckpt(name="job")
    def build(cls, kind, extra=None):
        trail = [cls.__name__, kind]
        return super().build(kind)


#> p cls
#> p cls.registry
#> u
#> p trail
#> p __class__
#> whatis cls
#> p cls.__mro__
Child.build("ghost")
