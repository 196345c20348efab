"""A program that plants secrets, each one another text, in every place that a capture looks at, and in every way in which one is made."""

from __future__ import annotations

import re
from textwrap import indent

#: What is in the program before the plants. `make` puts a secret together, so that it does not stand in the source.
HEAD = """
import asyncio, collections, contextlib, dataclasses, enum, functools, json, os, threading, types, typing, urllib.parse
import ckpt


def make(place):
    return "-".join(("hunter2", place, "Zyx"))


class Client:
    def __init__(self, **fields):
        self.__dict__.update(fields)

    def method(self):
        return 1


class Slotted:
    __slots__ = ("api_key",)

    def __init__(self, api_key):
        self.api_key = api_key


@dataclasses.dataclass
class Config:
    password: str
    host: str = "db"


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    password: str
    host: str = "db"


class Named(typing.NamedTuple):
    user: str
    password: str


class Text(str):
    pass


class Odd(dict):
    pass


class Trouble(Exception):
    def __init__(self, message, **fields):
        super().__init__(message)
        self.__dict__.update(fields)


def with_attribute(value):
    def function():
        return 1
    function.password = value
    return function


def deeper(password):
    raise Trouble("deeper")


@contextlib.contextmanager
def thread(name):
    event = threading.Event()
    running = threading.Thread(target=event.wait, name="worker " + name)
    running.start()
    try:
        yield
    finally:
        event.set()
        running.join()


def attempt(call):
    try:
        call()
    except (RuntimeError, Trouble, ExceptionGroup):
        pass
"""

