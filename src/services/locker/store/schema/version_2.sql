-- A database of version 2, as the program of that version left it: `sqlite3 lockers.db < version_2.sql`.
PRAGMA application_id = 1400327275;
PRAGMA user_version = 2;
PRAGMA foreign_keys = OFF;
BEGIN;
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
    -- 1 where the password is 0000 since a reset.
    is_default INTEGER NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1)),
    CHECK ((epoch = 0) = (hash IS NULL)),
    CHECK (in_use = 0 OR hash IS NOT NULL),
    CHECK (in_use = 1 OR items = 0),
    CHECK (in_use = 0 OR freed_at IS NULL),
    CHECK ((freed_at IS NULL) = (taken IS NULL))
) STRICT;
INSERT INTO lockers VALUES (0,0,0,NULL,0,NULL,NULL,
    'a85f28c6d4e3cd1fcff4afaec8468f91a2b7e80a16e973717b89493c017b23c6',0);
INSERT INTO lockers VALUES (1,1,1,
    '$argon2id$v=19$m=8,t=1,p=1$P2FRIfuTIgoZO9V6/U7OcA$G8lTYdVSbURp+ybuXbnFP6OiSQB5/CMry6kTdrI+B3E',
    2,NULL,NULL,
    'd6141cfad6715b0085304a08d5912589b7a2786ffbebcc4d8464eded10bfcd7b',0);
INSERT INTO lockers VALUES (2,0,1,
    '$argon2id$v=19$m=8,t=1,p=1$29717hitN1ml8eWS3aBahw$2CT3U2sc+NCddk0gLJV8+XTNFiRRuXFBLsvXUsaA/gw',
    0,1795292458399,7,
    'dd13c2a10bc8173a1e720ba98fee6d22aa1425f23bf7a93fb7ca9da5fae8f6fb',0);
INSERT INTO lockers VALUES (3,1,2,
    '$argon2id$v=19$m=8,t=1,p=1$xDD6Q07FaOEu9kN/Qfo8Bg$EsXK4y60CAGdx1bYAsTeMmPpPIjatAKzMnJWB9AW77w',
    0,NULL,NULL,
    '7211d04a81800dc5c74c49b81b30800f37bc3d684a0c26b1a49693f6972a930b',1);
CREATE TABLE items (
    locker INTEGER NOT NULL REFERENCES lockers (number),
    place INTEGER NOT NULL CHECK (place BETWEEN 0 AND 999),
    item ANY NOT NULL
        CHECK (typeof(item) IN ('text', 'blob') AND length(CAST(item AS BLOB)) <= 256),
    checksum TEXT NOT NULL,
    PRIMARY KEY (locker, place)
) STRICT, WITHOUT ROWID;
INSERT INTO items VALUES (1,0,'책 한 권','2c2ede68f3a8bf259ee71b175915403091558d780edf56f0ef21aa2723825068');
INSERT INTO items VALUES (1,1,X'ff01','51c3d514d06c4b604ec6be00245211a6eb2bde1a7d57b1c1814882fea4bd2fbd');
CREATE TABLE trail (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    -- One by one: SQLite makes a table of a longer IN list, for each row anew.
    action TEXT NOT NULL CHECK (action = 'store' OR action = 'retrieve' OR action = 'register' OR
        action = 'reset' OR action = 'rehash' OR action = 'create' OR action = 'grow' OR
        action = 'shrink' OR action = 'migrate'),
    locker INTEGER,
    result TEXT NOT NULL,
    detail TEXT NOT NULL,
    previous TEXT NOT NULL DEFAULT '',
    own TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO trail VALUES (1,1795292458268,'server','create',NULL,'done','4 lockers',
    '0000000000000000000000000000000000000000000000000000000000000000',
    '9680e6c8394ab681ac9c0db2e19d6f93ec6a03cd439301b8c9f0f0ac675de45e');
INSERT INTO trail VALUES (2,1795292458382,'process 26661 of user 0','register',1,'done','',
    '9680e6c8394ab681ac9c0db2e19d6f93ec6a03cd439301b8c9f0f0ac675de45e',
    'd04d450cf30baafb6e5a6a64642ccf15a9bc84b8fe283bb69fb0d3ff75645920');
INSERT INTO trail VALUES (3,1795292458390,'process 26661 of user 0','store',1,'done','1 items',
    'd04d450cf30baafb6e5a6a64642ccf15a9bc84b8fe283bb69fb0d3ff75645920',
    'a50d67aedfbd535f091e868da4f967e0bca8a9d1fa36b39bf245cad45624bd8e');
INSERT INTO trail VALUES (4,1795292458390,'process 26661 of user 0','store',1,'done','2 items',
    'a50d67aedfbd535f091e868da4f967e0bca8a9d1fa36b39bf245cad45624bd8e',
    'b3e7223045cc0047f29e1f7a1cc75a70d6fea52324a15837863f8cf8dbf5bd96');
INSERT INTO trail VALUES (5,1795292458399,'process 26661 of user 0','register',2,'done','',
    'b3e7223045cc0047f29e1f7a1cc75a70d6fea52324a15837863f8cf8dbf5bd96',
    '06a37857dfd18755724e6f035edba8667b9541fe880ace2130ea23b36a8e0476');
INSERT INTO trail VALUES (6,1795292458399,'process 26661 of user 0','store',2,'done','1 items',
    '06a37857dfd18755724e6f035edba8667b9541fe880ace2130ea23b36a8e0476',
    '040472271e4d8439e0f4981ffe0e7e16f7457f6e61a6b6f129bef38291e76577');
INSERT INTO trail VALUES (7,1795292458399,'process 26661 of user 0','retrieve',2,'done','1 items',
    '040472271e4d8439e0f4981ffe0e7e16f7457f6e61a6b6f129bef38291e76577',
    '881a67a4f5279ee742cbc31b152626ac39471c6b4f15709d3d71cc46c05a1ab8');
INSERT INTO trail VALUES (8,1795292458402,'process 26661 of user 0','register',3,'done','',
    '881a67a4f5279ee742cbc31b152626ac39471c6b4f15709d3d71cc46c05a1ab8',
    '677f93caeb935d152c1de373c970398119685130d9de80c700eae707a02e6630');
INSERT INTO trail VALUES (9,1795292458402,'process 26661 of user 0','reset',3,'done','',
    '677f93caeb935d152c1de373c970398119685130d9de80c700eae707a02e6630',
    '3a05e9ecd8d0719cd2659bd42e7bce45de6b01e848dd4f55f1581387fed31728');
CREATE TABLE trail_items (
    entry INTEGER NOT NULL REFERENCES trail (id),
    place INTEGER NOT NULL,
    item ANY NOT NULL CHECK (typeof(item) IN ('text', 'blob')),
    PRIMARY KEY (entry, place)
) STRICT, WITHOUT ROWID;
INSERT INTO trail_items VALUES (7,0,'a red umbrella');
CREATE VIEW taken AS SELECT lockers.number AS locker, freed_at, place, item
    FROM lockers JOIN trail_items ON entry = taken ORDER BY locker, place;
CREATE TRIGGER trail_stays BEFORE UPDATE ON trail
    BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
CREATE TRIGGER trail_grows BEFORE DELETE ON trail
    BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
CREATE TRIGGER trail_items_stay BEFORE UPDATE ON trail_items
    BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
CREATE TRIGGER trail_items_grow BEFORE DELETE ON trail_items
    BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
COMMIT;
