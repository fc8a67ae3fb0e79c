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
    'missing (no rows), short (fewer than usual, or than the source has), differs (from the source), late (the source wasn''t read since they were due, or was never loaded), stopped (it was read, and has had no rows since), or unknown (an option of the stream fails)';
COMMENT ON COLUMN insync.gaps."from" IS 'beginning of the first slice, as a clock in the ledger''s zone shows it; NULL: the stream never held a row, or has no slices that could be late';
COMMENT ON COLUMN insync.gaps."to" IS 'end of the last slice, which is no longer part of it';
COMMENT ON COLUMN insync.gaps.buckets IS 'slices in which rows are expected';
COMMENT ON COLUMN insync.gaps.rows IS 'rows that the target holds there';
COMMENT ON COLUMN insync.gaps.expected IS
    'rows that should be there: what the source had when it was asked, else what is usual; NULL: too little is known';
COMMENT ON COLUMN insync.gaps.completeness IS
    'percent of the stream''s expected slices, in the time that was asked for, that are whole; rounded down';
COMMENT ON COLUMN insync.gaps.days_behind IS 'of a late stream: days for which rows should have come, without those that are usually empty';
COMMENT ON COLUMN insync.gaps.severity IS 'info, warning or critical, by the options gap_warning and gap_critical';
COMMENT ON COLUMN insync.gaps.recommendation IS 'what to do, as a sentence';
COMMENT ON COLUMN insync.gaps.fix IS 'the statement that does it; NULL where none would help, or somebody has to decide first, as the stream is paused';

-- since 0.2
CREATE FUNCTION sync_gaps(pattern text DEFAULT '%', "from" timestamp DEFAULT NULL, "to" timestamp DEFAULT NULL, as_of timestamptz DEFAULT NULL)
    RETURNS SETOF insync.gaps
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'sync_gaps';
COMMENT ON FUNCTION sync_gaps(text, timestamp, timestamp, timestamptz) IS
    'what is missing, short, late or different in the targets of the caller''s streams whose name matches the LIKE pattern, one row for slices that follow each other; column fix repairs it: SELECT fix FROM sync_gaps() \gexec. With as_of, what is counted and recorded now is judged as if it were that time: runs and rows after it are ignored';
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
COMMENT ON VIEW insync.coverage IS 'one row a stream of the current role: how complete its target is; the view of sync_coverage()';
COMMENT ON COLUMN insync.coverage.stream IS 'name of the stream';
COMMENT ON COLUMN insync.coverage.target IS 'table that is written to';
COMMENT ON COLUMN insync.coverage.rows IS 'rows of the stream that the target holds; NULL: none are counted';
COMMENT ON COLUMN insync.coverage.first_slice IS 'beginning of the first slice with rows, as a clock in the ledger''s zone shows it';
COMMENT ON COLUMN insync.coverage.last_slice IS 'beginning of the last slice with rows that isn''t in the future';
COMMENT ON COLUMN insync.coverage.days_behind IS
    'days for which rows should have come by the stream''s schedule, after the last slice that has all; NULL: not known';
COMMENT ON COLUMN insync.coverage.completeness IS
    'percent of the expected slices that are whole, rounded down; NULL: none is expected, or they aren''t judged';
COMMENT ON COLUMN insync.coverage.gaps IS 'rows that sync_gaps() has for the stream';
COMMENT ON COLUMN insync.coverage.missing IS 'slices without rows, without those that are late';
COMMENT ON COLUMN insync.coverage.short IS 'slices with fewer rows than usual, or than the source has';
COMMENT ON COLUMN insync.coverage.differing IS 'slices that differ from the source';
COMMENT ON COLUMN insync.coverage.last_verified IS 'when the source was last asked about one of the slices; NULL: never';
COMMENT ON COLUMN insync.coverage.severity IS 'ok, info, warning or critical: that of the gravest gap';
COMMENT ON COLUMN insync.coverage.message IS
    'what is to be known, such as why no gaps are looked for and how to choose the column that slices are counted by; NULL: all is well';

-- since 0.2
CREATE FUNCTION sync_coverage(pattern text DEFAULT '%', as_of timestamptz DEFAULT NULL) RETURNS SETOF insync.coverage
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'sync_coverage';
COMMENT ON FUNCTION sync_coverage(text, timestamptz) IS
    'one row a stream of the caller whose name matches the LIKE pattern: how complete its target is, and how far behind; with as_of, as if it were that time';
REVOKE ALL ON FUNCTION sync_coverage(text, timestamptz) FROM PUBLIC;
