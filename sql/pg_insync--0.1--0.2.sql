/* pg_insync 0.1 to 0.2: a stream that runs meanwhile waits for the update, or the update for its transaction. */
\echo Use "ALTER EXTENSION pg_insync UPDATE TO '0.2'" to load this file. \quit

ALTER TABLE insync.stream ADD COLUMN owner_id oid NOT NULL DEFAULT 0;
COMMENT ON COLUMN insync.stream.owner_id IS
    'the owner''s number: a role that gets the name of one that was dropped doesn''t inherit its streams';
UPDATE insync.stream AS s SET owner_id = r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) s.owner;
DROP POLICY owner_reads ON insync.stream;
CREATE POLICY owner_reads ON insync.stream FOR SELECT
    USING (insync.is_owner(owner) AND owner_id OPERATOR(pg_catalog.=)
           (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) owner));
