"""A model's Markdown, made to read as it was meant: Streamlit's own extensions would take parts of it for theirs."""

import re
from typing import Final

# Inline code is left alone; in the rest these would change what is read:
#   $        prices and shell variables are no formulas
#   :name:   and :name[ are emoji and colours in Streamlit, but parts of ARNs in our answers
#   ![       a picture would be fetched from wherever the model says, and the address can carry what it was told
_CODE_OR_SPECIAL: Final = re.compile(
    r"(?P<code>(?<!`)(`+)(?!`)[^`]*+(?:`+[^`]++)*?(?<!`)\2(?!`))|(?P<special>\\.|\$|!\[|:(?=[\w+-]+[:\[]))"
)


def readable(markdown: str) -> str:
    """The Markdown of a text segment with what Streamlit would take for its own escaped."""
    return _CODE_OR_SPECIAL.sub(_escaped, markdown)


def _escaped(match: re.Match[str]) -> str:
    special = match["special"]
    if special is None or special.startswith("\\"):
        return match[0]
    return {"![": "\\!["}.get(special, f"\\{special}")
