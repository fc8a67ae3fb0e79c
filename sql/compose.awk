# Composes an install or update script: awk -f compose.awk TEMPLATE, in this directory. In the template
#   \include FILE         stands for the file;
#   \since VERSION FILE   stands for what an update to VERSION needs of it: the paragraphs (a blank line ends one) whose first
#                         line is "-- since VERSION", and of all others what they say by COMMENT ON.
# So every object is defined once, in objects/, for a new installation and for an update: see README.md.

/^\\include / { copy($2, ""); next }
/^\\since / { copy($3, $2); next }
{ print }

function copy(file, version,    line, before, whole, comment, got) {
    print "/* " file " */"
    before = ""
    while ((got = (getline line < file)) > 0) {
        if (before == "")
            whole = version == "" || line == "-- since " version
        if (!whole && line ~ /^COMMENT ON /)
            comment = 1
        if (whole || comment)
            print line
        if (line ~ /;$/)
            comment = 0
        before = line
    }
    close(file)
    if (got < 0) {
        print "compose.awk: cannot read " file > "/dev/stderr"
        exit 1
    }
}
