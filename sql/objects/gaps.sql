/* What is missing. The views ask functions that stand in their own schema, as the other's name isn't known here. */

-- since 0.2
CREATE FUNCTION insync.find_gaps(pattern text, since timestamp, until timestamp, as_of timestamptz, OUT stream text, OUT kind text, OUT "from" timestamp,
                                 OUT "to" timestamp, OUT buckets bigint, OUT rows bigint, OUT expected bigint, OUT completeness numeric,
                                 OUT days_behind integer, OUT severity text, OUT recommendation text, OUT fix text)
    RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'sync_gaps';
COMMENT ON FUNCTION insync.find_gaps(text, timestamp, timestamp, timestamptz) IS 'what the view insync.gaps shows; see sync_gaps()';
REVOKE ALL ON FUNCTION insync.find_gaps(text, timestamp, timestamp, timestamptz) FROM PUBLIC;

-- since 0.2
CREATE VIEW insync.gaps WITH (security_invoker = true) AS
SELECT g.stream, g.kind, g."from", g."to", g.buckets, g.rows, g.expected, g.completeness, g.days_behind, g.severity, g.recommendation, g.fix
  FROM insync.find_gaps('%', NULL, NULL, NULL) AS g;
COMMENT ON VIEW insync.gaps IS 'what is missing in the targets of the current role''s streams; the view of sync_gaps()';
COMMENT ON COLUMN insync.gaps.stream IS 'name of the stream';
COMMENT ON COLUMN insync.gaps.kind IS
    'missing (no rows), short (fewer than usual, or than the source has), differs (from the source), late (the source was not read since the rows were due, or never), stopped (the source was read, and has no newer rows), or unknown (an option of the stream fails)';
COMMENT ON COLUMN insync.gaps."from" IS 'beginning of the first slice, in the time zone of the ledger; NULL: the stream never held a row, or has no slices that could be late';
COMMENT ON COLUMN insync.gaps."to" IS 'end of the last slice, exclusive';
COMMENT ON COLUMN insync.gaps.buckets IS 'slices in which rows are expected';
COMMENT ON COLUMN insync.gaps.rows IS 'rows that the target holds there';
COMMENT ON COLUMN insync.gaps.expected IS
    'expected rows: the count of the source when it was last asked, otherwise the usual count; NULL: not known';
COMMENT ON COLUMN insync.gaps.completeness IS
    'percentage of the expected slices of the stream in the requested range that are whole, rounded down';
COMMENT ON COLUMN insync.gaps.days_behind IS 'for a late stream, days for which rows were expected, without days that are usually empty';
COMMENT ON COLUMN insync.gaps.severity IS 'info, warning or critical, by the options gap_warning and gap_critical';
COMMENT ON COLUMN insync.gaps.recommendation IS 'what to do, as a sentence';
COMMENT ON COLUMN insync.gaps.fix IS 'statement that does it; NULL if no statement would help, or if a person must decide first because the stream is paused';

-- since 0.2
CREATE FUNCTION sync_gaps(pattern text DEFAULT '%', "from" timestamp DEFAULT NULL, "to" timestamp DEFAULT NULL, as_of timestamptz DEFAULT NULL)
    RETURNS SETOF insync.gaps
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'sync_gaps';
COMMENT ON FUNCTION sync_gaps(text, timestamp, timestamp, timestamptz) IS
    'gaps in the targets of the caller''s streams whose name matches the LIKE pattern: slices that are missing, short, late or different. Adjacent slices are one row. Column fix has the statement that repairs them: SELECT fix FROM sync_gaps() \gexec. With as_of, the present counts and records are judged as of that time: later runs and rows are ignored';
REVOKE ALL ON FUNCTION sync_gaps(text, timestamp, timestamp, timestamptz) FROM PUBLIC;

-- since 0.2
CREATE FUNCTION insync.find_coverage(pattern text, as_of timestamptz, OUT stream text, OUT target text, OUT rows bigint, OUT first_slice timestamp,
                                     OUT last_slice timestamp, OUT days_behind integer, OUT completeness numeric, OUT gaps bigint,
                                     OUT missing bigint, OUT short bigint, OUT differing bigint, OUT last_verified timestamptz,
                                     OUT severity text, OUT message text)
    RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'sync_coverage';
COMMENT ON FUNCTION insync.find_coverage(text, timestamptz) IS 'what the view insync.coverage shows; see sync_coverage()';
REVOKE ALL ON FUNCTION insync.find_coverage(text, timestamptz) FROM PUBLIC;

-- since 0.2
CREATE VIEW insync.coverage WITH (security_invoker = true) AS
SELECT c.stream, c.target, c.rows, c.first_slice, c.last_slice, c.days_behind, c.completeness, c.gaps, c.missing, c.short, c.differing,
       c.last_verified, c.severity, c.message
  FROM insync.find_coverage('%', NULL) AS c;
COMMENT ON VIEW insync.coverage IS 'how complete the target is, one row for each stream of the current role; the view of sync_coverage()';
COMMENT ON COLUMN insync.coverage.stream IS 'name of the stream';
COMMENT ON COLUMN insync.coverage.target IS 'table that is written to';
COMMENT ON COLUMN insync.coverage.rows IS 'rows of the stream in the target; NULL: not counted';
COMMENT ON COLUMN insync.coverage.first_slice IS 'beginning of the first slice with rows, in the time zone of the ledger';
COMMENT ON COLUMN insync.coverage.last_slice IS 'beginning of the last slice with rows that is not in the future';
COMMENT ON COLUMN insync.coverage.days_behind IS
    'days after the last whole slice for which the schedule of the stream should have brought rows; NULL: not known';
COMMENT ON COLUMN insync.coverage.completeness IS
    'percentage of the expected slices that are whole, rounded down; NULL: no slice is expected, or slices are not judged';
COMMENT ON COLUMN insync.coverage.gaps IS 'rows that sync_gaps() has for the stream';
COMMENT ON COLUMN insync.coverage.missing IS 'slices without rows, not counting late ones';
COMMENT ON COLUMN insync.coverage.short IS 'slices with fewer rows than usual, or than the source has';
COMMENT ON COLUMN insync.coverage.differing IS 'slices that differ from the source';
COMMENT ON COLUMN insync.coverage.last_verified IS 'when a slice was last compared with the source; NULL: never';
COMMENT ON COLUMN insync.coverage.severity IS 'ok, info, warning or critical: the highest severity of its gaps';
COMMENT ON COLUMN insync.coverage.message IS
    'a note, for example why gaps are not searched for and how to choose the slice column; NULL: nothing to report';

-- since 0.2
CREATE FUNCTION sync_coverage(pattern text DEFAULT '%', as_of timestamptz DEFAULT NULL) RETURNS SETOF insync.coverage
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'sync_coverage';
COMMENT ON FUNCTION sync_coverage(text, timestamptz) IS
    'how complete and how far behind the target is, one row for each stream of the caller whose name matches the LIKE pattern; with as_of, as of that time';
REVOKE ALL ON FUNCTION sync_coverage(text, timestamptz) FROM PUBLIC;
