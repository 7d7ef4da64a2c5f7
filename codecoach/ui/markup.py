"""Markdown from elsewhere, made to read as it was meant: Streamlit's own extensions would take parts of it for theirs.

Its icons and emoji are put in after the Markdown has been parsed, when a backslash is long gone, or even before, inside
code too. They are looked for in one piece of text at a time: `BREAK`, an element that holds nothing, makes two of one, and
neither shows nor is copied. Source: StreamlitMarkdown of Streamlit 1.67.
"""

import re
from functools import partial
from typing import Final

from codecoach.chat.invisible import shown, without_overrides

BREAK: Final = ":small[]"

# Addresses are left alone, and inline code but for one word of it; in the rest these would change what is read:
#   $             prices and shell variables are no formulas
#   :name:        is an emoji, `:material/name:` an icon, but ARNs are written like that too
#   :name[ :name{ are colours
#   ![            a picture would be fetched from wherever the model says, and the address can carry what it was told
#   ](data:       a link that leads elsewhere than to a page or a mailbox is none
#   [a.com](b)    a link that names another place than it leads to: both are shown, and the address is the link
_HARMLESS: Final = r"<?(?:https?://|mailto:|[^\s:&<>()\\]*+(?:[\s)>]|$))"
_CODE_OR_SPECIAL: Final = re.compile(
    r"(?P<code>(?<!`)(?P<ticks>`+)(?!`)(?P<inside>[^`]*+(?:`+[^`]++)*?)(?<!`)(?P=ticks)(?!`))"
    r"|(?P<link>(?<!!)\[(?P<label>[^\[\]\n]*+)\](?P<target>\((?P<address>https?://[^\s()<>]++)(?:\s[^()\n]*+)?\)))"
    r"|(?P<named>\\?:(?=material/|[\w+-]+:))"
    r"|(?P<other>\\.|\bhttps?://(?:(?!!\[)[^\s<>()`\\])++)"
    r"|(?P<special>\$|!\[|:(?=[\w+-]+[\[{])"
    rf"|\](?=\([ \t]*\n?[ \t]*(?!{_HARMLESS}))|\](?=:[ \t]*\n?[ \t]*(?!{_HARMLESS}))"
    r"|<(?=(?!https?:|mailto:)[a-z][a-z0-9+.-]+:))",
    re.IGNORECASE,
)
_MARKDOWN: Final = re.compile(r"(?P<named>:(?=//|material/|[\w+-]+:))|[\\`*_{}\[\]()<>#+!|~$&:-]")
_IN_AN_ICON: Final = re.compile(r"(?<=:material)(?=/)")
# What looks like inline code here may be none: Markdown ends it with its paragraph, and takes a <https://...> before it for a link.
# So where a text has an address for a picture at all, "code" must not hold the beginning of one either.
_IN_AN_ICON_OR_ADDRESS: Final = re.compile(rf"{_IN_AN_ICON.pattern}|(?<=!)(?=\[)|(?<=\])(?=\((?!{_HARMLESS}))", re.I)
# An address, or nothing but the name of a host. `main.py` is none, so only such names count as a look-alike would choose.
_HOST: Final = re.compile(
    r"(?:https?://|\bwww\.)(?:[^\s/@]*@)?(?:www\.)?([\w.-]+)"
    r"|^\s*(?:www\.)?((?:[\w-]+\.)+(?:com|org|net|edu|gov|io|dev|cn|aws|amazon))(?:[/?#]\S*)?\s*$",
    re.IGNORECASE,
)
_ADDRESS: Final = re.compile(r"\][(\[:]")


def readable(markdown: str) -> str:
    """The Markdown of a text segment with what Streamlit would take for its own escaped."""
    cut = _IN_AN_ICON_OR_ADDRESS if _ADDRESS.search(markdown) else _IN_AN_ICON
    return _CODE_OR_SPECIAL.sub(partial(_escaped, cut), without_overrides(markdown))


def plain(text: object) -> str:
    """Text from elsewhere, so escaped that it reads as it is and is never taken for Markdown."""
    return _MARKDOWN.sub(lambda match: f"\\{match[0]}{BREAK if match['named'] else ''}", shown(str(text)))


def unlinked(markdown: str) -> str:
    """Markdown in which an e-mail address is no link: it names an account, and nobody wants to write a letter."""
    return markdown.replace("@", f"{BREAK}@")


def _escaped(cut: re.Pattern[str], match: re.Match[str]) -> str:
    if match["code"]:
        return _code(match["inside"], match["ticks"], cut) if cut.search(match["inside"]) else match[0]
    if match["link"]:
        return _link(match, cut)
    if match["named"]:
        return f"\\:{BREAK}"
    return match["other"] or f"\\{match['special']}"


def _link(link: re.Match[str], cut: re.Pattern[str]) -> str:
    """A link; where its label names another host than it leads to, both of them to read."""
    named = _host(link["label"])
    if named and named != _host(link["address"]):
        return f"{plain(link['label'])} ({link['address']} )"
    return f"[{_CODE_OR_SPECIAL.sub(partial(_escaped, cut), link['label'])}]{link['target']}"


def _host(text: str) -> str:
    found = _HOST.search(text)
    return (found[1] or found[2]).lower() if found else ""


def _code(inside: str, ticks: str, cut: re.Pattern[str]) -> str:
    """Inline code in which something would be put in: no escape holds there, so it becomes several pieces of code."""
    if inside.strip() and inside[0] == inside[-1] == " ":  # Markdown takes these two away
        inside = inside[1:-1]
    pieces = cut.split(inside)
    return BREAK.join(
        f"{ticks}{f' {piece} ' if piece[0] in ' `' or piece[-1] in ' `' else piece}{ticks}" for piece in pieces
    )
