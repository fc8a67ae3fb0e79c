-- What the SQL tests read: a table as a till keeps it, and some that can't be a source as they are.
CREATE TABLE sales (
    id INTEGER PRIMARY KEY,
    product VARCHAR(40) NOT NULL,
    quantity INTEGER NOT NULL,
    price DECIMAL(10,2) NOT NULL,
    modified TIMESTAMP NOT NULL
);
INSERT INTO sales VALUES
    (1, 'Coffee', 2, 6.75, '2025-01-06 09:00:00'),
    (2, 'Piñones', 1, 14.80, '2025-01-06 09:05:00'),
    (3, 'Nougat', 4, 9.95, '2025-01-06 09:10:00');
CREATE TABLE "Odd Names" ("Key, First" INTEGER NOT NULL, "key""two" INTEGER NOT NULL, v TEXT, PRIMARY KEY ("Key, First", "key""two"));
INSERT INTO "Odd Names" VALUES (1, 1, 'a'), (1, 2, 'b');
CREATE TABLE without_key (a INTEGER, b TEXT);
CREATE TABLE never_set (id INTEGER PRIMARY KEY, modified TIMESTAMP);
INSERT INTO never_set VALUES (1, NULL);
CREATE TABLE pictures (id INTEGER PRIMARY KEY, picture BLOB NOT NULL);
INSERT INTO pictures VALUES (1, x'00');
CREATE TABLE doubles (a INTEGER NOT NULL, b TEXT NOT NULL);
INSERT INTO doubles VALUES (1, 'x'), (1, 'y'), (2, 'z');
