"""Rules for install and update scripts. They run as a superuser in a database where ordinary roles may have made
operators, functions and schemas before, so nothing in them may be found by a search path that others can write to, and
nothing that others made may be taken for one's own."""

import re

# Runs first to last; everything else is one character of punctuation.
TOKENS = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/|^\\[^\n]*$)
      | (?P<dollar>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<string>[eE]?'(?:[^']|'')*')
      | (?P<name>"(?:[^"]|"")*"|[^\W\d][\w$]*)
      | (?P<number>\d[\d.]*)
      | (?P<operator>::|:=|=>|\.\.|[-+*/<>=~!@#%^&|`?]+)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)

# Words that stand before a parenthesis without being functions.
NOT_FUNCTIONS = set(
    "and any array all as by case cast check coalesce distinct else exists extract filter foreign from function greatest grouping having in "
    "include index into is join key lateral least materialized not nullif on only options or order over partition policy position primary "
    "procedure references returning returns row select set substring table then trim type unique using values view when where with within".split()
)
TYPE_LENGTHS = set("bit char character numeric decimal float interval time timestamp varbit varchar varying".split())
# What stands before a name that is being made or named, not called.
NAMING = set("function procedure routine aggregate table into references on view index constraint type domain trigger update as".split())
WORD_OPERATORS = set("like ilike between similar".split())


def tokens(script):
    """(kind, text, line) of everything but blanks and comments; the bodies of $$ strings are SQL of their own."""
    line = 1
    for match in TOKENS.finditer(script):
        kind, text = match.lastgroup, match.group()
        if kind == "tag":
            kind = "dollar"
        if kind == "dollar":
            inner = text[text.index("$", 1) + 1 : text.rindex("$", 0, len(text) - 1)]
            for inner_kind, inner_text, inner_line in tokens(inner):
                yield inner_kind, inner_text, line + inner_line - 1
        elif kind != "space":
            yield kind, text, line
        line += text.count("\n")


def statements(script):
    """The script's statements as lists of tokens. Bodies of functions are taken as part of theirs."""
    current, inside = [], 0
    for token in tokens(script):
        text = token[1]
        inside += (text == "(") - (text == ")")
        if text == ";" and inside <= 0:
            yield current
            current, inside = [], 0
        else:
            current.append(token)
    if current:
        yield current


# A statement that matches the first and not the second is wrong; both look at lower-case words with single blanks.
STATEMENT_RULES = [
    # Nobody else can have made a view in the schema that the extension makes; dropping it would lose what was granted on it.
    (r"^create or replace\b(?! view insync \.)", None, "CREATE OR REPLACE takes over what somebody made before"),
    (r"\bif not exists\b", None, "IF NOT EXISTS takes what somebody made before for one's own"),
    (r"^(re)?set (local |session )?(role|session authorization|authorization)\b", None, "SET ROLE changes whose objects follow"),
    (r"^set (local |session )?search_path\b|\bset_config\b", None, "the search path is CREATE EXTENSION's to set"),
    (r"\bsecurity definer\b", r"\bset search_path (=|to)", "SECURITY DEFINER without a pinned search_path"),
    (r"(?<!not )\bleakproof\b", None, "LEAKPROOF lets a function see rows before the policies do"),
    (r"^grant .* to public\b", None, "something is granted to PUBLIC"),
    (r"^create view\b", r"\bsecurity_invoker = true\b", "a view without security_invoker shows everybody what its owner sees"),
]


def problems(script, operators_too=True):
    """What is wrong with a script, as texts with line numbers."""
    found = []
    for statement in statements(script):
        words = " ".join("''" if kind == "string" else text.lower() for kind, text, _ in statement)
        for wrong, unless, why in STATEMENT_RULES:
            if re.search(wrong, words) and not (unless and re.search(unless, words)):
                found.append(f"line {statement[0][2]}: {why}")
        found += unqualified(statement, operators_too)
    return found


def unqualified(statement, operators_too):
    """Operators outside OPERATOR(pg_catalog.…), and functions called without their schema."""
    calls_functions = statement[0][1].lower() not in ("revoke", "grant", "comment", "drop", "alter")
    for place, (kind, text, line) in enumerate(statement):
        before, before_that = (statement[at][1].lower() if at >= 0 else "" for at in (place - 1, place - 2))
        called = place + 1 < len(statement) and statement[place + 1][1] == "("
        word = text.lower() if kind == "name" else ""
        if operators_too and kind == "operator" and text not in ("::", ":=", "=>", "*") and not assigns(statement, place):
            if (before, before_that) != (".", "pg_catalog"):
                yield f"line {line}: operator {text} without OPERATOR(pg_catalog.{text})"
        elif operators_too and (word in WORD_OPERATORS or (word == "in" and called and before != "tag")):  # WHEN TAG IN is a word of event triggers
            yield f"line {line}: {text} means an operator that is found by the search path"
        elif called and calls_functions and word and before != "." and before not in NAMING:
            if word not in NOT_FUNCTIONS | TYPE_LENGTHS | {"operator"}:
                yield f"line {line}: function {text}() without its schema"


def assigns(statement, place):
    """Is this = no operator: WITH (security_invoker = true), SET search_path = …, UPDATE … SET column = …?"""
    before = [text.lower() for _, text, _ in statement[:place]]
    if statement[place][1] != "=" or len(before) < 2:
        return False
    if before[-1] in ("security_invoker", "security_barrier", "search_path", "fillfactor"):
        return True
    if before[0] == "insert" and "conflict" in before and "set" in before:  # ON CONFLICT … DO UPDATE SET column = …
        before = ["update", *before[len(before) - 1 - before[::-1].index("set") :]]
    return before[0] == "update" and not {"where", "from"} & set(before) and before[-2] in ("set", ",")
