-- sync_options() lists every option once a place, with what it means.
SELECT name, type, default_value, applies_to FROM sync_options();
SELECT count(*) FILTER (WHERE description = '') AS unexplained, count(*) - count(DISTINCT name) AS doubled FROM sync_options();
