-- Returns the positions of the first events after `after` that match one item of criteria. Types and tags come one per line.
CREATE OR REPLACE FUNCTION "leftfold_log".matching(types text, tags text, after bigint, at_most integer) RETURNS SETOF bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, "leftfold_log", pg_temp AS $$
DECLARE
    wanted integer[];
    first_tag text := split_part(tags, E'\n', 1);
    other_tags text[] := (string_to_array(tags, E'\n'))[2:];
BEGIN
    IF types <> '' THEN
        wanted := ARRAY(SELECT type.id FROM type WHERE type.name = ANY (string_to_array(types, E'\n')));
    END IF;
    IF tags <> '' THEN
        RETURN QUERY
            SELECT driver.position
            FROM tag AS driver
            WHERE driver.tag = first_tag
                AND driver.position > after
                AND (wanted IS NULL OR driver.type = ANY (wanted))
                AND NOT EXISTS (
                    SELECT FROM unnest(other_tags) AS other (tag)
                    WHERE NOT EXISTS (SELECT FROM tag WHERE tag.tag = other.tag AND tag.position = driver.position)
                )
            ORDER BY driver.position
            LIMIT at_most;
    ELSIF types <> '' THEN
        RETURN QUERY
            SELECT found.position
            FROM unnest(wanted) AS one (type)
            CROSS JOIN LATERAL (
                SELECT event.position
                FROM event
                WHERE event.type = one.type AND event.position > after
                ORDER BY event.position
                LIMIT at_most
            ) AS found
            ORDER BY found.position
            LIMIT at_most;
    ELSE
        RETURN QUERY
            SELECT event.position FROM event WHERE event.position > after ORDER BY event.position LIMIT at_most;
    END IF;
END
$$;
