DROP FUNCTION IF EXISTS "leftfold_log".begin_append(boolean);  -- made by an older leftfold

-- Decides a batch of append requests in order and writes the accepted ones, all under the log's lock.
--
-- Requests count from 1. Events also count from 1, over the whole batch, in the order of their requests. Each event has the
-- number of its request and of its type (an index into `type_names`); each tag has the number of its event. Items are the
-- items of the conditions. A clash says that an event of an earlier request in this batch (at `place` in it, from 0)
-- matches a condition of a later request; it counts if the earlier request is accepted. Each key has the number of its
-- request and the part of the request that it stands for.
-- Codes: 0 appended, 1 the key was used before, 2 an event in the log matches, 3 an event in this batch matches (`last` is
-- the number of the clash), 4 a time is not allowed. If all requests are accepted, then codes, firsts and lasts are null,
-- and the events follow `head` in their order.
--
-- Most batches are small and are accepted as a whole. So an empty argument costs no statement, expressions call functions
-- where PERFORM would run a statement, and plans are made once.
CREATE OR REPLACE FUNCTION "leftfold_log".append(
    durable boolean,                -- whether to wait for the disk
    clock bigint,                   -- microseconds since 1970; null for the server's
    request_events integer[],
    key_request integer[],
    key_text text[],
    key_digest bytea[],
    key_place integer[],
    key_events integer[],
    type_names text[],
    event_request integer[],
    event_type integer[],
    event_version integer[],
    event_tags text[],
    event_data bytea[],
    event_metadata bytea[],
    event_times bigint[],           -- empty, or one for each event of the one request
    tag_text text[],
    tag_event integer[],
    item_request integer[],
    item_after bigint[],
    item_types text[],
    item_tags text[],
    clash_later integer[],
    clash_earlier integer[],
    clash_place integer[],
    clash_after bigint[],
    OUT codes integer[],
    OUT firsts bigint[],
    OUT lasts bigint[],
    OUT details jsonb,
    OUT moment bigint,
    OUT newest bigint,
    OUT head bigint                 -- before this batch
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, "leftfold_log", pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
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
    THEN
        RAISE EXCEPTION 'the settings of an append could not be made';
    END IF;
    LOCK TABLE "leftfold_log"."append_lock_LOG_ID" IN SHARE UPDATE EXCLUSIVE MODE;  -- the weakest that excludes itself
    IF clock IS NOT NULL OR cardinality(event_times) > 0 THEN
        PERFORM check_dating();
    END IF;
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
        SELECT bool_and(given.time IS NULL OR given.time >= given.before AND given.time <= moment)
        FROM (
            SELECT
                one.time,
                lag(coalesce(one.time, greatest(moment, newest)), 1, newest) OVER (ORDER BY one.place) AS before
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

    IF NOT pg_try_advisory_xact_lock(hashtextextended('leftfold_log', 2))
        AND pg_notify('leftfold_log', tip::text) IS NULL
    THEN
        RAISE EXCEPTION 'nobody can be notified';
    END IF;
END
$$;
