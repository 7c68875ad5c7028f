-- The functions of the log "leftfold_log", and what they need beside its tables. It is run for a new log, and again by the
-- owner of one of an older leftfold: what is there is replaced, with the rights on it.
--
-- Functions that act as their owner are a way to the owner's rights. So every function looks names up in the catalog and in
-- the log's own schema, where nobody else creates anything, and for temporary tables, which are the caller's, last;
-- and none is PUBLIC's to call.

SET LOCAL search_path = "leftfold_log", pg_temp;

CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, "leftfold_log", pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed: % of % is refused', TG_OP, TG_TABLE_NAME;
END
$$;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'event_is_never_changed' AND tgrelid = 'event'::regclass) THEN
        CREATE TRIGGER event_is_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON event EXECUTE FUNCTION refuse();
    END IF;
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'tag_is_never_changed' AND tgrelid = 'tag'::regclass) THEN
        CREATE TRIGGER tag_is_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON tag EXECUTE FUNCTION refuse();
    END IF;
END
$$;

-- Who appends locks this empty table, which nobody but the owner, and so the functions, may lock. The log's id is in its
-- name: functions of a schema that was renamed do not find it in another log that has the name now.
CREATE TABLE IF NOT EXISTS "append_lock_LOG_ID" ();

-- The positions after `after` of events that an item of criteria means, the first few; types and tags one a line.
CREATE OR REPLACE FUNCTION matching(types text, tags text, after bigint, at_most integer) RETURNS SETOF bigint
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

-- Be notified of each batch of appends: on the channel "leftfold_log", with the position of its last event. Until the
-- session ends it shares a lock, by which appends know of it: where no other session than their own does, they notify
-- nobody, which is a good part of what a small commit costs. What was appended before this returns is to be looked for.
-- Any session can have such a lock, so it is not waited for long: false means that appends may not know of this one.
DROP FUNCTION IF EXISTS listen();
CREATE FUNCTION listen() RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, "leftfold_log", pg_temp
SET lock_timeout = '300ms' AS $$
BEGIN
    LISTEN "leftfold_log";
    PERFORM pg_advisory_lock_shared(hashtextextended('leftfold_log', 2));
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    LISTEN "leftfold_log";
    RETURN false;
END
$$;

DROP FUNCTION IF EXISTS begin_append(boolean);  -- of an older leftfold

-- Whether the caller's role may say when events happened, which is otherwise the server's to say: whoever has EXECUTE on
-- this very function may. In the functions below, which act as the owner, the session still knows the role that called.
CREATE OR REPLACE FUNCTION may_date_events() RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, "leftfold_log", pg_temp AS $$
    SELECT has_function_privilege(
        CASE WHEN current_setting('role') = 'none' THEN session_user ELSE current_setting('role')::name END,
        'may_date_events()',
        'EXECUTE'
    )
$$;

-- Raise unless it may.
CREATE OR REPLACE FUNCTION check_dating() RETURNS void LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, "leftfold_log", pg_temp AS $$
BEGIN
    IF NOT may_date_events() THEN
        RAISE EXCEPTION 'the role % may not say when events happened', CASE
            WHEN current_setting('role') = 'none' THEN session_user ELSE current_setting('role')
        END
            USING DETAIL = '(have its owner GRANT EXECUTE ON FUNCTION "leftfold_log".may_date_events TO this role)',
                ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;

-- Decide a batch of appends in order and write those that are accepted, all under the log's lock.
--
-- Requests count from 1, and so do events, over the whole batch and in the order of their requests. Events name their
-- request and their type (an index of `type_names`), tags name their event. Items are those of the conditions. A clash
-- says that an event of an earlier request of this batch (at `place` in it, from 0) matches a condition of a later one:
-- it holds if the earlier one is accepted. Keys name their request and the part of it that they stand for.
-- Codes: 0 appended, 1 the key was used before, 2 an event in the log matches, 3 an event of this batch does (`last`
-- is the clash's number), 4 a time that may not be. Where all are accepted, codes, firsts and lasts are null: the events
-- follow `head` in their order.
--
-- Most batches are accepted as they are, and most are small. So what is not asked for costs no statement, expressions
-- that call functions stand where PERFORM would run one, and plans are made once.
CREATE OR REPLACE FUNCTION append(
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

-- The same for one append of a few events without keys and times: by far the most that a caller asks for who waits for
-- each answer, at half the cost, since it is free of arrays that are looked through. Where a condition does not hold,
-- nothing is written and `head` is null: `append` then says what is in the way.
CREATE OR REPLACE FUNCTION append_few(
    durable boolean,
    clock bigint,
    event_type text[],
    event_version integer[],
    event_tags text[],
    event_data bytea[],
    event_metadata bytea[],
    item_after bigint[],
    item_types text[],
    item_tags text[],
    OUT head bigint                 -- before these events
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, "leftfold_log", pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    tip bigint;
    moment bigint;
    type_id integer;
    event_tag text;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append under isolation level %', current_setting('transaction_isolation')
            USING HINT = 'call it under READ COMMITTED: it has to see what was committed before it had the lock',
                ERRCODE = 'invalid_transaction_state';
    END IF;
    -- As in `append`.
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
    LOCK TABLE "leftfold_log"."append_lock_LOG_ID" IN SHARE UPDATE EXCLUSIVE MODE;
    IF clock IS NOT NULL THEN
        PERFORM check_dating();
    END IF;
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

    IF NOT pg_try_advisory_xact_lock(hashtextextended('leftfold_log', 2))
        AND pg_notify('leftfold_log', tip::text) IS NULL
    THEN
        RAISE EXCEPTION 'nobody can be notified';
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION take_lease(wanted text, expected_holder text, expected_beat bigint, new_holder text)
RETURNS TABLE (name text, holder text, beat bigint, microseconds bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, "leftfold_log", pg_temp AS $$
#variable_conflict use_column
DECLARE
    now_microseconds bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
BEGIN
    IF expected_holder IS NULL THEN
        RETURN QUERY
            INSERT INTO lease
            SELECT wanted, new_holder, 1, now_microseconds
            WHERE '"leftfold_log"."append_lock_LOG_ID"'::regclass IS NOT NULL
            ON CONFLICT DO NOTHING
            RETURNING name, holder, beat, microseconds;
    ELSE
        RETURN QUERY
            UPDATE lease SET holder = new_holder, beat = beat % 9223372036854775807 + 1, microseconds = now_microseconds
            WHERE name = wanted
                AND holder = expected_holder
                AND beat = expected_beat
                AND '"leftfold_log"."append_lock_LOG_ID"'::regclass IS NOT NULL
            RETURNING name, holder, beat, microseconds;
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION beat_leases(present_holder text, held text[])
RETURNS TABLE (name text, holder text, beat bigint, microseconds bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, "leftfold_log", pg_temp AS $$
    UPDATE lease
    SET
        beat = lease.beat % 9223372036854775807 + 1,
        microseconds = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    WHERE lease.name = ANY (held)
        AND lease.holder = present_holder
        AND '"leftfold_log"."append_lock_LOG_ID"'::regclass IS NOT NULL
    RETURNING lease.name, lease.holder, lease.beat, lease.microseconds
$$;

CREATE OR REPLACE FUNCTION release_leases(present_holder text, held text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, "leftfold_log", pg_temp AS $$
    DELETE FROM lease WHERE lease.name = ANY (held) AND lease.holder = present_holder
$$;

