"""Prints the errors in memcheck's XML reports that have a frame of the extension, and fails if there are any. A server
that left no report at all was not run under valgrind, which is a failure too."""

import re
import sys
import xml.etree.ElementTree
from pathlib import Path

OURS = re.compile(r"/pg_insync[^/]*$")


def errors_of(path):
    """The <error> elements of a report. A process that was killed leaves the closing tag out, or half a line."""
    text = path.read_text(errors="replace")
    for match in re.finditer(r"<error>.*?</error>", text, re.DOTALL):
        yield xml.etree.ElementTree.fromstring(match.group())


def describe(error):
    lines = [error.findtext("what") or error.findtext("xwhat/text") or error.findtext("kind")]
    for part in error:
        if part.tag == "auxwhat":
            lines.append(f"  {part.text}")
        for frame in part.iter("frame"):
            place = frame.findtext("file") or Path(frame.findtext("obj") or "?").name
            lines.append(f"    {frame.findtext('fn') or '?'} ({place}:{frame.findtext('line') or ''})")
    return "\n".join(lines)


def main(directory):
    reports = sorted(Path(directory).glob("server-*.xml"))
    if not reports:
        sys.exit("no process wrote a report: nothing was run under valgrind")
    ours, others = {}, 0
    for report in reports:
        for error in errors_of(report):
            if any(OURS.search(obj.text or "") for obj in error.iter("obj")):
                ours.setdefault(describe(error), report.name)
            else:
                others += 1
    for text, report in ours.items():
        print(f"==== {report}\n{text}\n")
    print(f"valgrind: {len(reports)} processes, {len(ours)} different errors of ours, {others} of PostgreSQL alone")
    return 1 if ours else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
