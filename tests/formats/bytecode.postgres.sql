SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;

CREATE SCHEMA shop;

CREATE SCHEMA shop_models;

CREATE FUNCTION shop.append(durable boolean, clock bigint, request_events integer[], key_request integer[], key_text text[], key_digest bytea[], key_place integer[], key_events integer[], type_names text[], event_request integer[], event_type integer[], event_version integer[], event_tags text[], event_data bytea[], event_metadata bytea[], event_times bigint[], tag_text text[], tag_event integer[], item_request integer[], item_after bigint[], item_types text[], item_tags text[], clash_later integer[], clash_earlier integer[], clash_place integer[], clash_after bigint[], OUT codes integer[], OUT firsts bigint[], OUT lasts bigint[], OUT details jsonb, OUT moment bigint, OUT newest bigint, OUT head bigint) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'shop', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    locked constant boolean := begin_append(durable);
    requests constant integer := cardinality(request_events);
    clashes constant integer := cardinality(clash_later);
    type_ids integer[];
    matched integer[];
    shifts bigint[];                -- of each request, from its events' numbers to their positions
    events integer := 0;
    tip bigint;
    clash integer := 1;
    found record;
BEGIN
    SELECT event.position, event.time INTO head, newest FROM event ORDER BY event.position DESC LIMIT 1;
    head := coalesce(head, 0);
    newest := coalesce(newest, 0);
    moment := coalesce(clock, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);

    IF cardinality(key_text) > 0 THEN
        FOR found IN
            SELECT
                asked.request,
                jsonb_agg(
                    jsonb_build_array(
                        asked.number, known.first_position, known.last_position, encode(known.digest, 'hex')
                    )
                    ORDER BY asked.number
                ) AS uses
            FROM unnest(key_request, key_text) WITH ORDINALITY AS asked (request, key, number)
            CROSS JOIN LATERAL (SELECT * FROM idempotency_key AS used WHERE used.key = asked.key LIMIT 1) AS known
            GROUP BY asked.request
        LOOP
            codes := coalesce(codes, array_fill(0, ARRAY[requests]));
            codes[found.request] := 1;
            details := coalesce(details, '{}') || jsonb_build_object(found.request, found.uses);
        END LOOP;
    END IF;

    IF cardinality(item_request) > 0 THEN
        matched := ARRAY(
            SELECT item.number
            FROM unnest(item_after, item_types, item_tags) WITH ORDINALITY AS item (after, types, tags, number)
            WHERE item.after < head
                AND CASE
                    WHEN strpos(item.tags, E'\n') > 0 THEN
                        EXISTS (SELECT FROM matching(item.types, item.tags, item.after, 1))
                    WHEN item.tags <> '' THEN
                        EXISTS (
                            SELECT
                            FROM tag
                            WHERE tag.tag = item.tags
                                AND tag.position > item.after
                                AND (
                                    item.types = ''
                                    OR EXISTS (
                                        SELECT
                                        FROM type
                                        WHERE type.id = tag.type
                                            AND type.name = ANY (string_to_array(item.types, E'\n'))
                                    )
                                )
                        )
                    WHEN item.types <> '' THEN EXISTS (SELECT FROM matching(item.types, '', item.after, 1))
                    ELSE true
                END
            ORDER BY item.number
        );
        FOR place IN 1..cardinality(matched) LOOP
            codes := coalesce(codes, array_fill(0, ARRAY[requests]));
            CONTINUE WHEN codes[item_request[matched[place]]] <> 0;
            codes[item_request[matched[place]]] := 2;
            details := coalesce(details, '{}') || jsonb_build_object(
                item_request[matched[place]],
                jsonb_build_object(
                    'item', matched[place],
                    'matches', (
                        SELECT jsonb_agg(
                            jsonb_build_array(event.position, type.name, event.tags) ORDER BY event.position
                        )
                        FROM matching(
                            item_types[matched[place]], item_tags[matched[place]], item_after[matched[place]], 3
                        ) AS match (position)
                        JOIN event ON event.position = match.position
                        JOIN type ON type.id = event.type
                    )
                )
            );
        END LOOP;
    END IF;

    IF cardinality(event_times) > 0 AND codes IS NULL AND NOT (
        SELECT bool_and(given.time >= given.before AND given.time <= moment)
        FROM (
            SELECT one.time, lag(one.time, 1, newest) OVER (ORDER BY one.place) AS before
            FROM unnest(event_times) WITH ORDINALITY AS one (time, place)
        ) AS given
    ) THEN
        codes := ARRAY[4];
    END IF;

    IF codes IS NOT NULL OR clashes > 0 THEN
        codes := coalesce(codes, array_fill(0, ARRAY[requests]));
        firsts := array_fill(0::bigint, ARRAY[requests]);
        lasts := firsts;
        shifts := firsts;
        tip := head;
        FOR request IN 1..requests LOOP
            WHILE clash <= clashes AND clash_later[clash] = request LOOP
                IF codes[request] = 0
                    AND codes[clash_earlier[clash]] = 0
                    AND firsts[clash_earlier[clash]] + clash_place[clash] > clash_after[clash]
                THEN
                    codes[request] := 3;
                    firsts[request] := firsts[clash_earlier[clash]] + clash_place[clash];
                    lasts[request] := clash;
                END IF;
                clash := clash + 1;
            END LOOP;
            IF codes[request] = 0 THEN
                firsts[request] := tip + 1;
                shifts[request] := tip - events;
                tip := tip + request_events[request];
                lasts[request] := tip;
            END IF;
            events := events + request_events[request];
        END LOOP;
        IF tip = head THEN
            RETURN;
        END IF;
    ELSE
        tip := head + cardinality(event_request);
    END IF;

    type_ids := ARRAY(
        SELECT coalesce(type.id, 0)
        FROM unnest(type_names) WITH ORDINALITY AS named (name, number)
        LEFT JOIN type ON type.name = named.name
        ORDER BY named.number
    );
    IF 0 = ANY (type_ids) THEN
        INSERT INTO type (name)
        SELECT DISTINCT named.name
        FROM unnest(event_request, event_type) AS new (request, type)
        JOIN unnest(type_names) WITH ORDINALITY AS named (name, number) ON named.number = new.type
        WHERE (codes IS NULL OR codes[new.request] = 0) AND type_ids[new.type] = 0;
        type_ids := ARRAY(
            SELECT coalesce(type.id, 0)
            FROM unnest(type_names) WITH ORDINALITY AS named (name, number)
            LEFT JOIN type ON type.name = named.name
            ORDER BY named.number
        );
    END IF;

    INSERT INTO event (position, time, type, version, tags, data, metadata)
    SELECT
        coalesce(shifts[new.request], head) + new.number,
        coalesce(new.time, greatest(moment, newest)),
        type_ids[new.type],
        new.version,
        new.tags,
        new.data,
        new.metadata
    FROM unnest(event_request, event_type, event_version, event_tags, event_data, event_metadata, event_times)
        WITH ORDINALITY AS new (request, type, version, tags, data, metadata, time, number)
    WHERE codes IS NULL OR codes[new.request] = 0;

    IF cardinality(tag_text) > 0 THEN
        INSERT INTO tag (tag, position, type)
        SELECT
            new.tag, coalesce(shifts[event_request[new.event]], head) + new.event, type_ids[event_type[new.event]]
        FROM unnest(tag_text, tag_event) AS new (tag, event)
        WHERE codes IS NULL OR codes[event_request[new.event]] = 0
        ORDER BY new.tag;
    END IF;

    IF cardinality(key_text) > 0 THEN
        events := 0;
        IF firsts IS NULL THEN
            FOR request IN 1..requests LOOP
                firsts[request] := head + 1 + events;
                events := events + request_events[request];
            END LOOP;
        END IF;
        INSERT INTO idempotency_key (key, first_position, last_position, digest)
        SELECT
            new.key,
            firsts[new.request] + new.place,
            firsts[new.request] + new.place + new.events - 1,
            new.digest
        FROM unnest(key_request, key_text, key_digest, key_place, key_events)
            AS new (request, key, digest, place, events)
        WHERE codes IS NULL OR codes[new.request] = 0;
    END IF;

    IF NOT pg_try_advisory_xact_lock(hashtextextended('shop', 2))
        AND pg_notify('shop', tip::text) IS NULL
    THEN
        RAISE EXCEPTION 'nobody can be notified';
    END IF;
