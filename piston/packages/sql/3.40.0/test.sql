CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT);
INSERT INTO word (text) VALUES ('eins'), ('二');
.mode list
.headers off
SELECT CASE WHEN group_concat(text) = 'eins,二' AND json_extract('{"a": [1]}', '$.a[0]') = 1 THEN 'OK' ELSE 'wrong' END FROM word;