#: Place: the parameters of a function, the arguments of its call, its body, and what surrounds the call. `S` stands for the secret.
PLACES: dict[str, tuple[str, ...]] = {
    "argument": ("password", "S", ""),
    "keyword": ("*, api_key", "api_key=S", ""),
    "default": ("password=S", "", ""),
    "default of a keyword": ("*, token=S", "", ""),
    "local": ("", "", "password = S"),
    "*args": ("*passwords", "S, S", ""),
    "**kwargs": ("**options", "db_password=S", ""),
    "secret **kwargs": ("**credentials", "a=S", ""),
    "bytes": ("password", "S.encode()", ""),
    "bytearray": ("password", "bytearray(S.encode())", ""),
    "view": ("password", "memoryview(S.encode())", ""),
    "text of another class": ("password", "Text(S)", ""),
    "list of secrets": ("passwords", "[S, S + 'b']", ""),
    "pair": ("auth", "('ann', S)", ""),
    "dict of credentials": ("credentials", "{'user': 'ann', 'x': S}", ""),
    "dict": ("config", "{'password': S}", ""),
    "depth 2": ("config", "{'a': {'password': S}}", ""),
    "depth 3": ("config", "{'a': {'b': {'password': S}}}", ""),
    "depth 4": ("config", "{'a': {'b': {'c': {'password': S}}}}", ""),
    "dict in a list": ("config", "[1, {'password': S}]", ""),
    "dict in a tuple": ("config", "(1, {'password': S})", ""),
    "dict in a deque": ("config", "collections.deque([{'password': S}])", ""),
    "dict in an iterator": ("config", "iter([{'password': S}])", ""),
    "items of a dict": ("config", "{'password': S}.items()", ""),
    "key of bytes": ("config", "{b'password': S}", ""),
    "key of another class": ("config", "{Text('password'): S}", ""),
    "default dict": ("config", "collections.defaultdict(list, password=S)", ""),
    "ordered dict": ("config", "collections.OrderedDict(password=S)", ""),
    "chain of dicts": ("config", "collections.ChainMap({'password': S})", ""),
    "user's dict": ("config", "Odd(password=S)", ""),
    "view of a dict": ("config", "types.MappingProxyType({'password': S})", ""),
    "dict beside a lock": ("config, lock", "{'password': S}, threading.Lock()", ""),
    "namespace": ("config", "types.SimpleNamespace(password=S)", ""),
    "attribute": ("client", "Client(api_key=S)", ""),
    "attribute further in": ("client", "Client(a=Client(b=Client(api_key=S)))", ""),
    "dict in an object": ("client", "Client(headers={'Authorization': 'Bearer ' + S})", ""),
    "slot": ("client", "Slotted(S)", ""),
    "data class": ("client", "Config(S)", ""),
    "frozen data class": ("client", "Frozen(S)", ""),
    "named tuple": ("client", "Named('ann', S)", ""),
    "partial": ("call", "functools.partial(make, password=S)", ""),
    "bound method": ("call", "Client(password=S).method", ""),
    "closure": ("call", "(lambda password: lambda: password)(S)", ""),
    "dict in a closure": ("call", "(lambda config: lambda: config)({'password': S})", ""),
    "default of a lambda": ("call", "lambda password=S: 1", ""),
    "attribute of a function": ("call", "with_attribute(S)", ""),
    "cached function": ("call", "functools.lru_cache(lambda password=S: 1)", ""),
    "class": ("made", "type('Made', (), {'api_key': S})", ""),
    "dict in a class": ("made", "type('Made', (), {'config': {'api_key': S}})", ""),
    "class of an object": ("made", "type('Made', (), {'api_key': S})()", ""),
    "enumeration": ("made", "enum.Enum('Keys', {'API_KEY': S})", ""),
    "exception as a value": ("error", "Trouble('x', password=S)", ""),
    "environment": ("", "", "os.environ['A_PASSWORD'] = S; environment = os.environ"),
    "copy of the environment": ("", "", "os.environ['A_PASSWORD'] = S; environment = dict(os.environ)"),
    "global": ("", "", "G", "global API_KEY"),
    "dict that is global": ("", "", "G", "global SETTINGS"),
    "further down": ("", "", "deeper(S)"),
    "same object": ("password", "S", "x = password"),
    "same in a list": ("password", "S", "x = [password]"),
    "same as a key": ("password", "S", "x = {password: 1}"),
    "same in a set": ("password", "S", "x = {password}"),
    "longer text": ("password", "S", "x = 'logged in with ' + password + ' as ci'"),
    "longer bytes": ("password", "S", "x = b'logged in with ' + password.encode()"),
    "longer attribute": ("password", "S", "x = Client(x='logged in with ' + password)"),
    "text in a huge one": ("password", "S", "x = 'y' * 100_000 + password"),
    "text among many": ("password", "S", "x = [f'{i:0100}' for i in range(20_000)] + [password]"),
    "text of a set": ("secrets", "frozenset({S})", "x = 'with ' + list(secrets)[0]"),
    "text of an object": ("credentials", "Client(user='ann', value=S)", "x = 'with ' + credentials.value"),
    "text of a class made here": ("password", "S", "class Made:\n    other = 'with ' + password\nx = Made()"),
    "escaped in JSON": ("password", "S + '\"\\u00e9'", "x = json.dumps({'a': password}); raise RuntimeError(x)"),
    "repr": ("password", "S + '\\n\"quoted\\''", "x = repr({'a': password}); raise RuntimeError(x)"),
    "cut message": ("password", "S * 20", "raise RuntimeError(password)"),
    "message": ("password", "S", "raise RuntimeError('refused ' + password)"),
    "attribute of the exception": ("", "", "raise Trouble('refused', password=S)"),
    "argument of the exception": ("", "", "raise RuntimeError({'password': S})"),
    "note": ("password", "S", "error = RuntimeError('x'); error.add_note('with ' + password); raise error"),
    "cause": ("password", "S", "raise RuntimeError('x') from ValueError('no ' + password)"),
    "attribute of the cause": ("", "", "raise RuntimeError('x') from Trouble('x', password=S)"),
    "context": ("", "", "try: deeper(S)\nexcept Trouble: raise RuntimeError('x')"),
    "group": ("password", "S", "raise ExceptionGroup('g', [RuntimeError('no ' + password)])"),
    "tag": ("", "", "", "ckpt.tags(token=S)"),
    "text in a tag": ("password", "S", "", "ckpt.tags(note='with ' + S)"),
    "name of a thread": ("password", "S", "", "thread(S)"),
    "returned": ("password", "S", "if RETURNS: return password"),
    "returned in a text": ("password", "S", "if RETURNS: return 'ok ' + password"),
    "returned in a dict": ("", "", "if RETURNS: return {'session_token': S}"),
    "returned in an object": ("", "", "if RETURNS: return Client(api_key=S)"),
    "returned URL": ("", "", "if RETURNS: return f'https://bot:{S}@example.org/'"),
    "URL": ("url", "f'https://bot:{S}@example.org/'", ""),
    "URL in a list": ("url", "[f'https://bot:{S}@example.org/']", ""),
    "URL as bytes": ("url", "f'https://bot:{S}@example.org/'.encode()", ""),
    "URL as a key": ("url", "{f'https://bot:{S}@example.org/': 1}", ""),
    "URL in an object": ("url", "Client(x=f'postgres://bot:{S}@example.org/')", ""),
    "URL in a local": ("", "", "x = f'https://bot:{S}@example.org/'"),
    "URL in a message": ("", "", "raise RuntimeError(f'refused: https://bot:{S}@example.org/')"),
    "URL without a user": ("url", "f'redis://:{S}@example.org/'", ""),
    "URL with a token": ("url", "f'https://{S}-and-so-on@example.org/'", ""),
    "URL that is cut": ("url", "'x' * 150 + f' https://bot:{S}@example.org/'", ""),
    "quoted in a URL": ("password", "S + '/@'", "x = 'https://bot:' + urllib.parse.quote(password, safe='') + '@h/'"),
    "URL among many": ("rows", "[f'{i:0100}' for i in range(20_000)] + [f'https://bot:{S}@h/'] + ['y'] * 3_000", ""),
    "dict among many numbers": ("rows", "[*range(30_000), {'password': S}, *range(1_000)]", ""),
    "dict among many dicts": ("rows, app", "[{'a': {'b': i}} for i in range(3_000)], {'a': {'b': {'c': {'password': S}}}}", ""),
    "object behind many": ("rows, app", "[Client(x=i) for i in range(500)], Client(a=Client(b=Client(api_key=S)))", ""),
    "object among many": ("rows", "[Client(x=i) for i in range(300)] + [Client(password=S)] + [Client(x=i) for i in range(300)]", ""),
    "key among many": ("rows", "{f'k{i}': i for i in range(9_000)} | {'password': S} | {f'l{i}': i for i in range(999)}", ""),
}
#: Places of which docs/security.md says that nothing is promised.
NOT_PROMISED: dict[str, tuple[str, ...]] = {
    "innocent name": ("x", "S", ""),
    "text in JSON": ("payload", "'{\"password\": \"' + S + '\"}'", ""),
    "pair in a list": ("headers", "[('Authorization', 'Bearer ' + S)]", ""),
    "query of a URL": ("url", "f'https://h/?token={S}'", ""),
    "path of a secret": ("secret_path", "S", ""),
    "number in a key": ("config", "{('password', 1): S}", ""),
}
#: How a capture is made: the program text, with PARAMETERS, ARGUMENTS, BODY and AROUND of the place. `F` is the function.
WAYS = {
    "every call": """
@ckpt.ckpt(name="NAME")
def F(PARAMETERS):
    BODY
    raise RuntimeError("refused")
with AROUND: attempt(lambda: F(ARGUMENTS))""",
    "returned": """
@ckpt.ckpt(name="NAME")
def F(PARAMETERS):
    BODY
    return 1
with AROUND: attempt(lambda: F(ARGUMENTS))""",
    "failures": """
@ckpt.ckpt(name="NAME", active=False)
def F(PARAMETERS):
    BODY
    raise RuntimeError("refused")
with AROUND: attempt(lambda: F(ARGUMENTS))""",
    "handled": """
def F(PARAMETERS):
    BODY
    raise RuntimeError("refused")
def F_handles():
    try: F(ARGUMENTS)
    except Exception: ckpt.capture_exception(name="NAME")
with AROUND: F_handles()""",
    "callers": """
@ckpt.ckpt(name="NAME", active=False, callers=True)
def F_inside():
    raise RuntimeError("refused")
def F(PARAMETERS):
    BODY
    F_inside()
with AROUND: attempt(lambda: F(ARGUMENTS))""",
    "nested": """
@ckpt.ckpt(name="NAME")
def F(PARAMETERS):
    BODY
    raise RuntimeError("refused")
@ckpt.ckpt
def F_outside():
    F(ARGUMENTS)
with AROUND: attempt(F_outside)""",
    "made in a function": """
def F_makes():
    secret = S
    @ckpt.ckpt(name="NAME")
    def F(PARAMETERS):
        secret
        BODY
        raise RuntimeError("refused")
    return F
F = F_makes()
with AROUND: attempt(lambda: F(ARGUMENTS))""",
    "async": """
@ckpt.ckpt(name="NAME")
async def F(PARAMETERS):
    BODY
    raise RuntimeError("refused")
with AROUND: attempt(lambda: asyncio.run(F(ARGUMENTS)))""",
    "generator": """
@ckpt.ckpt(name="NAME")
def F(PARAMETERS):
    BODY
    yield 1
    raise RuntimeError("refused")
with AROUND: attempt(lambda: list(F(ARGUMENTS)))""",
}
#: Of the ways that keep all variables of the program each time, and of the largest values, a few are enough.
_CALLERS = ("argument", "local", "depth 4", "attribute", "closure", "longer text", "URL", "global")


