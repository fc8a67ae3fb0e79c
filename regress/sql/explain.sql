-- sync_explain() shows what the next run reads and how it is applied, and runs nothing.
\pset format unaligned
\getenv sources INSYNC_SOURCES
\set file :sources '/shop.sqlite'
CREATE SERVER explain_shop FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', database :'file');
SELECT sync_create('explained', 'explain_shop', 'sales', target => 'explained', watermark => 'modified',
    options => '{"columns": {"shop": "''T01''"}, "filter": "quantity <> 0 -- none"}', key => 'shop, id');
SELECT step FROM sync_explain('explained');
SELECT statement FROM sync_explain('explained') WHERE step = 'apply';
SELECT count(*) AS runs FROM insync.run;
SELECT sync_drop('explained', true);
DROP SERVER explain_shop;
\pset format aligned