END
$$;

CREATE FUNCTION shop.append_few(durable boolean, clock bigint, event_type text[], event_version integer[], event_tags text[], event_data bytea[], event_metadata bytea[], item_after bigint[], item_types text[], item_tags text[], OUT head bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'shop', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    locked constant boolean := begin_append(durable);
    tip bigint;
    moment bigint;
    type_id integer;
    event_tag text;
BEGIN
    SELECT event.position, event.time INTO tip, moment FROM event ORDER BY event.position DESC LIMIT 1;
    tip := coalesce(tip, 0);
    moment := greatest(moment, coalesce(clock, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint));

    FOR item IN 1..cardinality(item_after) LOOP
        CONTINUE WHEN item_after[item] >= tip;
        IF item_tags[item] = '' OR strpos(item_tags[item], E'\n') > 0 THEN
            IF EXISTS (SELECT FROM matching(item_types[item], item_tags[item], item_after[item], 1)) THEN
                RETURN;
            END IF;
        ELSIF EXISTS (
            SELECT
            FROM tag
            WHERE tag.tag = item_tags[item]
                AND tag.position > item_after[item]
                AND (
                    item_types[item] = ''
                    OR EXISTS (
                        SELECT
                        FROM type
                        WHERE type.id = tag.type AND type.name = ANY (string_to_array(item_types[item], E'\n'))
                    )
                )
        ) THEN
            RETURN;
        END IF;
    END LOOP;

    head := tip;
    FOR place IN 1..cardinality(event_type) LOOP
        tip := tip + 1;
        SELECT type.id INTO type_id FROM type WHERE type.name = event_type[place];
        IF type_id IS NULL THEN
            INSERT INTO type (name) VALUES (event_type[place]) RETURNING type.id INTO type_id;
        END IF;
        INSERT INTO event (position, time, type, version, tags, data, metadata)
        VALUES (
            tip, moment, type_id, event_version[place], event_tags[place], event_data[place], event_metadata[place]
        );
        FOREACH event_tag IN ARRAY string_to_array(event_tags[place], E'\n') LOOP
            INSERT INTO tag (tag, position, type) VALUES (event_tag, tip, type_id);
        END LOOP;
    END LOOP;

    IF NOT pg_try_advisory_xact_lock(hashtextextended('shop', 2))
        AND pg_notify('shop', tip::text) IS NULL
    THEN
        RAISE EXCEPTION 'nobody can be notified';
    END IF;
END
$$;

CREATE FUNCTION shop.beat_leases(present_holder text, held text[]) RETURNS TABLE(name text, holder text, beat bigint, microseconds bigint)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'shop', 'pg_catalog'
    AS $$
    UPDATE lease SET beat = lease.beat + 1, microseconds = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    WHERE lease.name = ANY (held) AND lease.holder = present_holder
    RETURNING lease.name, lease.holder, lease.beat, lease.microseconds
$$;

CREATE FUNCTION shop.begin_append(durable boolean) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append under isolation level %', current_setting('transaction_isolation')
            USING HINT = 'call it under READ COMMITTED: it has to see what was committed before it had the lock',
                ERRCODE = 'invalid_transaction_state';
    END IF;
    -- Nobody waits for the lock for ever, and nobody who has it keeps it for long: until the transaction ends it may not
    -- idle, no statement of it may take long, nor (from PostgreSQL 17 on) may all of it. One expression, from left to
    -- right, since each statement costs as much as all of it. None of its parts is ever true.
    IF set_config('idle_in_transaction_session_timeout', '10s', true) IS NULL
        OR current_setting('lock_timeout') = '0' AND set_config('lock_timeout', '10s', true) IS NULL
        OR current_setting('statement_timeout') = '0' AND set_config('statement_timeout', '60s', true) IS NULL
        OR coalesce(current_setting('transaction_timeout', true), '') = '0'  -- which 15 does not know
            AND set_config('transaction_timeout', '60s', true) IS NULL
        OR durable = (current_setting('synchronous_commit') = 'off')
            AND set_config('synchronous_commit', CASE WHEN durable THEN 'on' ELSE 'off' END, true) IS NULL
        OR pg_advisory_xact_lock(hashtextextended('shop', 0)) IS NULL
    THEN
        RAISE EXCEPTION 'the settings and the lock of an append are not to be had';
    END IF;
    RETURN true;
END
$$;

CREATE FUNCTION shop.listen() RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    LISTEN "shop";
    PERFORM pg_advisory_lock_shared(hashtextextended('shop', 2));
END
$$;

CREATE FUNCTION shop.matching(types text, tags text, after bigint, at_most integer) RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE
    AS $$
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

CREATE FUNCTION shop.readable(bytes bytea) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    RETURN convert_from(bytes, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
    RETURN bytes::text;
END
$$;

CREATE FUNCTION shop.refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed: % of % is refused', TG_OP, TG_TABLE_NAME;
END
$$;

CREATE FUNCTION shop.release_leases(present_holder text, held text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'shop', 'pg_catalog'
    AS $$
    DELETE FROM lease WHERE lease.name = ANY (held) AND lease.holder = present_holder
$$;

CREATE FUNCTION shop.take_lease(wanted text, expected_holder text, expected_beat bigint, new_holder text) RETURNS TABLE(name text, holder text, beat bigint, microseconds bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'shop', 'pg_catalog'
    AS $$
#variable_conflict use_column
DECLARE
    now_microseconds bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
BEGIN
    IF expected_holder IS NULL THEN
        RETURN QUERY
            INSERT INTO lease VALUES (wanted, new_holder, 1, now_microseconds)
            ON CONFLICT DO NOTHING
            RETURNING name, holder, beat, microseconds;
    ELSE
        RETURN QUERY
            UPDATE lease SET holder = new_holder, beat = beat + 1, microseconds = now_microseconds
            WHERE name = wanted AND holder = expected_holder AND beat = expected_beat
            RETURNING name, holder, beat, microseconds;
    END IF;
END
$$;

CREATE TABLE shop.event (
    "position" bigint NOT NULL,
    "time" bigint NOT NULL,
    type integer NOT NULL,
    version integer NOT NULL,
    tags text NOT NULL COLLATE pg_catalog."C",
    data bytea NOT NULL,
    metadata bytea NOT NULL
);

CREATE TABLE shop.type (
    id integer NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C"
);

CREATE VIEW shop.events AS
 SELECT event."position",
    (to_timestamp(((event."time" / 1000000))::double precision) + (((event."time" % (1000000)::bigint))::double precision * '00:00:00.000001'::interval)) AS "time",
    type.name AS type,
    event.version,
    string_to_array(event.tags, '
'::text) AS tags,
    shop.readable(event.data) AS data,
    shop.readable(event.metadata) AS metadata
   FROM (shop.event
     JOIN shop.type ON ((type.id = event.type)));

CREATE TABLE shop.idempotency_key (
    key text NOT NULL COLLATE pg_catalog."C",
    first_position bigint NOT NULL,
    last_position bigint NOT NULL,
    digest bytea NOT NULL
);

CREATE TABLE shop.lease (
    name text NOT NULL,
    holder text NOT NULL,
    beat bigint NOT NULL,
    microseconds bigint NOT NULL
);

CREATE TABLE shop.log (
    id text NOT NULL,
    created bigint NOT NULL,
    format integer NOT NULL
);

CREATE TABLE shop.tag (
    tag text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    type integer NOT NULL
);

ALTER TABLE shop.type ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME shop.type_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE shop_models.balance (
    account text NOT NULL COLLATE pg_catalog."C",
    owner text NOT NULL COLLATE pg_catalog."C",
    kind character varying COLLATE pg_catalog."C",
    total bigint NOT NULL,
    interest numeric NOT NULL,
    note text NOT NULL COLLATE pg_catalog."C"
);

CREATE TABLE shop_models.divided (
    account text NOT NULL COLLATE pg_catalog."C",
    times bigint NOT NULL,
    seen jsonb NOT NULL
);

CREATE TABLE shop_models.latest (
    account text NOT NULL COLLATE pg_catalog."C",
    amount bigint NOT NULL
);

CREATE TABLE shop_models.latest_history (
    account text NOT NULL COLLATE pg_catalog."C",
    amount bigint NOT NULL,
    valid_from bigint NOT NULL,
    valid_until bigint
);

CREATE TABLE shop_models.leftfold_checkpoint (
    model character varying NOT NULL,
    "position" bigint NOT NULL,
    build character varying NOT NULL,
    fingerprint character varying NOT NULL,
    log_id character varying NOT NULL,
    tables character varying NOT NULL,
    version bigint DEFAULT '1'::bigint NOT NULL
);

CREATE TABLE shop_models.leftfold_lease (
    name character varying NOT NULL,
    holder character varying NOT NULL,
    beat bigint NOT NULL,
    microseconds bigint NOT NULL
);

CREATE TABLE shop_models.leftfold_parked (
    model character varying NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    problem character varying NOT NULL
);

CREATE TABLE shop_models.leftfold_parked_event (
    model character varying NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL
);

CREATE TABLE shop_models.lines (
    account character varying,
    amount integer
);

INSERT INTO shop.event VALUES (1, 1796035603789702, 1, 1, 'account:a
owner:owner of a', '\x7b226163636f756e74223a2261222c226f776e6572223a226f776e6572206f662061222c226b696e64223a22736176696e6773227d', '\x7b22636f6d6d616e64223a223762343130346430613835623432653161623432333234656532393661396461222c22636f6d6d616e645f74797065223a224f70656e222c22636f7272656c6174696f6e223a223762343130346430613835623432653161623432333234656532393661396461227d');
INSERT INTO shop.event VALUES (2, 1796035603883419, 1, 1, 'account:b
owner:owner of b', '\x7b226163636f756e74223a2262222c226f776e6572223a226f776e6572206f662062222c226b696e64223a22736176696e6773227d', '\x7b22636f6d6d616e64223a226634353363353231313734623464313462613163326233633263646432333762222c22636f6d6d616e645f74797065223a224f70656e222c22636f7272656c6174696f6e223a226634353363353231313734623464313462613163326233633263646432333762227d');
INSERT INTO shop.event VALUES (3, 1796035603903043, 1, 1, 'account:c
owner:owner of c', '\x7b226163636f756e74223a2263222c226f776e6572223a226f776e6572206f662063222c226b696e64223a22736176696e6773227d', '\x7b22636f6d6d616e64223a226533383338376237363338383438326339343630636235383561323664323763222c22636f6d6d616e645f74797065223a224f70656e222c22636f7272656c6174696f6e223a226533383338376237363338383438326339343630636235383561323664323763227d');
INSERT INTO shop.event VALUES (4, 1796035603908217, 2, 1, 'account:a', '\x7b226163636f756e74223a2261222c22616d6f756e74223a377d', '\x7b22636f6d6d616e64223a226262313463343965393065373461356462383931313833373139343133366439222c22636f6d6d616e645f74797065223a224465706f736974222c22636f7272656c6174696f6e223a226262313463343965393065373461356462383931313833373139343133366439227d');
INSERT INTO shop.event VALUES (5, 1796035603912059, 2, 1, 'account:a', '\x7b226163636f756e74223a2261222c22616d6f756e74223a387d', '\x7b22636f6d6d616e64223a223863656435306539646639663439333862633863653731366239343030323838222c22636f6d6d616e645f74797065223a224465706f736974222c22636f7272656c6174696f6e223a223863656435306539646639663439333862633863653731366239343030323838227d');
INSERT INTO shop.event VALUES (6, 1796035603916987, 2, 1, 'account:a', '\x7b226163636f756e74223a2261222c22616d6f756e74223a397d', '\x7b22636f6d6d616e64223a223265343530306638633930383463613839353033353262323530333032383064222c22636f6d6d616e645f74797065223a224465706f736974222c22636f7272656c6174696f6e223a223265343530306638633930383463613839353033353262323530333032383064227d');
INSERT INTO shop.event VALUES (7, 1796035603934780, 2, 1, 'account:a', '\x7b226163636f756e74223a2261222c22616d6f756e74223a31307d', '\x7b22636f6d6d616e64223a223266333266313761313636373464346362323763363964613865646437613266222c22636f6d6d616e645f74797065223a224465706f736974222c22636f7272656c6174696f6e223a223266333266313761313636373464346362323763363964613865646437613266227d');
INSERT INTO shop.event VALUES (8, 1796035603949194, 2, 1, 'account:a', '\x7b226163636f756e74223a2261222c22616d6f756e74223a31317d', '\x7b22636f6d6d616e64223a223133386234383531333339343430643862656236313464663431316361346232222c22636f6d6d616e645f74797065223a224465706f736974222c22636f7272656c6174696f6e223a223133386234383531333339343430643862656236313464663431316361346232227d');
INSERT INTO shop.event VALUES (9, 1796035603957990, 2, 1, 'account:c', '\x7b226163636f756e74223a2263222c22616d6f756e74223a31327d', '\x7b22636f6d6d616e64223a226339663335386237303363313465376139353833626666313664313663363361222c22636f6d6d616e645f74797065223a224465706f736974222c22636f7272656c6174696f6e223a226339663335386237303363313465376139353833626666313664313663363361227d');
INSERT INTO shop.event VALUES (10, 1796035603969920, 4, 1, 'leftfold.ticket:60e95b748053e824a934ce29232bda51', '\x7b227469636b6574223a223630653935623734383035336538323461393334636532393233326264613531222c22636f6d6d616e64223a225468616e6b222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b226163636f756e74223a2261227d7d', '\x7b22636f6d6d616e64223a223630653935623734383035336538323461393334636532393233326264613531222c22636f6d6d616e645f74797065223a225468616e6b222c22636f7272656c6174696f6e223a223133386234383531333339343430643862656236313464663431316361346232222c226361757365223a382c226578747261223a7b2270726f63657373223a225468616e6b73227d7d');
INSERT INTO shop.event VALUES (11, 1796035603969920, 3, 1, 'leftfold.process:Thanks/a', '\x7b22696e7374616e6365223a225468616e6b732f61222c22706f736974696f6e223a382c227469636b657473223a5b223630653935623734383035336538323461393334636532393233326264613531225d2c226e616d6573223a7b7d2c22646f6e65223a66616c73657d', '\x7b22636f7272656c6174696f6e223a223133386234383531333339343430643862656236313464663431316361346232222c226361757365223a382c226578747261223a7b2270726f63657373223a225468616e6b73227d7d');
INSERT INTO shop.event VALUES (12, 1796035603984565, 5, 1, 'account:a', '\x7b226163636f756e74223a2261227d', '\x7b22636f6d6d616e64223a223630653935623734383035336538323461393334636532393233326264613531222c22636f6d6d616e645f74797065223a225468616e6b222c22636f7272656c6174696f6e223a223133386234383531333339343430643862656236313464663431316361346232222c226361757365223a382c226578747261223a7b2270726f63657373223a225468616e6b73227d7d');
INSERT INTO shop.event VALUES (13, 1796035603984565, 6, 1, 'leftfold.ticket:60e95b748053e824a934ce29232bda51', '\x7b227469636b6574223a223630653935623734383035336538323461393334636532393233326264613531222c226576656e7473223a317d', '\x7b22636f6d6d616e64223a223630653935623734383035336538323461393334636532393233326264613531222c22636f6d6d616e645f74797065223a225468616e6b222c22636f7272656c6174696f6e223a223133386234383531333339343430643862656236313464663431316361346232222c226361757365223a382c226578747261223a7b2270726f63657373223a225468616e6b73227d7d');
INSERT INTO shop.event VALUES (14, 1796035604020165, 7, 1, 'leftfold.reactor:letters', '\x7b2272656163746f72223a226c657474657273222c22706f736974696f6e223a31332c22616761696e223a5b5d7d', '\x7b7d');
INSERT INTO shop.event VALUES (15, 1796035604026375, 4, 1, 'leftfold.ticket:79dfb616308f3ba52a90f2f90c5e459d', '\x7b227469636b6574223a223739646662363136333038663362613532613930663266393063356534353964222c22636f6d6d616e64223a225468616e6b222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b226163636f756e74223a2263227d7d', '\x7b22636f6d6d616e64223a223739646662363136333038663362613532613930663266393063356534353964222c22636f6d6d616e645f74797065223a225468616e6b222c22636f7272656c6174696f6e223a226339663335386237303363313465376139353833626666313664313663363361222c226361757365223a392c226578747261223a7b2270726f63657373223a225468616e6b73227d7d');
INSERT INTO shop.event VALUES (16, 1796035604026375, 3, 1, 'leftfold.process:Thanks/c', '\x7b22696e7374616e6365223a225468616e6b732f63222c22706f736974696f6e223a392c227469636b657473223a5b223739646662363136333038663362613532613930663266393063356534353964225d2c226e616d6573223a7b7d2c22646f6e65223a66616c73657d', '\x7b22636f7272656c6174696f6e223a226339663335386237303363313465376139353833626666313664313663363361222c226361757365223a392c226578747261223a7b2270726f63657373223a225468616e6b73227d7d');
INSERT INTO shop.event VALUES (17, 1796035604034058, 5, 1, 'account:c', '\x7b226163636f756e74223a2263227d', '\x7b22636f6d6d616e64223a223739646662363136333038663362613532613930663266393063356534353964222c22636f6d6d616e645f74797065223a225468616e6b222c22636f7272656c6174696f6e223a226339663335386237303363313465376139353833626666313664313663363361222c226361757365223a392c226578747261223a7b2270726f63657373223a225468616e6b73227d7d');
INSERT INTO shop.event VALUES (18, 1796035604034058, 6, 1, 'leftfold.ticket:79dfb616308f3ba52a90f2f90c5e459d', '\x7b227469636b6574223a223739646662363136333038663362613532613930663266393063356534353964222c226576656e7473223a317d', '\x7b22636f6d6d616e64223a223739646662363136333038663362613532613930663266393063356534353964222c22636f6d6d616e645f74797065223a225468616e6b222c22636f7272656c6174696f6e223a226339663335386237303363313465376139353833626666313664313663363361222c226361757365223a392c226578747261223a7b2270726f63657373223a225468616e6b73227d7d');
INSERT INTO shop.event VALUES (19, 1796035604056561, 7, 1, 'leftfold.reactor:letters', '\x7b2272656163746f72223a226c657474657273222c22706f736974696f6e223a31382c22616761696e223a5b5d7d', '\x7b7d');

INSERT INTO shop.idempotency_key VALUES ('open a', 1, 1, '\x44bc039936b7125019bc5bff9e858226');
INSERT INTO shop.idempotency_key VALUES ('open b', 2, 2, '\xc3101d9c7c42978a0d7f10bceb8d2c43');
INSERT INTO shop.idempotency_key VALUES ('open c', 3, 3, '\x112a73c5152b517e33d57696c193f30b');
INSERT INTO shop.idempotency_key VALUES ('leftfold.process/Thanks/a/8', 10, 11, '\x');
INSERT INTO shop.idempotency_key VALUES ('leftfold.process/Thanks/c/9', 15, 16, '\x');

INSERT INTO shop.log VALUES ('600e71f492874afcb1f84c460356ec81', 1796035602550230, 1);

INSERT INTO shop.tag VALUES ('account:a', 1, 1);
INSERT INTO shop.tag VALUES ('owner:owner of a', 1, 1);
INSERT INTO shop.tag VALUES ('account:b', 2, 1);
INSERT INTO shop.tag VALUES ('owner:owner of b', 2, 1);
INSERT INTO shop.tag VALUES ('account:c', 3, 1);
INSERT INTO shop.tag VALUES ('owner:owner of c', 3, 1);
INSERT INTO shop.tag VALUES ('account:a', 4, 2);
INSERT INTO shop.tag VALUES ('account:a', 5, 2);
INSERT INTO shop.tag VALUES ('account:a', 6, 2);
INSERT INTO shop.tag VALUES ('account:a', 7, 2);
INSERT INTO shop.tag VALUES ('account:a', 8, 2);
INSERT INTO shop.tag VALUES ('account:c', 9, 2);
INSERT INTO shop.tag VALUES ('leftfold.process:Thanks/a', 11, 3);
INSERT INTO shop.tag VALUES ('leftfold.ticket:60e95b748053e824a934ce29232bda51', 10, 4);
INSERT INTO shop.tag VALUES ('account:a', 12, 5);
INSERT INTO shop.tag VALUES ('leftfold.ticket:60e95b748053e824a934ce29232bda51', 13, 6);
INSERT INTO shop.tag VALUES ('leftfold.reactor:letters', 14, 7);
INSERT INTO shop.tag VALUES ('leftfold.process:Thanks/c', 16, 3);
INSERT INTO shop.tag VALUES ('leftfold.ticket:79dfb616308f3ba52a90f2f90c5e459d', 15, 4);
INSERT INTO shop.tag VALUES ('account:c', 17, 5);
INSERT INTO shop.tag VALUES ('leftfold.ticket:79dfb616308f3ba52a90f2f90c5e459d', 18, 6);
INSERT INTO shop.tag VALUES ('leftfold.reactor:letters', 19, 7);

INSERT INTO shop.type OVERRIDING SYSTEM VALUE VALUES (1, 'shop.opened');
INSERT INTO shop.type OVERRIDING SYSTEM VALUE VALUES (2, 'shop.deposited');
INSERT INTO shop.type OVERRIDING SYSTEM VALUE VALUES (3, 'leftfold.process.reacted');
INSERT INTO shop.type OVERRIDING SYSTEM VALUE VALUES (4, 'leftfold.command.submitted');
INSERT INTO shop.type OVERRIDING SYSTEM VALUE VALUES (5, 'shop.thanked');
INSERT INTO shop.type OVERRIDING SYSTEM VALUE VALUES (6, 'leftfold.command.handled');
INSERT INTO shop.type OVERRIDING SYSTEM VALUE VALUES (7, 'leftfold.reactor.reacted');

INSERT INTO shop_models.balance VALUES ('b', 'owner of b', 'savings', 0, 0, '');
INSERT INTO shop_models.balance VALUES ('c', 'owner of c', 'savings', 12, 0.24, '  12 of B');
INSERT INTO shop_models.balance VALUES ('a', 'owner of a', 'savings', 45, 0.90, '  11 of B');

INSERT INTO shop_models.divided VALUES ('a', 5, '[7, 8, 9, 10, 11]');
INSERT INTO shop_models.divided VALUES ('c', 1, '[12]');

INSERT INTO shop_models.latest VALUES ('a', 11);
INSERT INTO shop_models.latest VALUES ('c', 12);

INSERT INTO shop_models.latest_history VALUES ('a', 7, 4, 5);
INSERT INTO shop_models.latest_history VALUES ('a', 8, 5, 6);
INSERT INTO shop_models.latest_history VALUES ('a', 9, 6, 7);
INSERT INTO shop_models.latest_history VALUES ('a', 10, 7, 8);
INSERT INTO shop_models.latest_history VALUES ('a', 11, 8, NULL);
INSERT INTO shop_models.latest_history VALUES ('c', 12, 9, NULL);

INSERT INTO shop_models.leftfold_checkpoint VALUES ('balance', 19, '5fb1e2ec6c524d1a9e17ea9b753105d0', '9d7b0024e6075387e333046561728284', '600e71f492874afcb1f84c460356ec81', 'balance', 1);
INSERT INTO shop_models.leftfold_checkpoint VALUES ('latest', 19, '4534b8b3470f464da584fc5d5683e088', 'c093eb53b2e0c4043e8b7f248c623731', '600e71f492874afcb1f84c460356ec81', 'latest latest_history', 1);
INSERT INTO shop_models.leftfold_checkpoint VALUES ('divided#2/2', 19, 'bcbb5a7a3666453c8522d93a99b03a57', '6f29d1e3edf7007beba40f62efbf8f37', '600e71f492874afcb1f84c460356ec81', 'divided', 1);
INSERT INTO shop_models.leftfold_checkpoint VALUES ('divided#1/2', 19, 'cf50ab9b87924296875aca0d3a63fde1', '6f29d1e3edf7007beba40f62efbf8f37', '600e71f492874afcb1f84c460356ec81', 'divided', 1);
INSERT INTO shop_models.leftfold_checkpoint VALUES ('lines', 19, '8365ba2760dd44979d268fa1f22fff24', 'da5ae71b45801efc944db1ee30f2dff5', '600e71f492874afcb1f84c460356ec81', 'lines', 1);

INSERT INTO shop_models.lines VALUES ('a', 7);
INSERT INTO shop_models.lines VALUES ('a', 8);
INSERT INTO shop_models.lines VALUES ('a', 9);
INSERT INTO shop_models.lines VALUES ('a', 10);
INSERT INTO shop_models.lines VALUES ('a', 11);
INSERT INTO shop_models.lines VALUES ('c', 12);

SELECT pg_catalog.setval('shop.type_id_seq', 7, true);

ALTER TABLE ONLY shop.event
    ADD CONSTRAINT event_pkey PRIMARY KEY ("position");

ALTER TABLE ONLY shop.idempotency_key
    ADD CONSTRAINT idempotency_key_pkey PRIMARY KEY (key);

ALTER TABLE ONLY shop.lease
    ADD CONSTRAINT lease_pkey PRIMARY KEY (name);

ALTER TABLE ONLY shop.tag
    ADD CONSTRAINT tag_pkey PRIMARY KEY (tag, "position") INCLUDE (type);

ALTER TABLE ONLY shop.type
    ADD CONSTRAINT type_name_key UNIQUE (name);

ALTER TABLE ONLY shop.type
    ADD CONSTRAINT type_pkey PRIMARY KEY (id);

ALTER TABLE ONLY shop_models.balance
    ADD CONSTRAINT balance_pkey PRIMARY KEY (account);

ALTER TABLE ONLY shop_models.divided
    ADD CONSTRAINT divided_pkey PRIMARY KEY (account);

ALTER TABLE ONLY shop_models.latest_history
    ADD CONSTRAINT latest_history_pkey PRIMARY KEY (account, valid_from);

ALTER TABLE ONLY shop_models.latest
    ADD CONSTRAINT latest_pkey PRIMARY KEY (account);

ALTER TABLE ONLY shop_models.leftfold_checkpoint
    ADD CONSTRAINT leftfold_checkpoint_pkey PRIMARY KEY (model);

ALTER TABLE ONLY shop_models.leftfold_lease
    ADD CONSTRAINT leftfold_lease_pkey PRIMARY KEY (name);

ALTER TABLE ONLY shop_models.leftfold_parked_event
    ADD CONSTRAINT leftfold_parked_event_pkey PRIMARY KEY (model, key, "position");

ALTER TABLE ONLY shop_models.leftfold_parked
    ADD CONSTRAINT leftfold_parked_pkey PRIMARY KEY (model, key);

CREATE INDEX event_type ON shop.event USING btree (type, "position");

CREATE INDEX latest_history_until ON shop_models.latest_history USING btree (valid_until, valid_from);

CREATE TRIGGER event_is_never_changed BEFORE DELETE OR UPDATE OR TRUNCATE ON shop.event FOR EACH STATEMENT EXECUTE FUNCTION shop.refuse();

CREATE TRIGGER tag_is_never_changed BEFORE DELETE OR UPDATE OR TRUNCATE ON shop.tag FOR EACH STATEMENT EXECUTE FUNCTION shop.refuse();

