-- Lists of columns: plain, in braces, quoted; and names that need quoting find their way into the target.
\set VERBOSITY default
\getenv sources INSYNC_SOURCES
\set file :sources '/shop.sqlite'
CREATE SERVER names_shop FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', database :'file');
SELECT * FROM sync_create('plain', 'names_shop', 'sales', target => 'plain', key => ' id ', watermark => 'modified');
SELECT * FROM sync_create('braces', 'names_shop', 'sales', target => 'braces', key => '{id,product}');
SELECT * FROM sync_create('odd', 'names_shop', '"Odd Names"', target => 'public."Odd Target"',
    key => '"key, first", "key""two"');
CALL sync_run('odd');
SELECT * FROM "Odd Target" ORDER BY 1, 2;
SELECT sync_create('bad', 'names_shop', 'sales', key => 'id,');
SELECT sync_create('bad', 'names_shop', 'sales', key => '"id');
SELECT sync_create('bad', 'names_shop', 'sales', target => 'a.b.c');
SELECT sync_drop(stream, true) FROM sync_status();
DROP SERVER names_shop;
