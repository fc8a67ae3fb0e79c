"""The folders of the code are in one order, and each includes only what stands before it: see bgworker/README.md."""

import re

import pytest
from harness.environment import CHECKOUT

# Of the extension's library, and of the connector, which is another program and shares the first ones.
LIBRARY = "protocol options clock gaps pg shmem catalog batch source target ledger apply definition run completeness schedule extension".split()
CONNECTOR = "protocol options clock output values odbc/sql odbc rest/options rest/http rest/answer rest/request rest connector".split()
PURE = "protocol options clock gaps".split()
FOREIGN = re.compile(r'#include [<"](postgres\.h|access/|catalog/|utils/|nodes/|storage/|executor/|miscadmin\.h|fmgr\.h|sql(ext|types|ucode)?\.h|curl/)')


def sources():
    for folder in ("bgworker", "extension"):
        for suffix in ("*.cpp", "*.hpp", "*.c", "*.h"):
            yield from sorted((CHECKOUT / folder).rglob(suffix))


def room_of(path):
    """The folder of a source as the orders name it, and the order that holds there."""
    parts = path.split("/")[:-1]
    if parts[0] == "extension":
        return "extension", LIBRARY
    if parts[1:2] == ["connector"]:
        return "/".join(parts[2:]) or "connector", CONNECTOR
    return "/".join(parts[1:]), LIBRARY


def upward_includes(path, text):
    room, order = room_of(path)
    for line, target in re.findall(r'^(#include "((?:bgworker|extension)/[^"]+)")', text, re.M):
        other, _ = room_of(target)
        if other not in order or order.index(other) > order.index(room):
            yield f"{path}: {line}: {room} may not include {other}"
        if {room.split("/")[0], other.split("/")[0]} == {"odbc", "rest"}:
            yield f"{path}: {line}: odbc and rest do not know each other"


def test_includes_go_one_way():
    found = []
    for path in sources():
        name = str(path.relative_to(CHECKOUT))
        assert room_of(name)[0] in room_of(name)[1], f"{name} is in a folder that has no place in the order"
        found += upward_includes(name, path.read_text())
    assert not found, "\n".join(found)


def test_pure_folders_include_neither_postgresql_nor_drivers():
    found = []
    for path in sources():
        name = str(path.relative_to(CHECKOUT))
        if room_of(name)[0] in PURE:
            found += [f"{name}: {match.group(0)}" for match in FOREIGN.finditer(path.read_text())]
    assert not found, "\n".join(found)


def test_the_map_has_the_order_of_the_folders():
    """The table of bgworker/README.md, which people read, and the order that is checked here are one."""
    table = re.findall(r"^\| `(?:\.\./)?([a-z]+)/` \|", (CHECKOUT / "bgworker/README.md").read_text(), re.M)
    assert table == LIBRARY


def test_what_the_map_names_exists():
    text = (CHECKOUT / "bgworker/README.md").read_text()
    for name in re.findall(r"`([a-z_/]+\.[ch]pp|tests/[a-z_/.]+|regress/[a-z_/.]+)`", text):
        bases = [CHECKOUT / "bgworker", CHECKOUT, *(CHECKOUT / "bgworker").rglob("*/")]
        assert any((base / name).exists() for base in bases) or list((CHECKOUT / "tests").rglob(name)), name


@pytest.mark.parametrize(
    "path, include",
    [
        ("bgworker/target/a.cpp", "bgworker/run/run.hpp"),
        ("bgworker/pg/a.hpp", "extension/notices.hpp"),
        ("bgworker/protocol/a.hpp", "bgworker/connector/values/column.hpp"),
        ("bgworker/connector/odbc/sql/a.cpp", "bgworker/connector/odbc/reader.hpp"),
        ("bgworker/connector/rest/a.cpp", "bgworker/connector/odbc/sql/types.hpp"),
        ("bgworker/connector/values/a.cpp", "bgworker/pg/guard.hpp"),
    ],
)
def test_the_check_names_an_include_that_goes_back(path, include):
    (found,) = list(upward_includes(path, f'#include "{include}"\n'))[:1]
    assert path in found and include in found


def test_each_table_is_written_in_one_place():
    """Who may change a slice, a run, a stream? The class of its table. Of insync.watermark there are two: of positions and
    of outcomes."""
    writers = {}
    for path in sources():
        for table in re.findall(r"(?:INSERT INTO|UPDATE|DELETE FROM) insync\.([a-z_]+)", path.read_text()):
            writers.setdefault(table, set()).add(path.name)
    assert {"run", "slice", "stream", "error", "job", "ledger", "watermark", "difference", "origin", "dependency"} <= writers.keys()
    assert writers.pop("watermark") == {"watermarks.cpp", "outcome.cpp"}
    several = {table: files for table, files in writers.items() if len(files) > 1}
    assert not several, several


def test_files_are_short():
    """One concept a file; what is longer than this has two."""
    long = {str(path.relative_to(CHECKOUT)): count for path in sources() if (count := path.read_text().count("\n")) > MOST_LINES}
    assert not long, long


MOST_LINES = 540


def test_requests_are_written_and_read_in_one_place():
    """Both ends of the pipe use the structs of protocol/request.hpp: no other file knows how a request is written."""
    found = [str(path) for path in sources() if path.parent.name != "protocol" and '"verb"' in path.read_text()]
    assert found == []


# Options by a name in quotes. Folders called options know the names; everywhere else they are members.
OPTION_BY_NAME = re.compile(r"""\b(?:option|has_option|is_on)\("|\boptions(?:_|\(\)|\.map\(\))?(?:\["|\.(?:at|find|contains|count|erase)\(")|\b(?:set|remove)_named\(\"""")
READS_BY_NAME = {
    # Options of its own, which the library never sees parsed.
    "bgworker/connector/odbc/declared_columns.cpp",
}


def options_by_name(name, text):
    if "options" in name.split("/")[:-1]:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if OPTION_BY_NAME.search(line):
            yield f"{name}:{number}: {line.strip()}"


def test_options_are_read_by_name_in_their_folders_alone():
    found, exempt = [], set()
    for path in sources():
        name = str(path.relative_to(CHECKOUT))
        here = list(options_by_name(name, path.read_text()))
        if here and name in READS_BY_NAME:
            exempt.add(name)
        else:
            found += here
    assert not found, "\n".join(found)
    assert exempt == READS_BY_NAME, f"no longer needed: {READS_BY_NAME - exempt}"


@pytest.mark.parametrize(
    "line, is_found",
    [
        ('stream.option("deletes")', True),
        ('stream_.has_option("filter")', True),
        ('stream.is_on("columns_only")', True),
        ('stream.options["columns"]', True),
        ('server.options.find("driver")', True),
        ('stream.options.map()["columns"]', True),
        ('stream.options.map().at("columns")', True),
        ('stream.options.set_named("deletes", "hard")', True),
        ('set_config_option("x", value)', False),
        ("stream.options.deletes == DeleteMode::hard", False),
    ],
)
def test_the_check_names_an_option_that_is_read_by_name(line, is_found):
    assert bool(list(options_by_name("bgworker/run/a.cpp", line))) == is_found
    assert not list(options_by_name("bgworker/options/a.cpp", line))
