"""What a model is called: a directory's name, of which versions, champion, ledger and retention are.

model_name("fashion_mnist:3.0.1")           # 'fashion_mnist', the default for this data set
model_name("folder:/srv/My Pictures")       # 'My_Pictures'
checked("../other")                         # ValueError: a model's name must be of letters, ...
"""

import re
from pathlib import PurePath
from typing import Annotated

from pydantic import AfterValidator

LONGEST = 100  # characters
_NAME = re.compile(rf"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9_.-]{{0,{LONGEST - 1}}}")  # ASCII alone: no letter is two
BUILDER = re.compile(r"[A-Za-z_][\w.]*:(_*[A-Z]\w*)")  # package.module:Builder; a version of TFDS is in digits


def model_name(dataset: str) -> str:
    """The name that a data set gives its models. Every text has one, and `checked` takes it."""
    kind, _, place = dataset.partition(":")
    if kind == "folder":
        words = PurePath(place).name
    elif builder := BUILDER.fullmatch(dataset):
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", builder[1].strip("_")).lower()
    else:
        words = kind
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "_", re.sub(r"\.{2,}", ".", words))
    return safe.lstrip("_.-")[:LONGEST] or "data"


def is_name(text: str) -> bool:
    """Whether it may be a model's name."""
    return _NAME.fullmatch(text) is not None


def checked(name: str) -> str:
    """The name, if it may be one: it becomes a directory, part of addresses, and an argument of commands."""
    if not is_name(name):
        raise ValueError(
            "a model's name must be of letters, digits, '_', '-' and '.', begin with a letter or digit, have no '..' "
            f"and at most {LONGEST} characters. Received: name={name!r}. Choose another."
        )
    return name


Name = Annotated[str, AfterValidator(checked)]
