-- One shop's own database, as its till keeps it: products, customers, sales. The number of the shop comes as :shop, and
-- everything follows from it, so each demo shows the same figures.
CREATE TABLE productos (
    codigo VARCHAR(8) NOT NULL PRIMARY KEY,
    nombre VARCHAR(60) NOT NULL,
    precio DECIMAL(10,2) NOT NULL
);
INSERT INTO productos VALUES
    ('P01', 'Jamón ibérico de bellota', 48.50), ('P02', 'Queso manchego curado', 17.90),
    ('P03', 'Aceite de oliva virgen extra', 11.25), ('P04', 'Piñones de Pedrajas', 14.80),
    ('P05', 'Pimentón de la Vera', 3.40), ('P06', 'Turrón de Jijona', 9.95),
    ('P07', 'Café de Colombia molido', 6.75), ('P08', 'Anchoas de Santoña', 12.60),
    ('P09', 'Arroz bomba de Calasparra', 4.85), ('P10', 'Vino de Logroño, reserva', 13.20),
    ('P11', 'Mantecados de Antequera', 5.10), ('P12', 'Salchichón de Vic', 8.30);

CREATE TABLE clientes (
    id INTEGER PRIMARY KEY,
    nombre VARCHAR(80) NOT NULL,
    ciudad VARCHAR(40) NOT NULL,
    email VARCHAR(80),
    actualizado TIMESTAMP NOT NULL
);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 240),
    first (k, name) AS (VALUES (0, 'María'), (1, 'José'), (2, 'Begoña'), (3, 'Íñigo'), (4, 'Núria'), (5, 'Andrés'),
        (6, 'Lucía'), (7, 'Ramón'), (8, 'Sofía'), (9, 'Óscar'), (10, 'Inés')),
    last (k, name) AS (VALUES (0, 'García'), (1, 'Fernández'), (2, 'Ibáñez'), (3, 'Muñoz'), (4, 'Pérez'), (5, 'Núñez'), (6, 'Peña')),
    town (k, name) AS (VALUES (0, 'A Coruña'), (1, 'Cádiz'), (2, 'León'), (3, 'Málaga'), (4, 'Castellón'))
INSERT INTO clientes
SELECT i, first.name || ' ' || last.name, town.name,
    CASE WHEN i % 9 = 0 THEN NULL ELSE 'cliente' || i || '@ejemplo.es' END,
    datetime('2025-01-02 08:00:00', '+' || (i * 53 + :shop) || ' minutes')
FROM n
    JOIN first ON first.k = (i * 7 + :shop) % 11
    JOIN last ON last.k = (i * 3 + :shop) % 7
    JOIN town ON town.k = (i + :shop) % 5;

CREATE TABLE ventas (
    id INTEGER PRIMARY KEY,
    fecha DATE NOT NULL,
    cliente_id INTEGER NOT NULL REFERENCES clientes,
    producto VARCHAR(60) NOT NULL,
    cantidad INTEGER NOT NULL,
    precio DECIMAL(10,2) NOT NULL,
    actualizado TIMESTAMP NOT NULL
);
CREATE INDEX ventas_actualizado ON ventas (actualizado, id);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500 + 250 * :shop)
INSERT INTO ventas
SELECT i, date(moment), 1 + (i * 31 + :shop) % 240, nombre, 1 + (i * 13 + :shop) % 6, precio, moment
FROM (SELECT i, datetime('2025-01-10 09:00:00', '+' || (i * 17 + :shop) || ' minutes') AS moment FROM n)
    JOIN productos ON codigo = printf('P%02d', 1 + (i * 5 + i / 12 + :shop) % 12);
