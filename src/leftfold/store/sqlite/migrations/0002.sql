-- Format 2: tags lie in segments of the log. What is there becomes one segment, of the level that its size has.

-- The tags of the events, in segments of the log: those of one segment lie together, so that the tags of new events
-- touch few pages. Segments are merged as the log grows, so that a search looks into few of them.
CREATE TABLE segment_tag (
    segment  INTEGER NOT NULL,
    tag      TEXT NOT NULL,
    position INTEGER NOT NULL,
    type     INTEGER NOT NULL,
    PRIMARY KEY (segment, tag, position)
) STRICT, WITHOUT ROWID;

-- The segments to search; each position is in exactly one.
CREATE TABLE segment (
    first INTEGER PRIMARY KEY,  -- the events from this position
    last  INTEGER NOT NULL,     -- to this one; the newest segment ends with the largest integer
    id    INTEGER NOT NULL,
    level INTEGER NOT NULL      -- how often its tags have been merged
) STRICT;

-- Segments that are being filled with the tags of those from first to last.
CREATE TABLE segment_merge (
    id    INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    level INTEGER NOT NULL
) STRICT;

-- Segments that have been merged: nobody searches them, and their tags are being deleted.
CREATE TABLE segment_merged (
    id INTEGER PRIMARY KEY
) STRICT;

INSERT INTO segment_tag (segment, tag, position, type)
SELECT 1, tag, position, type
FROM tag
ORDER BY tag, position;

DROP TABLE tag;

INSERT INTO segment (first, last, id, level)
SELECT 1, head, 1, CASE WHEN head < 65536 THEN 0 WHEN head < 1048576 THEN 1 WHEN head < 16777216 THEN 2 ELSE 3 END
FROM (SELECT max(position) AS head FROM event)
WHERE head IS NOT NULL;

INSERT INTO segment (first, last, id, level)
SELECT 1 + coalesce(max(position), 0), 9223372036854775807, 2, 0
FROM event;
