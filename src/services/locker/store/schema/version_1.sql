-- A database of version 1, as the program of that version left it: `sqlite3 lockers.db < version_1.sql`.
PRAGMA application_id = 1400327275;
PRAGMA user_version = 1;
BEGIN;
-- One row for each locker. A free locker keeps its password for the repeated retrieve.
CREATE TABLE lockers (
    number INTEGER PRIMARY KEY CHECK (number >= 0),
    in_use INTEGER NOT NULL CHECK (in_use IN (0, 1)),
    -- Counts up each time a password is set; 0 before the first.
    epoch INTEGER NOT NULL CHECK (epoch >= 0),
    -- The password's Argon2id hash, in PHC form.
    hash TEXT,
    -- How many rows of items belong to it.
    items INTEGER NOT NULL CHECK (items BETWEEN 0 AND 1000),
    -- When it was retrieved, in milliseconds since 1970, and the row of the trail that holds what
    -- was in it. Both end when it is registered anew.
    freed_at INTEGER,
    taken INTEGER REFERENCES trail (id),
    checksum TEXT NOT NULL,
    CHECK ((epoch = 0) = (hash IS NULL)),
    CHECK (in_use = 0 OR hash IS NOT NULL),
    CHECK (in_use = 1 OR items = 0),
    CHECK (in_use = 0 OR freed_at IS NULL),
    CHECK ((freed_at IS NULL) = (taken IS NULL))
) STRICT;
-- What lies in the lockers: TEXT where it is valid UTF-8, else BLOB.
CREATE TABLE items (
    locker INTEGER NOT NULL REFERENCES lockers (number),
    place INTEGER NOT NULL CHECK (place BETWEEN 0 AND 999),
    item ANY NOT NULL
        CHECK (typeof(item) IN ('text', 'blob') AND length(CAST(item AS BLOB)) <= 256),
    checksum TEXT NOT NULL,
    PRIMARY KEY (locker, place)
) STRICT, WITHOUT ROWID;
-- What was done, in order; nothing is ever changed or removed here.
CREATE TABLE trail (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('create', 'grow', 'shrink', 'migrate', 'register',
        'store', 'retrieve', 'reset', 'rehash')),
    locker INTEGER,
    result TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
-- What was taken out, by the row of the trail that tells of it.
CREATE TABLE trail_items (
    entry INTEGER NOT NULL REFERENCES trail (id),
    place INTEGER NOT NULL,
    item ANY NOT NULL CHECK (typeof(item) IN ('text', 'blob')),
    PRIMARY KEY (entry, place)
) STRICT, WITHOUT ROWID;
-- What was taken last out of each locker, until it is registered anew.
CREATE VIEW taken AS SELECT lockers.number AS locker, freed_at, place, item
    FROM lockers JOIN trail_items ON entry = taken ORDER BY locker, place;
INSERT INTO trail VALUES (1, 1700000000000, 'server', 'create', NULL, 'done', '4 lockers');
INSERT INTO trail VALUES (2, 1700000001000, '192.0.2.1:4000', 'register', 1, 'done', '');
INSERT INTO trail VALUES (3, 1700000002000, '192.0.2.1:4000', 'store', 1, 'done', '1 items');
INSERT INTO trail VALUES (4, 1700000003000, '192.0.2.1:4000', 'store', 1, 'done', '2 items');
INSERT INTO trail VALUES (5, 1700000004000, 'kiosk ''A|B''', 'register', 2, 'done', '');
INSERT INTO trail VALUES (6, 1700000005000, 'kiosk ''A|B''', 'store', 2, 'done', '1 items');
INSERT INTO trail VALUES (7, 1700000006000, 'kiosk ''A|B''', 'retrieve', 2, 'done', '1 items');
INSERT INTO trail VALUES (8, 1700000007000, 'uid 0', 'register', 3, 'done', '');
INSERT INTO trail VALUES (9, 1700000008000, 'uid 0', 'reset', 3, 'done', '');
INSERT INTO trail_items VALUES (7, 0, 'a red umbrella');
INSERT INTO lockers VALUES (0, 0, 0, NULL, 0, NULL, NULL,
    '79d324e67af6ee2a2d251dab8606e9deb9dd38889f0e6ed6243158b7cb292761');
INSERT INTO lockers VALUES (1, 1, 1, '$argon2id$one', 2, NULL, NULL,
    '39b9233dad4a38332257a16c8afd96ddd3729caed685fa0183d65e26450ac7d0');
INSERT INTO lockers VALUES (2, 0, 1, '$argon2id$two', 0, 1700000006000, 7,
    '321b981821f5238473af80d566cc8d80ecd0cc0de11bfd9c042ca3ce6d7b0a18');
INSERT INTO lockers VALUES (3, 1, 2, '$argon2id$0000', 0, NULL, NULL,
    '56f943f4921b76dd064439e236edfb4b5d31597b538c3fb73d1603a47e421923');
INSERT INTO items VALUES (1, 0, '책 한 권',
    '2c2ede68f3a8bf259ee71b175915403091558d780edf56f0ef21aa2723825068');
INSERT INTO items VALUES (1, 1, x'ff0001',
    'ff027d979447bbbf0e8873dbdaebf5997696bc4a329ab61d6937ac438a680d69');
CREATE TRIGGER trail_stays BEFORE UPDATE ON trail
    BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
CREATE TRIGGER trail_grows BEFORE DELETE ON trail
    BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
CREATE TRIGGER trail_items_stay BEFORE UPDATE ON trail_items
    BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
CREATE TRIGGER trail_items_grow BEFORE DELETE ON trail_items
    BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
COMMIT;
