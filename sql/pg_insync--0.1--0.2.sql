/* pg_insync 0.1 to 0.2: a stream that runs meanwhile waits for the update, or the update for its transaction. */
\echo Use "ALTER EXTENSION pg_insync UPDATE TO '0.2'" to load this file. \quit

/* First of all, as this locks the extension: whoever writes the tables below has the same lock, before any other. */
COMMENT ON EXTENSION pg_insync IS 'keeps ordinary tables in sync with outside databases';

ALTER TABLE insync.stream ADD COLUMN owner_id oid NOT NULL DEFAULT 0;
COMMENT ON COLUMN insync.stream.owner_id IS
    'the owner''s number: a role that gets the name of one that was dropped doesn''t inherit its streams';
UPDATE insync.stream AS s SET owner_id = r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) s.owner;
DROP POLICY owner_reads ON insync.stream;
CREATE POLICY owner_reads ON insync.stream FOR SELECT
    USING (insync.is_owner(owner) AND owner_id OPERATOR(pg_catalog.=)
           (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) owner));

/* pg_restore -j loads the tables of an extension in any order, and each in a transaction of its own. */
ALTER TABLE insync.watermark DROP CONSTRAINT watermark_stream_id_fkey;
ALTER TABLE insync.error DROP CONSTRAINT error_stream_id_fkey;
ALTER TABLE insync.mended DROP CONSTRAINT mended_stream_id_fkey;

/* At the end: streams stood still since the library of this version met the tables of the one before. */
CREATE FUNCTION insync.wake() RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'insync_wake';
SELECT insync.wake() WHERE EXISTS (SELECT FROM insync.stream);
DROP FUNCTION insync.wake();
