"""escaped("a <b> *c*")     # 'a \\<b\\> \\*c\\*': any text in a line of Markdown, where it means nothing but itself."""

import re


def escaped(text: str) -> str:
    """An error, or a person's reason, may have any characters in it. A table looks after its own separator."""
    return re.sub(r"([\\`*\[\]<>&~$]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", " ".join(text.split()))
