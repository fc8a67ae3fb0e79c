-- A stream runs in the session: first load, nothing new, what changed in the target is put right, a replayed row.
\getenv sources INSYNC_SOURCES
\set file :sources '/shop.sqlite'
CREATE SERVER run_shop FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', database :'file');
SELECT * FROM sync_create('run_sales', 'run_shop', 'sales', target => 'run_sales', watermark => 'modified',
    options => '{"columns": {"total": "round(quantity * price, 2)"}}');
CALL sync_run('run_sales');
SELECT * FROM run_sales ORDER BY id;
CALL sync_run('run_sales');
-- A user's change is undone by a full run; a column of his own stays.
ALTER TABLE run_sales ADD COLUMN remark text, ADD CONSTRAINT few CHECK (quantity < 4) NOT VALID;
UPDATE run_sales SET product = 'Tea', remark = 'mine' WHERE id = 1;
DELETE FROM run_sales WHERE id = 3;
CALL sync_run('run_sales', 'full');
SELECT * FROM run_sales ORDER BY id;
SELECT key, sqlstate, error_type, constraint_name, record FROM insync.error;
UPDATE insync.error SET record = record || '{"quantity": 3}';
SELECT * FROM sync_replay('run_sales');
SELECT * FROM run_sales WHERE id = 3;
SELECT mode, status, trigger, rows_read, inserted, updated, unchanged, deleted, rejected FROM insync.run ORDER BY id;
-- Not in a transaction block.
BEGIN;
CALL sync_run('run_sales');
ROLLBACK;
CALL sync_run('run_sails');
SELECT sync_drop('run_sales', true);
DROP SERVER run_shop;