def ways_of(place: str) -> list[str]:
    """Return the ways in which a secret is planted in a place."""
    if " among many" in place or "behind many" in place:
        return ["every call", "handled"]
    without = {"callers": place not in _CALLERS, "nested": place == "text in a tag", "returned": place == "name of a thread"}
    return [way for way in WAYS if not without.get(way)]


def secret(place: str, way: str) -> str:
    """Return the secret that is planted in a place in one way."""
    return f"hunter2-{_word(place, way)}-Zyx"


def name(place: str, way: str) -> str:
    """Return the name of the capture."""
    return f"c_{_word(place, way)}"


def program() -> str:
    """Return the program."""
    everything = PLACES | NOT_PROMISED
    return "\n".join([HEAD, *(_plant(place, way) for place in everything for way in ways_of(place))])


def _word(place: str, way: str) -> str:
    return re.sub(r"\W", "", f"{[*PLACES, *NOT_PROMISED].index(place)}{way}")


def _plant(place: str, way: str) -> str:
    parameters, arguments, body, around = (*(PLACES | NOT_PROMISED)[place], "contextlib.nullcontext()")[:4]
    made, word = f'make("{_word(place, way)}")', _word(place, way)
    before = ""
    if around.startswith("global "):
        held = f"{around.removeprefix('global ')}_{word}"
        before = f"{held} = S\n" if "KEY" in held else f"{held} = {{'password': S}}\n"
        body, around = held, "contextlib.nullcontext()"
    text = before + WAYS[way]
    for what, put in {"PARAMETERS": parameters, "ARGUMENTS": arguments, "AROUND": around, "NAME": name(place, way)}.items():
        text = text.replace(what, put)
    text = re.sub(r"^( +)BODY$", lambda match: indent(body or "pass", match[1]), text, flags=re.MULTILINE)
    text = text.replace("RETURNS", str(way in {"returned", "async"}))
    return re.sub(r"\bS\b", made, re.sub(r"\bF(?=\b|_[a-z])", f"f_{word}", text))
