/* The schema of tables and views. Functions for users stand in the schema of CREATE EXTENSION. */

CREATE SCHEMA insync;
COMMENT ON SCHEMA insync IS 'tables and views of pg_insync';
