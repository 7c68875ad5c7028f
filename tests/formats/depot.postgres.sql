SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;

CREATE SCHEMA depot;

CREATE SCHEMA depot_models;

CREATE FUNCTION depot.append(durable boolean, clock bigint, request_events integer[], key_request integer[], key_text text[], key_digest bytea[], key_place integer[], key_events integer[], type_names text[], event_request integer[], event_type integer[], event_version integer[], event_tags text[], event_data bytea[], event_metadata bytea[], event_times bigint[], tag_text text[], tag_event integer[], item_request integer[], item_after bigint[], item_types text[], item_tags text[], clash_later integer[], clash_earlier integer[], clash_place integer[], clash_after bigint[], OUT codes integer[], OUT firsts bigint[], OUT lasts bigint[], OUT details jsonb, OUT moment bigint, OUT newest bigint, OUT head bigint) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'depot', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
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
    LOCK TABLE "depot"."append_lock_302d95114b864378a79543f602d024d1" IN SHARE UPDATE EXCLUSIVE MODE;  -- the weakest that excludes itself
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

    IF NOT pg_try_advisory_xact_lock(hashtextextended('depot', 2))
        AND pg_notify('depot', tip::text) IS NULL
    THEN
        RAISE EXCEPTION 'nobody can be notified';
    END IF;
END
$$;

CREATE FUNCTION depot.append_few(durable boolean, clock bigint, event_type text[], event_version integer[], event_tags text[], event_data bytea[], event_metadata bytea[], item_after bigint[], item_types text[], item_tags text[], OUT head bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'depot', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
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
    LOCK TABLE "depot"."append_lock_302d95114b864378a79543f602d024d1" IN SHARE UPDATE EXCLUSIVE MODE;
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

    IF NOT pg_try_advisory_xact_lock(hashtextextended('depot', 2))
        AND pg_notify('depot', tip::text) IS NULL
    THEN
        RAISE EXCEPTION 'nobody can be notified';
    END IF;
END
$$;

CREATE FUNCTION depot.beat_leases(present_holder text, held text[]) RETURNS TABLE(name text, holder text, beat bigint, microseconds bigint)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'depot', 'pg_temp'
    AS $$
    UPDATE lease
    SET
        beat = lease.beat % 9223372036854775807 + 1,
        microseconds = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    WHERE lease.name = ANY (held)
        AND lease.holder = present_holder
        AND '"depot"."append_lock_302d95114b864378a79543f602d024d1"'::regclass IS NOT NULL
    RETURNING lease.name, lease.holder, lease.beat, lease.microseconds
$$;

CREATE FUNCTION depot.check_dating() RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'depot', 'pg_temp'
    AS $$
BEGIN
    IF NOT may_date_events() THEN
        RAISE EXCEPTION 'the role % may not say when events happened', CASE
            WHEN current_setting('role') = 'none' THEN session_user ELSE current_setting('role')
        END
            USING DETAIL = '(have its owner GRANT EXECUTE ON FUNCTION "depot".may_date_events TO this role)',
                ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;

CREATE FUNCTION depot.listen() RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'depot', 'pg_temp'
    SET lock_timeout TO '300ms'
    AS $$
BEGIN
    LISTEN "depot";
    PERFORM pg_advisory_lock_shared(hashtextextended('depot', 2));
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    LISTEN "depot";
    RETURN false;
END
$$;

CREATE FUNCTION depot.matching(types text, tags text, after bigint, at_most integer) RETURNS SETOF bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'depot', 'pg_temp'
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

CREATE FUNCTION depot.may_date_events() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'depot', 'pg_temp'
    AS $$
    SELECT has_function_privilege(
        CASE WHEN current_setting('role') = 'none' THEN session_user ELSE current_setting('role')::name END,
        'may_date_events()',
        'EXECUTE'
    )
$$;

CREATE FUNCTION depot.readable(bytes bytea) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'depot', 'pg_temp'
    AS $$
BEGIN
    RETURN convert_from(bytes, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
    RETURN NULL;
END
$$;

CREATE FUNCTION depot.refuse() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'depot', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed: % of % is refused', TG_OP, TG_TABLE_NAME;
END
$$;

CREATE FUNCTION depot.release_leases(present_holder text, held text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'depot', 'pg_temp'
    AS $$
    DELETE FROM lease WHERE lease.name = ANY (held) AND lease.holder = present_holder
$$;

CREATE FUNCTION depot.take_lease(wanted text, expected_holder text, expected_beat bigint, new_holder text) RETURNS TABLE(name text, holder text, beat bigint, microseconds bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'depot', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    now_microseconds bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
BEGIN
    IF expected_holder IS NULL THEN
        RETURN QUERY
            INSERT INTO lease
            SELECT wanted, new_holder, 1, now_microseconds
            WHERE '"depot"."append_lock_302d95114b864378a79543f602d024d1"'::regclass IS NOT NULL
            ON CONFLICT DO NOTHING
            RETURNING name, holder, beat, microseconds;
    ELSE
        RETURN QUERY
            UPDATE lease SET holder = new_holder, beat = beat % 9223372036854775807 + 1, microseconds = now_microseconds
            WHERE name = wanted
                AND holder = expected_holder
                AND beat = expected_beat
                AND '"depot"."append_lock_302d95114b864378a79543f602d024d1"'::regclass IS NOT NULL
            RETURNING name, holder, beat, microseconds;
    END IF;
END
$$;

CREATE TABLE depot.append_lock_302d95114b864378a79543f602d024d1 (
);

CREATE TABLE depot.event (
    "position" bigint NOT NULL,
    "time" bigint NOT NULL,
    type integer NOT NULL,
    version integer NOT NULL,
    tags text NOT NULL COLLATE pg_catalog."C",
    data bytea NOT NULL,
    metadata bytea NOT NULL
);

CREATE TABLE depot.type (
    id integer NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C"
);

CREATE VIEW depot.events AS
 SELECT event."position",
    to_char((('1970-01-01 00:00:00'::timestamp without time zone + (((event."time" / 1000000))::double precision * '00:00:01'::interval)) + (((event."time" % (1000000)::bigint))::double precision * '00:00:00.000001'::interval)), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'::text) AS "time",
    event."time" AS microseconds,
    type.name AS type,
    event.version,
    (array_to_json(string_to_array(event.tags, '
'::text)))::text AS tags,
    depot.readable(event.data) AS data,
    depot.readable(event.metadata) AS metadata,
        CASE
            WHEN (depot.readable(event.data) IS NULL) THEN encode(event.data, 'hex'::text)
            ELSE NULL::text
        END AS data_hex,
        CASE
            WHEN (depot.readable(event.metadata) IS NULL) THEN encode(event.metadata, 'hex'::text)
            ELSE NULL::text
        END AS metadata_hex
   FROM (depot.event
     JOIN depot.type ON ((type.id = event.type)));

CREATE TABLE depot.idempotency_key (
    key text NOT NULL COLLATE pg_catalog."C",
    first_position bigint NOT NULL,
    last_position bigint NOT NULL,
    digest bytea NOT NULL
);

CREATE TABLE depot.lease (
    name text NOT NULL,
    holder text NOT NULL,
    beat bigint NOT NULL,
    microseconds bigint NOT NULL
);

CREATE TABLE depot.log (
    id text NOT NULL,
    created bigint NOT NULL,
    format integer NOT NULL
);

COMMENT ON TABLE depot.log IS 'leftfold, revision 2 of the functions';

CREATE TABLE depot.snapshot (
    model text NOT NULL COLLATE pg_catalog."C",
    key_digest text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    fingerprint text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    state text NOT NULL COLLATE pg_catalog."C",
    identity text NOT NULL COLLATE pg_catalog."C"
);

CREATE TABLE depot.tag (
    tag text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    type integer NOT NULL
);

ALTER TABLE depot.type ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME depot.type_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE depot_models.account (
    customer text NOT NULL COLLATE pg_catalog."C",
    parcels bigint NOT NULL,
    grams bigint NOT NULL
);

CREATE TABLE depot_models.leftfold_checkpoint (
    model character varying NOT NULL,
    "position" bigint NOT NULL,
    build character varying NOT NULL,
    fingerprint character varying NOT NULL,
    log_id character varying NOT NULL,
    tables character varying NOT NULL,
    version bigint DEFAULT '1'::bigint NOT NULL,
    anchor character varying
);

CREATE TABLE depot_models.leftfold_lease (
    name character varying NOT NULL,
    holder character varying NOT NULL,
    beat bigint NOT NULL,
    microseconds bigint NOT NULL
);

CREATE TABLE depot_models.leftfold_parked (
    model character varying NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    problem character varying NOT NULL,
    traceback character varying
);

CREATE TABLE depot_models.leftfold_parked_event (
    model character varying NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL
);

CREATE TABLE depot_models.lines (
    "position" bigint NOT NULL,
    parcel character varying NOT NULL,
    actor character varying
);

CREATE TABLE depot_models.shelf (
    parcel text NOT NULL COLLATE pg_catalog."C",
    customer text NOT NULL COLLATE pg_catalog."C",
    size character varying NOT NULL COLLATE pg_catalog."C",
    fee numeric NOT NULL,
    sent timestamp with time zone,
    delivered boolean NOT NULL
);

CREATE TABLE depot_models.shelf_history (
    parcel text NOT NULL COLLATE pg_catalog."C",
    customer text NOT NULL COLLATE pg_catalog."C",
    size character varying NOT NULL COLLATE pg_catalog."C",
    fee numeric NOT NULL,
    sent timestamp with time zone,
    delivered boolean NOT NULL,
    valid_from bigint NOT NULL,
    valid_until bigint
);

CREATE TABLE depot_models.stops (
    parcel character varying NOT NULL
);

CREATE TABLE depot_models.weight (
    parcel text NOT NULL COLLATE pg_catalog."C",
    grams bigint NOT NULL,
    reminders jsonb NOT NULL
);

INSERT INTO depot.event VALUES (1, 1735516800000000, 1, 1, 'leftfold.reactor:bells', '\x7b2272656163746f72223a2262656c6c73222c22706f736974696f6e223a302c2277616974696e67223a5b5d2c227479706573223a5b226465706f742e64656c697665726564225d7d', '\x7b7d');
INSERT INTO depot.event VALUES (2, 1735603200000000, 2, 2, 'parcel:imported
customer:ann', '\x7b2270617263656c223a22696d706f72746564222c22637573746f6d6572223a22616e6e222c226772616d73223a3930302c2273697a65223a22736d616c6c222c22666565223a22322e3530227d', '\x7b22636f6d6d616e64223a226462356235666162386634643465323739646131343934633733636632353664222c22636f6d6d616e645f74797065223a226465706f742e626f6f6b222c22636f7272656c6174696f6e223a226462356235666162386634643465323739646131343934633733636632353664227d');
INSERT INTO depot.event VALUES (3, 1740571200000000, 2, 1, 'customer:ann
parcel:v1', '\x7b2270617263656c223a227631222c22637573746f6d6572223a22616e6e222c226b696c6f73223a337d', '\x7b226163746f72223a22666f726d6572227d');
INSERT INTO depot.event VALUES (4, 1740571200000000, 3, 1, 'parcel:v1', '\x7b2270617263656c223a227631222c226174223a22323032352d30322d32365431323a30303a30305a227d', '\x7b7d');
INSERT INTO depot.event VALUES (5, 1740571200000000, 4, 1, 'zoll:Köln', '\xff0001', '\xfe');
INSERT INTO depot.event VALUES (6, 1740571200000000, 2, 2, 'parcel:cancelled
customer:ann', '\x7b2270617263656c223a2263616e63656c6c6564222c22637573746f6d6572223a22616e6e222c226772616d73223a3530302c2273697a65223a22736d616c6c222c22666565223a22322e3530227d', '\x7b22636f6d6d616e64223a223733616234383736373733343437633138376664653830356563393931303864222c22636f6d6d616e645f74797065223a226465706f742e626f6f6b222c22636f7272656c6174696f6e223a2263616c6c2d37222c226163746f72223a22657665222c22726561736f6e223a2262792070686f6e65222c226578747261223a7b2274656e616e74223a226e6f727468227d7d');
INSERT INTO depot.event VALUES (7, 1740571200000000, 2, 2, 'parcel:p1
customer:ann', '\x7b2270617263656c223a227031222c22637573746f6d6572223a22616e6e222c226772616d73223a3730302c2273697a65223a22736d616c6c222c22666565223a22322e3530227d', '\x7b22636f6d6d616e64223a223330396436623739393635653461333239616534343535303832303165326264222c22636f6d6d616e645f74797065223a226465706f742e626f6f6b222c22636f7272656c6174696f6e223a2263616c6c2d37222c226163746f72223a22657665222c22726561736f6e223a2262792070686f6e65222c226578747261223a7b2274656e616e74223a226e6f727468227d7d');
INSERT INTO depot.event VALUES (8, 1740571200000000, 2, 2, 'parcel:p2
customer:ann', '\x7b2270617263656c223a227032222c22637573746f6d6572223a22616e6e222c226772616d73223a313430302c2273697a65223a226c61726765222c22666565223a22322e3530227d', '\x7b22636f6d6d616e64223a223739636239653836383330633431633238646363363932393266343565363738222c22636f6d6d616e645f74797065223a226465706f742e626f6f6b222c22636f7272656c6174696f6e223a2263616c6c2d37222c226163746f72223a22657665222c22726561736f6e223a2262792070686f6e65222c226578747261223a7b2274656e616e74223a226e6f727468227d7d');
INSERT INTO depot.event VALUES (9, 1740571200000000, 2, 2, 'parcel:bad scales letters van
customer:bob', '\x7b2270617263656c223a22626164207363616c6573206c6574746572732076616e222c22637573746f6d6572223a22626f62222c226772616d73223a323130302c2273697a65223a226c61726765222c22666565223a22322e3530227d', '\x7b22636f6d6d616e64223a223266613931343235636230303438353339643263363765646131336666653739222c22636f6d6d616e645f74797065223a226465706f742e626f6f6b222c22636f7272656c6174696f6e223a2263616c6c2d37222c226163746f72223a22657665222c22726561736f6e223a2262792070686f6e65222c226578747261223a7b2274656e616e74223a226e6f727468227d7d');
INSERT INTO depot.event VALUES (10, 1740571200000000, 2, 2, 'parcel:worse scales letters transport
customer:bob', '\x7b2270617263656c223a22776f727365207363616c6573206c657474657273207472616e73706f7274222c22637573746f6d6572223a22626f62222c226772616d73223a323130302c2273697a65223a226c61726765222c22666565223a22322e3530227d', '\x7b22636f6d6d616e64223a223234346361663963346461623434383162323533656463363138313837393933222c22636f6d6d616e645f74797065223a226465706f742e626f6f6b222c22636f7272656c6174696f6e223a2263616c6c2d37222c226163746f72223a22657665222c22726561736f6e223a2262792070686f6e65222c226578747261223a7b2274656e616e74223a226e6f727468227d7d');
INSERT INTO depot.event VALUES (11, 1740571200000000, 2, 2, 'parcel:bad transport
customer:bob', '\x7b2270617263656c223a22626164207472616e73706f7274222c22637573746f6d6572223a22626f62222c226772616d73223a333030302c2273697a65223a226c61726765222c22666565223a22322e3530227d', '\x7b22636f6d6d616e64223a226533656666396330636634343464336638396537643135663137333632663235222c22636f6d6d616e645f74797065223a226465706f742e626f6f6b222c22636f7272656c6174696f6e223a2263616c6c2d37222c226163746f72223a22657665222c22726561736f6e223a2262792070686f6e65222c226578747261223a7b2274656e616e74223a226e6f727468227d7d');
INSERT INTO depot.event VALUES (12, 1740571200000000, 2, 2, 'parcel:bad stops
customer:bob', '\x7b2270617263656c223a226261642073746f7073222c22637573746f6d6572223a22626f62222c226772616d73223a333030302c2273697a65223a226c61726765222c22666565223a22322e3530227d', '\x7b22636f6d6d616e64223a223938366538366362306162383462363761323662376636326231383532663237222c22636f6d6d616e645f74797065223a226465706f742e626f6f6b222c22636f7272656c6174696f6e223a2263616c6c2d37222c226163746f72223a22657665222c22726561736f6e223a2262792070686f6e65222c226578747261223a7b2274656e616e74223a226e6f727468227d7d');
INSERT INTO depot.event VALUES (13, 1740571200000000, 7, 1, 'leftfold.ticket:bff80025d4edd00f356f7ac7c1dba31d', '\x7b227469636b6574223a226266663830303235643465646430306633353666376163376331646261333164222c22636f6d6d616e64223a226465706f742e73656e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a22696d706f72746564227d7d', '\x7b22636f6d6d616e64223a226266663830303235643465646430306633353666376163376331646261333164222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a226462356235666162386634643465323739646131343934633733636632353664222c226361757365223a322c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (14, 1740571200000000, 7, 1, 'leftfold.ticket:293733ab9e39481d95f3f9100b55a691', '\x7b227469636b6574223a223239333733336162396533393438316439356633663931303062353561363931222c22636f6d6d616e64223a226465706f742e72656d696e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a22696d706f72746564227d2c22647565223a22323032352d30312d30325430303a30303a30305a227d', '\x7b22636f6d6d616e64223a223239333733336162396533393438316439356633663931303062353561363931222c22636f6d6d616e645f74797065223a226465706f742e72656d696e64222c22636f7272656c6174696f6e223a226462356235666162386634643465323739646131343934633733636632353664222c226361757365223a322c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (15, 1740571200000000, 5, 1, 'leftfold.process:depot.transport/imported', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f696d706f72746564222c22706f736974696f6e223a322c227469636b657473223a5b226266663830303235643465646430306633353666376163376331646261333164222c223239333733336162396533393438316439356633663931303062353561363931225d2c226e616d6573223a7b2272656d696e646572223a223239333733336162396533393438316439356633663931303062353561363931227d2c22646f6e65223a66616c73657d', '\x7b22636f7272656c6174696f6e223a226462356235666162386634643465323739646131343934633733636632353664222c226361757365223a322c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (16, 1740571200000000, 7, 1, 'leftfold.ticket:f354772e71cb42baf7d2c99c514dc4bb', '\x7b227469636b6574223a226633353437373265373163623432626166376432633939633531346463346262222c22636f6d6d616e64223a226465706f742e73656e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a227631227d7d', '\x7b22636f6d6d616e64223a226633353437373265373163623432626166376432633939633531346463346262222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a226633353437373265373163623432626166376432633939633531346463346262222c226361757365223a332c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (17, 1740571200000000, 7, 1, 'leftfold.ticket:d3f126323eae3ccd3c3a4716efba066d', '\x7b227469636b6574223a226433663132363332336561653363636433633361343731366566626130363664222c22636f6d6d616e64223a226465706f742e72656d696e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a227631227d2c22647565223a22323032352d30322d32385431323a30303a30305a227d', '\x7b22636f6d6d616e64223a226433663132363332336561653363636433633361343731366566626130363664222c22636f6d6d616e645f74797065223a226465706f742e72656d696e64222c22636f7272656c6174696f6e223a226433663132363332336561653363636433633361343731366566626130363664222c226361757365223a332c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (18, 1740571200000000, 5, 1, 'leftfold.process:depot.transport/v1', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f7631222c22706f736974696f6e223a332c227469636b657473223a5b226633353437373265373163623432626166376432633939633531346463346262222c226433663132363332336561653363636433633361343731366566626130363664225d2c226e616d6573223a7b2272656d696e646572223a226433663132363332336561653363636433633361343731366566626130363664227d2c22646f6e65223a66616c73657d', '\x7b226361757365223a332c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (19, 1740571200000000, 7, 1, 'leftfold.ticket:2bc5753c57f500792202ac75c56e62d3', '\x7b227469636b6574223a223262633537353363353766353030373932323032616337356335366536326433222c22636f6d6d616e64223a226465706f742e73656e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a2263616e63656c6c6564227d7d', '\x7b22636f6d6d616e64223a223262633537353363353766353030373932323032616337356335366536326433222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a362c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (20, 1740571200000000, 7, 1, 'leftfold.ticket:c2f7e3003b7416c33f40f2b9361b150b', '\x7b227469636b6574223a226332663765333030336237343136633333663430663262393336316231353062222c22636f6d6d616e64223a226465706f742e72656d696e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a2263616e63656c6c6564227d2c22647565223a22323032352d30322d32385431323a30303a30305a227d', '\x7b22636f6d6d616e64223a226332663765333030336237343136633333663430663262393336316231353062222c22636f6d6d616e645f74797065223a226465706f742e72656d696e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a362c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (21, 1740571200000000, 5, 1, 'leftfold.process:depot.transport/cancelled', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f63616e63656c6c6564222c22706f736974696f6e223a362c227469636b657473223a5b223262633537353363353766353030373932323032616337356335366536326433222c226332663765333030336237343136633333663430663262393336316231353062225d2c226e616d6573223a7b2272656d696e646572223a226332663765333030336237343136633333663430663262393336316231353062227d2c22646f6e65223a66616c73657d', '\x7b22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a362c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (22, 1740571200000000, 7, 1, 'leftfold.ticket:ec11dc66994a8b38f771727864d68dd7', '\x7b227469636b6574223a226563313164633636393934613862333866373731373237383634643638646437222c22636f6d6d616e64223a226465706f742e73656e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a227031227d7d', '\x7b22636f6d6d616e64223a226563313164633636393934613862333866373731373237383634643638646437222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a372c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (23, 1740571200000000, 7, 1, 'leftfold.ticket:d8f612f4d9a343c82acec375d87646fb', '\x7b227469636b6574223a226438663631326634643961333433633832616365633337356438373634366662222c22636f6d6d616e64223a226465706f742e72656d696e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a227031227d2c22647565223a22323032352d30322d32385431323a30303a30305a227d', '\x7b22636f6d6d616e64223a226438663631326634643961333433633832616365633337356438373634366662222c22636f6d6d616e645f74797065223a226465706f742e72656d696e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a372c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (24, 1740571200000000, 5, 1, 'leftfold.process:depot.transport/p1', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f7031222c22706f736974696f6e223a372c227469636b657473223a5b226563313164633636393934613862333866373731373237383634643638646437222c226438663631326634643961333433633832616365633337356438373634366662225d2c226e616d6573223a7b2272656d696e646572223a226438663631326634643961333433633832616365633337356438373634366662227d2c22646f6e65223a66616c73657d', '\x7b22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a372c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (46, 1740571200000000, 11, 1, 'parcel:v1', '\x7b2270617263656c223a227631222c226174223a22323032352d30322d32365431323a30303a30305a227d', '\x7b22636f6d6d616e64223a226633353437373265373163623432626166376432633939633531346463346262222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a226633353437373265373163623432626166376432633939633531346463346262222c226361757365223a332c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (25, 1740571200000000, 7, 1, 'leftfold.ticket:8a85745dbcdbc0ffb1eb1bd8c6f96518', '\x7b227469636b6574223a223861383537343564626364626330666662316562316264386336663936353138222c22636f6d6d616e64223a226465706f742e73656e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a227032227d7d', '\x7b22636f6d6d616e64223a223861383537343564626364626330666662316562316264386336663936353138222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a382c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (26, 1740571200000000, 7, 1, 'leftfold.ticket:52f5674707bbe39a3d6fae43bd313af5', '\x7b227469636b6574223a223532663536373437303762626533396133643666616534336264333133616635222c22636f6d6d616e64223a226465706f742e72656d696e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a227032227d2c22647565223a22323032352d30322d32385431323a30303a30305a227d', '\x7b22636f6d6d616e64223a223532663536373437303762626533396133643666616534336264333133616635222c22636f6d6d616e645f74797065223a226465706f742e72656d696e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a382c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (27, 1740571200000000, 5, 1, 'leftfold.process:depot.transport/p2', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f7032222c22706f736974696f6e223a382c227469636b657473223a5b223861383537343564626364626330666662316562316264386336663936353138222c223532663536373437303762626533396133643666616534336264333133616635225d2c226e616d6573223a7b2272656d696e646572223a223532663536373437303762626533396133643666616534336264333133616635227d2c22646f6e65223a66616c73657d', '\x7b22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a382c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (28, 1740571200000000, 7, 1, 'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46', '\x7b227469636b6574223a226562336363616565323039613330393637326266343966346236643432613436222c22636f6d6d616e64223a226465706f742e73656e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a22626164207363616c6573206c6574746572732076616e227d7d', '\x7b22636f6d6d616e64223a226562336363616565323039613330393637326266343966346236643432613436222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a392c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (29, 1740571200000000, 7, 1, 'leftfold.ticket:cd376de7ec069f5863234505ba0b7451', '\x7b227469636b6574223a226364333736646537656330363966353836333233343530356261306237343531222c22636f6d6d616e64223a226465706f742e72656d696e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a22626164207363616c6573206c6574746572732076616e227d2c22647565223a22323032352d30322d32385431323a30303a30305a227d', '\x7b22636f6d6d616e64223a226364333736646537656330363966353836333233343530356261306237343531222c22636f6d6d616e645f74797065223a226465706f742e72656d696e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a392c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (30, 1740571200000000, 5, 1, 'leftfold.process:depot.transport/bad scales letters van', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f626164207363616c6573206c6574746572732076616e222c22706f736974696f6e223a392c227469636b657473223a5b226562336363616565323039613330393637326266343966346236643432613436222c226364333736646537656330363966353836333233343530356261306237343531225d2c226e616d6573223a7b2272656d696e646572223a226364333736646537656330363966353836333233343530356261306237343531227d2c22646f6e65223a66616c73657d', '\x7b22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a392c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (31, 1740571200000000, 6, 1, 'leftfold.process:depot.transport/worse scales letters transport', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f776f727365207363616c6573206c657474657273207472616e73706f7274222c22706f736974696f6e223a31302c226572726f72223a2256616c75654572726f723a20776f727365207363616c6573206c657474657273207472616e73706f727420646f6573206e6f7420676f207468726f75676820746865207472616e73706f7274222c2274726163656261636b223a2254726163656261636b20286d6f737420726563656e742063616c6c206c617374293a5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f70726f636573732f70726f636573735f776f726b65722e70795c222c206c696e65203235312c20696e205f72656163745c6e20202020616374696f6e73203d2073656c662e646566696e6974696f6e2e72656163742868656c642e73746174652c206576656e74295c6e20202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f70726f636573732f646566696e6974696f6e2e70795c222c206c696e652038382c20696e2072656163745c6e202020207265616374696f6e3a205265616374696f6e203d2073656c662e5f72656163742873746174652c206576656e74295c6e202020202020202020202020202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f74657374732f666f726d6174732f6465706f742e70795c222c206c696e65203139362c20696e2072656163745c6e20202020636865636b286576656e742e70617263656c2c205c227472616e73706f72745c22295c6e202046696c65205c222f7372762f6465706f742f74657374732f666f726d6174732f6465706f742e70795c222c206c696e652035352c20696e20636865636b5c6e2020202072616973652056616c75654572726f7228665c227b70617263656c7d20646f6573206e6f7420676f207468726f75676820746865207b77686572657d5c22295c6e56616c75654572726f723a20776f727365207363616c6573206c657474657273207472616e73706f727420646f6573206e6f7420676f207468726f75676820746865207472616e73706f7274227d', '\x7b22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a31302c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (32, 1740571200000000, 6, 1, 'leftfold.process:depot.transport/bad transport', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f626164207472616e73706f7274222c22706f736974696f6e223a31312c226572726f72223a2256616c75654572726f723a20626164207472616e73706f727420646f6573206e6f7420676f207468726f75676820746865207472616e73706f7274222c2274726163656261636b223a2254726163656261636b20286d6f737420726563656e742063616c6c206c617374293a5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f70726f636573732f70726f636573735f776f726b65722e70795c222c206c696e65203235312c20696e205f72656163745c6e20202020616374696f6e73203d2073656c662e646566696e6974696f6e2e72656163742868656c642e73746174652c206576656e74295c6e20202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f70726f636573732f646566696e6974696f6e2e70795c222c206c696e652038382c20696e2072656163745c6e202020207265616374696f6e3a205265616374696f6e203d2073656c662e5f72656163742873746174652c206576656e74295c6e202020202020202020202020202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f74657374732f666f726d6174732f6465706f742e70795c222c206c696e65203139362c20696e2072656163745c6e20202020636865636b286576656e742e70617263656c2c205c227472616e73706f72745c22295c6e202046696c65205c222f7372762f6465706f742f74657374732f666f726d6174732f6465706f742e70795c222c206c696e652035352c20696e20636865636b5c6e2020202072616973652056616c75654572726f7228665c227b70617263656c7d20646f6573206e6f7420676f207468726f75676820746865207b77686572657d5c22295c6e56616c75654572726f723a20626164207472616e73706f727420646f6573206e6f7420676f207468726f75676820746865207472616e73706f7274227d', '\x7b22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a31312c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (33, 1740571200000000, 7, 1, 'leftfold.ticket:89017353ab7fe3720ba30e7ed11a0871', '\x7b227469636b6574223a223839303137333533616237666533373230626133306537656431316130383731222c22636f6d6d616e64223a226465706f742e73656e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a226261642073746f7073227d7d', '\x7b22636f6d6d616e64223a223839303137333533616237666533373230626133306537656431316130383731222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a31322c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (34, 1740571200000000, 7, 1, 'leftfold.ticket:d798f08ac2bb43330939974833aec6fb', '\x7b227469636b6574223a226437393866303861633262623433333330393339393734383333616563366662222c22636f6d6d616e64223a226465706f742e72656d696e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a226261642073746f7073227d2c22647565223a22323032352d30322d32385431323a30303a30305a227d', '\x7b22636f6d6d616e64223a226437393866303861633262623433333330393339393734383333616563366662222c22636f6d6d616e645f74797065223a226465706f742e72656d696e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a31322c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (35, 1740571200000000, 5, 1, 'leftfold.process:depot.transport/bad stops', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f6261642073746f7073222c22706f736974696f6e223a31322c227469636b657473223a5b223839303137333533616237666533373230626133306537656431316130383731222c226437393866303861633262623433333330393339393734383333616563366662225d2c226e616d6573223a7b2272656d696e646572223a226437393866303861633262623433333330393339393734383333616563366662227d2c22646f6e65223a66616c73657d', '\x7b22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a31322c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (36, 1740571200000000, 8, 1, 'leftfold.process:depot.transport', '\x7b2270726f63657373223a226465706f742e7472616e73706f7274222c22706f736974696f6e223a31322c227479706573223a5b226465706f742e626f6f6b6564222c226465706f742e64656c697665726564222c226465706f742e72656d696e646564225d7d', '\x7b7d');
INSERT INTO depot.event VALUES (37, 1740571200000000, 8, 1, 'leftfold.process:depot.farewell', '\x7b2270726f63657373223a226465706f742e6661726577656c6c222c22706f736974696f6e223a33362c227479706573223a5b226465706f742e64656c697665726564225d7d', '\x7b7d');
INSERT INTO depot.event VALUES (38, 1740571200000000, 1, 1, 'leftfold.reactor:letters', '\x7b2272656163746f72223a226c657474657273222c22706f736974696f6e223a302c2277616974696e67223a5b5d2c227479706573223a5b226465706f742e626f6f6b6564225d7d', '\x7b7d');
INSERT INTO depot.event VALUES (39, 1740571200000000, 9, 1, 'leftfold.reactor:letters', '\x7b2272656163746f72223a226c657474657273222c22706f736974696f6e223a392c22617474656d7074223a312c226572726f72223a2256616c75654572726f723a20626164207363616c6573206c6574746572732076616e20646f6573206e6f7420676f207468726f75676820746865206c657474657273222c22647565223a22323032352d30322d32375430353a32353a34322e3739363731325a227d', '\x7b22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a397d');
INSERT INTO depot.event VALUES (40, 1740571200000000, 9, 1, 'leftfold.reactor:letters', '\x7b2272656163746f72223a226c657474657273222c22706f736974696f6e223a31302c22617474656d7074223a312c226572726f72223a2256616c75654572726f723a20776f727365207363616c6573206c657474657273207472616e73706f727420646f6573206e6f7420676f207468726f75676820746865206c657474657273222c22647565223a22323032352d30322d32375430363a34333a30322e3136373037395a227d', '\x7b22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a31307d');
INSERT INTO depot.event VALUES (41, 1740571200000000, 10, 1, 'leftfold.reactor:letters', '\x7b2272656163746f72223a226c657474657273222c22706f736974696f6e223a33372c22616761696e223a5b5d7d', '\x7b7d');
INSERT INTO depot.event VALUES (42, 1740571200000000, 11, 1, 'parcel:imported', '\x7b2270617263656c223a22696d706f72746564222c226174223a22323032352d30322d32365431323a30303a30305a227d', '\x7b22636f6d6d616e64223a226266663830303235643465646430306633353666376163376331646261333164222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a226462356235666162386634643465323739646131343934633733636632353664222c226361757365223a322c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (43, 1740571200000000, 12, 1, 'leftfold.ticket:bff80025d4edd00f356f7ac7c1dba31d', '\x7b227469636b6574223a226266663830303235643465646430306633353666376163376331646261333164222c226576656e7473223a317d', '\x7b22636f6d6d616e64223a226266663830303235643465646430306633353666376163376331646261333164222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a226462356235666162386634643465323739646131343934633733636632353664222c226361757365223a322c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (44, 1740571200000000, 13, 1, 'parcel:imported', '\x7b2270617263656c223a22696d706f72746564227d', '\x7b22636f6d6d616e64223a223239333733336162396533393438316439356633663931303062353561363931222c22636f6d6d616e645f74797065223a226465706f742e72656d696e64222c22636f7272656c6174696f6e223a226462356235666162386634643465323739646131343934633733636632353664222c226361757365223a322c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (45, 1740571200000000, 12, 1, 'leftfold.ticket:293733ab9e39481d95f3f9100b55a691', '\x7b227469636b6574223a223239333733336162396533393438316439356633663931303062353561363931222c226576656e7473223a317d', '\x7b22636f6d6d616e64223a223239333733336162396533393438316439356633663931303062353561363931222c22636f6d6d616e645f74797065223a226465706f742e72656d696e64222c22636f7272656c6174696f6e223a226462356235666162386634643465323739646131343934633733636632353664222c226361757365223a322c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (47, 1740571200000000, 12, 1, 'leftfold.ticket:f354772e71cb42baf7d2c99c514dc4bb', '\x7b227469636b6574223a226633353437373265373163623432626166376432633939633531346463346262222c226576656e7473223a317d', '\x7b22636f6d6d616e64223a226633353437373265373163623432626166376432633939633531346463346262222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a226633353437373265373163623432626166376432633939633531346463346262222c226361757365223a332c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (48, 1740571200000000, 11, 1, 'parcel:cancelled', '\x7b2270617263656c223a2263616e63656c6c6564222c226174223a22323032352d30322d32365431323a30303a30305a227d', '\x7b22636f6d6d616e64223a223262633537353363353766353030373932323032616337356335366536326433222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a362c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (49, 1740571200000000, 12, 1, 'leftfold.ticket:2bc5753c57f500792202ac75c56e62d3', '\x7b227469636b6574223a223262633537353363353766353030373932323032616337356335366536326433222c226576656e7473223a317d', '\x7b22636f6d6d616e64223a223262633537353363353766353030373932323032616337356335366536326433222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a362c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (50, 1740571200000000, 11, 1, 'parcel:p1', '\x7b2270617263656c223a227031222c226174223a22323032352d30322d32365431323a30303a30305a227d', '\x7b22636f6d6d616e64223a226563313164633636393934613862333866373731373237383634643638646437222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a372c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (51, 1740571200000000, 12, 1, 'leftfold.ticket:ec11dc66994a8b38f771727864d68dd7', '\x7b227469636b6574223a226563313164633636393934613862333866373731373237383634643638646437222c226576656e7473223a317d', '\x7b22636f6d6d616e64223a226563313164633636393934613862333866373731373237383634643638646437222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a372c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (52, 1740571200000000, 11, 1, 'parcel:p2', '\x7b2270617263656c223a227032222c226174223a22323032352d30322d32365431323a30303a30305a227d', '\x7b22636f6d6d616e64223a223861383537343564626364626330666662316562316264386336663936353138222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a382c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (53, 1740571200000000, 12, 1, 'leftfold.ticket:8a85745dbcdbc0ffb1eb1bd8c6f96518', '\x7b227469636b6574223a223861383537343564626364626330666662316562316264386336663936353138222c226576656e7473223a317d', '\x7b22636f6d6d616e64223a223861383537343564626364626330666662316562316264386336663936353138222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a382c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (54, 1740571200000000, 14, 1, 'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46', '\x7b227469636b6574223a226562336363616565323039613330393637326266343966346236643432613436222c22617474656d7074223a312c226572726f72223a2256616c75654572726f723a20626164207363616c6573206c6574746572732076616e20646f6573206e6f7420676f207468726f756768207468652076616e222c22647565223a22323032352d30322d32365431323a30303a35372e3732363331385a227d', '\x7b22636f6d6d616e64223a226562336363616565323039613330393637326266343966346236643432613436222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a392c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (55, 1740571200000000, 11, 1, 'parcel:bad stops', '\x7b2270617263656c223a226261642073746f7073222c226174223a22323032352d30322d32365431323a30303a30305a227d', '\x7b22636f6d6d616e64223a223839303137333533616237666533373230626133306537656431316130383731222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a31322c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (56, 1740571200000000, 12, 1, 'leftfold.ticket:89017353ab7fe3720ba30e7ed11a0871', '\x7b227469636b6574223a223839303137333533616237666533373230626133306537656431316130383731222c226576656e7473223a317d', '\x7b22636f6d6d616e64223a223839303137333533616237666533373230626133306537656431316130383731222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a31322c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (57, 1740571200000000, 15, 1, '', '\x7b22706f736974696f6e223a34312c226f70656e223a5b226433663132363332336561653363636433633361343731366566626130363664222c226332663765333030336237343136633333663430663262393336316231353062222c226438663631326634643961333433633832616365633337356438373634366662222c223532663536373437303762626533396133643666616534336264333133616635222c226364333736646537656330363966353836333233343530356261306237343531222c226437393866303861633262623433333330393339393734383333616563366662225d7d', '\x7b7d');
INSERT INTO depot.event VALUES (58, 1740571200000000, 7, 1, 'leftfold.ticket:ee5063bf8a66700329aac300c9e15c29', '\x7b227469636b6574223a226565353036336266386136363730303332396161633330306339653135633239222c22636f6d6d616e64223a226465706f742e72656d696e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a22696d706f72746564227d2c22647565223a22323032352d30322d32385431323a30303a30305a227d', '\x7b22636f6d6d616e64223a226565353036336266386136363730303332396161633330306339653135633239222c22636f6d6d616e645f74797065223a226465706f742e72656d696e64222c22636f7272656c6174696f6e223a226462356235666162386634643465323739646131343934633733636632353664222c226361757365223a34342c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (59, 1740571200000000, 5, 1, 'leftfold.process:depot.transport/imported', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f696d706f72746564222c22706f736974696f6e223a34342c227469636b657473223a5b226565353036336266386136363730303332396161633330306339653135633239225d2c226e616d6573223a7b2272656d696e646572223a226565353036336266386136363730303332396161633330306339653135633239227d2c22646f6e65223a66616c73657d', '\x7b22636f7272656c6174696f6e223a226462356235666162386634643465323739646131343934633733636632353664222c226361757365223a34342c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (60, 1740571200000000, 8, 1, 'leftfold.process:depot.transport', '\x7b2270726f63657373223a226465706f742e7472616e73706f7274222c22706f736974696f6e223a35372c227479706573223a5b226465706f742e626f6f6b6564222c226465706f742e64656c697665726564222c226465706f742e72656d696e646564225d7d', '\x7b7d');
INSERT INTO depot.event VALUES (61, 1740657600000000, 16, 1, 'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46', '\x7b227469636b6574223a226562336363616565323039613330393637326266343966346236643432613436222c22617474656d7074223a322c226572726f72223a2256616c75654572726f723a20626164207363616c6573206c6574746572732076616e20646f6573206e6f7420676f207468726f756768207468652076616e222c226e657874223a6e756c6c2c2274726163656261636b223a2254726163656261636b20286d6f737420726563656e742063616c6c206c617374293a5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f696e626f785f776f726b65722e70795c222c206c696e65203239352c20696e205f61667465725c6e2020202061776169742073656c662e5f6578656375746f722e736574746c6528636f6d6d616e642c207265636f72642e73746174652c207265636f72642e6d65746164617461295c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f6578656375746f722e70795c222c206c696e652039312c20696e20736574746c655c6e2020202072657475726e2061776169742073656c662e5f63617272795f6f7574284465636973696f6e28536574746c696e672868616e646c6572292c20636f6d6d616e642c207374617465732c206d657461646174612c204e6f6e65292c204e6f6e65295c6e20202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f6578656375746f722e70795c222c206c696e65203137362c20696e205f63617272795f6f75745c6e2020202072657475726e2061776169742073656c662e5f747279286465636973696f6e2c206b6579295c6e20202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f6578656375746f722e70795c222c206c696e65203138362c20696e205f7472795c6e20202020776f726b696e67203d2061776169742073656c662e5f736574746c65285b6465636973696f6e5d2c206465636973696f6e2e737461746573295c6e20202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f6578656375746f722e70795c222c206c696e65203332352c20696e205f736574746c655c6e202020206465636973696f6e2e6465636964652873656c662e5f72656769737472792c20776f726b696e672c2073656c662e5f636c6f636b2e6e6f772829295c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f6465636973696f6e2e70795c222c206c696e652034372c20696e206465636964655c6e2020202064656369646564203d2073656c662e68616e646c65722e6465636964652873656c662e636f6d6d616e642c206d617028776f726b696e672e76616c75652c2073656c662e737461746573292c20636f6e74657874295c6e20202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f736574746c696e672e70795c222c206c696e652034312c20696e206465636964655c6e202020206576656e7473203d2073656c662e5f68616e646c65722e64656369646528636f6d6d616e642c206d6f64656c732c20636f6e74657874295c6e202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f68616e646c65722e70795c222c206c696e652037392c20696e206465636964655c6e2020202072657475726e2073656c662e5f61735f6576656e74732873656c662e5f636865636b6564282a2a617267756d656e747329295c6e2020202020202020202020202020202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f74657374732f666f726d6174732f6465706f742e70795c222c206c696e65203330342c20696e2073656e645c6e20202020636865636b28636f6d6d616e642e70617263656c2c205c2276616e5c22295c6e202046696c65205c222f7372762f6465706f742f74657374732f666f726d6174732f6465706f742e70795c222c206c696e652035352c20696e20636865636b5c6e2020202072616973652056616c75654572726f7228665c227b70617263656c7d20646f6573206e6f7420676f207468726f75676820746865207b77686572657d5c22295c6e56616c75654572726f723a20626164207363616c6573206c6574746572732076616e20646f6573206e6f7420676f207468726f756768207468652076616e227d', '\x7b22636f6d6d616e64223a226562336363616565323039613330393637326266343966346236643432613436222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a392c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (62, 1740657600000000, 17, 1, 'leftfold.reactor:letters', '\x7b2272656163746f72223a226c657474657273222c22706f736974696f6e223a392c22617474656d7074223a322c226572726f72223a2256616c75654572726f723a20626164207363616c6573206c6574746572732076616e20646f6573206e6f7420676f207468726f75676820746865206c657474657273222c2274726163656261636b223a2254726163656261636b20286d6f737420726563656e742063616c6c206c617374293a5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f70726f636573732f72656163746f725f776f726b65722e70795c222c206c696e65203231322c20696e205f617474656d70745c6e2020202061776169742073656c662e5f63616c6c286576656e742c2064656c6976657279295c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f70726f636573732f72656163746f725f776f726b65722e70795c222c206c696e65203232372c20696e205f63616c6c5c6e202020206d616465203d206177616974206173796e63696f2e6765745f72756e6e696e675f6c6f6f7028292e72756e5f696e5f6578656375746f722873656c662e5f746872656164732c2063616c6c295c6e20202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f707974686f6e2f6c69622f707974686f6e332e31312f636f6e63757272656e742f667574757265732f7468726561642e70795c222c206c696e652035382c20696e2072756e5c6e20202020726573756c74203d2073656c662e666e282a73656c662e617267732c202a2a73656c662e6b7761726773295c6e202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f70726f636573732f72656163746f725f776f726b65722e70795c222c206c696e65203232352c20696e2063616c6c5c6e2020202072657475726e20636f6e746578742e72756e2873656c662e646566696e6974696f6e2e63616c6c2c206576656e742c2064656c6976657279295c6e20202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f70726f636573732f72656163746f722e70795c222c206c696e652037312c20696e2063616c6c5c6e2020202072657475726e2073656c662e66756e6374696f6e286576656e742c2064656c6976657279292069662073656c662e74616b65735f64656c697665727920656c73652073656c662e66756e6374696f6e286576656e74295c6e20202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f74657374732f666f726d6174732f6465706f742e70795c222c206c696e65203238352c20696e2073656e645f6c65747465725c6e20202020636865636b286576656e742e70617263656c2c205c226c6574746572735c22295c6e202046696c65205c222f7372762f6465706f742f74657374732f666f726d6174732f6465706f742e70795c222c206c696e652035352c20696e20636865636b5c6e2020202072616973652056616c75654572726f7228665c227b70617263656c7d20646f6573206e6f7420676f207468726f75676820746865207b77686572657d5c22295c6e56616c75654572726f723a20626164207363616c6573206c6574746572732076616e20646f6573206e6f7420676f207468726f75676820746865206c657474657273227d', '\x7b22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a397d');
INSERT INTO depot.event VALUES (87, 1740657600000000, 14, 1, 'leftfold.ticket:5387f61376c448ae87321cc007b37e14', '\x7b227469636b6574223a223533383766363133373663343438616538373332316363303037623337653134222c22617474656d7074223a312c226572726f72223a2256616c75654572726f723a2062616420636f756e7420646f6573206e6f7420676f207468726f7567682074686520636f756e74222c22647565223a22323032352d30322d32375431323a30303a34372e3632313534355a227d', '\x7b22636f6d6d616e64223a223533383766363133373663343438616538373332316363303037623337653134222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a223533383766363133373663343438616538373332316363303037623337653134227d');
INSERT INTO depot.event VALUES (88, 1740657600000000, 15, 1, '', '\x7b22706f736974696f6e223a38322c226f70656e223a5b226433663132363332336561653363636433633361343731366566626130363664222c226438663631326634643961333433633832616365633337356438373634366662222c223532663536373437303762626533396133643666616534336264333133616635222c226364333736646537656330363966353836333233343530356261306237343531222c226437393866303861633262623433333330393339393734383333616563366662222c226565353036336266386136363730303332396161633330306339653135633239222c223332303039346561643761393464656439373439316532333730633661356238222c226136383335656635316133633732383661373466326435323131616431666236222c223664613661366461383361623631333734306233326134336332383335343833225d7d', '\x7b7d');
INSERT INTO depot.event VALUES (63, 1740657600000000, 17, 1, 'leftfold.reactor:letters', '\x7b2272656163746f72223a226c657474657273222c22706f736974696f6e223a31302c22617474656d7074223a322c226572726f72223a2256616c75654572726f723a20776f727365207363616c6573206c657474657273207472616e73706f727420646f6573206e6f7420676f207468726f75676820746865206c657474657273222c2274726163656261636b223a2254726163656261636b20286d6f737420726563656e742063616c6c206c617374293a5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f70726f636573732f72656163746f725f776f726b65722e70795c222c206c696e65203231322c20696e205f617474656d70745c6e2020202061776169742073656c662e5f63616c6c286576656e742c2064656c6976657279295c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f70726f636573732f72656163746f725f776f726b65722e70795c222c206c696e65203232372c20696e205f63616c6c5c6e202020206d616465203d206177616974206173796e63696f2e6765745f72756e6e696e675f6c6f6f7028292e72756e5f696e5f6578656375746f722873656c662e5f746872656164732c2063616c6c295c6e20202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f707974686f6e2f6c69622f707974686f6e332e31312f636f6e63757272656e742f667574757265732f7468726561642e70795c222c206c696e652035382c20696e2072756e5c6e20202020726573756c74203d2073656c662e666e282a73656c662e617267732c202a2a73656c662e6b7761726773295c6e202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f70726f636573732f72656163746f725f776f726b65722e70795c222c206c696e65203232352c20696e2063616c6c5c6e2020202072657475726e20636f6e746578742e72756e2873656c662e646566696e6974696f6e2e63616c6c2c206576656e742c2064656c6976657279295c6e20202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f70726f636573732f72656163746f722e70795c222c206c696e652037312c20696e2063616c6c5c6e2020202072657475726e2073656c662e66756e6374696f6e286576656e742c2064656c6976657279292069662073656c662e74616b65735f64656c697665727920656c73652073656c662e66756e6374696f6e286576656e74295c6e20202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f74657374732f666f726d6174732f6465706f742e70795c222c206c696e65203238352c20696e2073656e645f6c65747465725c6e20202020636865636b286576656e742e70617263656c2c205c226c6574746572735c22295c6e202046696c65205c222f7372762f6465706f742f74657374732f666f726d6174732f6465706f742e70795c222c206c696e652035352c20696e20636865636b5c6e2020202072616973652056616c75654572726f7228665c227b70617263656c7d20646f6573206e6f7420676f207468726f75676820746865207b77686572657d5c22295c6e56616c75654572726f723a20776f727365207363616c6573206c657474657273207472616e73706f727420646f6573206e6f7420676f207468726f75676820746865206c657474657273227d', '\x7b22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a31307d');
INSERT INTO depot.event VALUES (64, 1740657600000000, 10, 1, 'leftfold.reactor:letters', '\x7b2272656163746f72223a226c657474657273222c22706f736974696f6e223a36312c22616761696e223a5b5d7d', '\x7b7d');
INSERT INTO depot.event VALUES (65, 1740657600000000, 18, 1, 'leftfold.reactor:letters', '\x7b2272656163746f72223a226c657474657273222c22706f736974696f6e223a31307d', '\x7b226163746f72223a22737565222c22726561736f6e223a226d6f7665642061776179227d');
INSERT INTO depot.event VALUES (66, 1740657600000000, 19, 1, 'leftfold.process:depot.transport/bad transport', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f626164207472616e73706f7274222c22706f736974696f6e223a31317d', '\x7b226163746f72223a22737565227d');
INSERT INTO depot.event VALUES (67, 1740657600000000, 20, 1, 'leftfold.process:depot.transport/worse scales letters transport', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f776f727365207363616c6573206c657474657273207472616e73706f7274222c22706f736974696f6e223a31307d', '\x7b226163746f72223a22737565222c22726561736f6e223a226973206c6f7374227d');
INSERT INTO depot.event VALUES (68, 1740657600000000, 21, 1, 'leftfold.process:depot.transport/cancelled', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f63616e63656c6c6564222c227469636b657473223a5b226332663765333030336237343136633333663430663262393336316231353062225d7d', '\x7b226163746f72223a22737565222c22726561736f6e223a22626f7567687420656c73657768657265227d');
INSERT INTO depot.event VALUES (69, 1740657600000000, 22, 1, 'leftfold.ticket:c2f7e3003b7416c33f40f2b9361b150b', '\x7b227469636b6574223a226332663765333030336237343136633333663430663262393336316231353062227d', '\x7b226163746f72223a22737565222c22726561736f6e223a22626f7567687420656c73657768657265227d');
INSERT INTO depot.event VALUES (70, 1740657600000000, 23, 1, 'leftfold.read_model:weight', '\x7b227461626c65223a22776569676874222c226b6579223a5b22776f727365207363616c6573206c657474657273207472616e73706f7274225d2c22706f736974696f6e223a31302c2270726f626c656d223a2256616c75654572726f723a20776f727365207363616c6573206c657474657273207472616e73706f727420646f6573206e6f7420676f207468726f75676820746865207363616c6573227d', '\x7b226361757365223a31302c226163746f72223a22737565222c22726561736f6e223a226e6f207363616c65732074686174206c61726765227d');
INSERT INTO depot.event VALUES (71, 1740657600000000, 24, 1, 'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46', '\x7b227469636b6574223a226562336363616565323039613330393637326266343966346236643432613436227d', '\x7b7d');
INSERT INTO depot.event VALUES (72, 1740657600000000, 25, 1, 'parcel:p1', '\x7b2270617263656c223a227031227d', '\x7b22636f6d6d616e64223a226136366230643338396439353434376562643239393735336137363737373936222c22636f6d6d616e645f74797065223a226465706f742e64656c69766572222c22636f7272656c6174696f6e223a226136366230643338396439353434376562643239393735336137363737373936227d');
INSERT INTO depot.event VALUES (73, 1740657600000000, 25, 1, 'parcel:bad stops', '\x7b2270617263656c223a226261642073746f7073227d', '\x7b22636f6d6d616e64223a226434656136356430303364373436383439663835353861363238353138383637222c22636f6d6d616e645f74797065223a226465706f742e64656c69766572222c22636f7272656c6174696f6e223a226434656136356430303364373436383439663835353861363238353138383637227d');
INSERT INTO depot.event VALUES (74, 1740657600000000, 13, 1, 'parcel:bad scales letters van', '\x7b2270617263656c223a22626164207363616c6573206c6574746572732076616e227d', '\x7b22636f6d6d616e64223a223039323038613635306633653464643339303262393338623837343366656236222c22636f6d6d616e645f74797065223a226465706f742e72656d696e64222c22636f7272656c6174696f6e223a223039323038613635306633653464643339303262393338623837343366656236227d');
INSERT INTO depot.event VALUES (75, 1740657600000000, 7, 1, 'leftfold.ticket:998092253def4a38a12b2b8f30b17d0b', '\x7b227469636b6574223a223939383039323235336465663461333861313262326238663330623137643062222c22636f6d6d616e64223a226465706f742e64656c69766572222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a226e6f7768657265227d7d', '\x7b22636f6d6d616e64223a223939383039323235336465663461333861313262326238663330623137643062222c22636f6d6d616e645f74797065223a226465706f742e64656c69766572222c22636f7272656c6174696f6e223a223939383039323235336465663461333861313262326238663330623137643062227d');
INSERT INTO depot.event VALUES (76, 1740657600000000, 7, 1, 'leftfold.ticket:c56f5e0286c85cd7c572f343f234d398', '\x7b227469636b6574223a226335366635653032383663383563643763353732663334336632333464333938222c22636f6d6d616e64223a226465706f742e636f756e74222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b226e616d65223a226f6e6365227d7d', '\x7b22636f6d6d616e64223a226335366635653032383663383563643763353732663334336632333464333938222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a226335366635653032383663383563643763353732663334336632333464333938227d');
INSERT INTO depot.event VALUES (77, 1740657600000000, 7, 1, 'leftfold.ticket:5387f61376c448ae87321cc007b37e14', '\x7b227469636b6574223a223533383766363133373663343438616538373332316363303037623337653134222c22636f6d6d616e64223a226465706f742e636f756e74222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b226e616d65223a2262616420636f756e74227d7d', '\x7b22636f6d6d616e64223a223533383766363133373663343438616538373332316363303037623337653134222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a223533383766363133373663343438616538373332316363303037623337653134227d');
INSERT INTO depot.event VALUES (78, 1740657600000000, 7, 1, 'leftfold.ticket:320094ead7a94ded97491e2370c6a5b8', '\x7b227469636b6574223a223332303039346561643761393464656439373439316532333730633661356238222c22636f6d6d616e64223a226465706f742e636f756e74222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b226e616d65223a226c61746572227d2c22647565223a22323032352d30332d30355430303a30303a30305a227d', '\x7b22636f6d6d616e64223a223332303039346561643761393464656439373439316532333730633661356238222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a223332303039346561643761393464656439373439316532333730633661356238227d');
INSERT INTO depot.event VALUES (79, 1740657600000000, 7, 1, 'leftfold.ticket:a6835ef51a3c7286a74f2d5211ad1fb6
leftfold.recurring:a6835ef51a3c7286a74f2d5211ad1fb6', '\x7b227469636b6574223a226136383335656635316133633732383661373466326435323131616431666236222c22636f6d6d616e64223a226465706f742e636f756e74222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b226e616d65223a22686f75726c79227d2c22647565223a22323032352d30322d32375431383a30303a30305a222c22736572696573223a226136383335656635316133633732383661373466326435323131616431666236222c22726563757272656e6365223a7b226669727374223a22323032352d30322d32375431383a30303a30305a222c226576657279223a225054323136303053227d7d', '\x7b22636f6d6d616e64223a226136383335656635316133633732383661373466326435323131616431666236222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a226136383335656635316133633732383661373466326435323131616431666236227d');
INSERT INTO depot.event VALUES (80, 1740657600000000, 7, 1, 'leftfold.ticket:6da6a6da83ab613740b32a43c2835483
leftfold.recurring:6da6a6da83ab613740b32a43c2835483', '\x7b227469636b6574223a223664613661366461383361623631333734306233326134336332383335343833222c22636f6d6d616e64223a226465706f742e636f756e74222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b226e616d65223a226461696c79227d2c22647565223a22323032352d30322d32385430323a30303a30305a222c22736572696573223a223664613661366461383361623631333734306233326134336332383335343833222c22726563757272656e6365223a7b226669727374223a22323032352d30322d32385430323a30303a30305a222c226576657279223a7b226174223a2230333a30303a3030222c227a6f6e65223a224575726f70652f5669656e6e61227d7d7d', '\x7b22636f6d6d616e64223a223664613661366461383361623631333734306233326134336332383335343833222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a223664613661366461383361623631333734306233326134336332383335343833227d');
INSERT INTO depot.event VALUES (81, 1740657600000000, 7, 1, 'leftfold.ticket:4b4d8474a3ea484dbbd0334684e55160', '\x7b227469636b6574223a223462346438343734613365613438346462626430333334363834653535313630222c22636f6d6d616e64223a226465706f742e636f756e74222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b226e616d65223a226e65766572227d2c22647565223a22323032352d30332d30385431323a30303a30305a227d', '\x7b22636f6d6d616e64223a223462346438343734613365613438346462626430333334363834653535313630222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a223462346438343734613365613438346462626430333334363834653535313630227d');
INSERT INTO depot.event VALUES (82, 1740657600000000, 22, 1, 'leftfold.ticket:4b4d8474a3ea484dbbd0334684e55160', '\x7b227469636b6574223a223462346438343734613365613438346462626430333334363834653535313630227d', '\x7b7d');
INSERT INTO depot.event VALUES (83, 1740657600000000, 14, 1, 'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46', '\x7b227469636b6574223a226562336363616565323039613330393637326266343966346236643432613436222c22617474656d7074223a312c226572726f72223a2256616c75654572726f723a20626164207363616c6573206c6574746572732076616e20646f6573206e6f7420676f207468726f756768207468652076616e222c22647565223a22323032352d30322d32375431323a30303a34352e3233353233385a227d', '\x7b22636f6d6d616e64223a226562336363616565323039613330393637326266343966346236643432613436222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a392c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (84, 1740657600000000, 27, 1, 'leftfold.ticket:998092253def4a38a12b2b8f30b17d0b', '\x7b227469636b6574223a223939383039323235336465663461333861313262326238663330623137643062222c22726561736f6e223a226e6f742073656e74222c2264657461696c73223a7b2270617263656c223a226e6f7768657265222c2273696e6365223a6e756c6c7d7d', '\x7b22636f6d6d616e64223a223939383039323235336465663461333861313262326238663330623137643062222c22636f6d6d616e645f74797065223a226465706f742e64656c69766572222c22636f7272656c6174696f6e223a223939383039323235336465663461333861313262326238663330623137643062227d');
INSERT INTO depot.event VALUES (85, 1740657600000000, 26, 1, '', '\x7b226e616d65223a226f6e6365227d', '\x7b22636f6d6d616e64223a226335366635653032383663383563643763353732663334336632333464333938222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a226335366635653032383663383563643763353732663334336632333464333938227d');
INSERT INTO depot.event VALUES (86, 1740657600000000, 12, 1, 'leftfold.ticket:c56f5e0286c85cd7c572f343f234d398', '\x7b227469636b6574223a226335366635653032383663383563643763353732663334336632333464333938222c226576656e7473223a317d', '\x7b22636f6d6d616e64223a226335366635653032383663383563643763353732663334336632333464333938222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a226335366635653032383663383563643763353732663334336632333464333938227d');
INSERT INTO depot.event VALUES (89, 1740657600000000, 6, 1, 'leftfold.process:depot.transport/bad transport', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f626164207472616e73706f7274222c22706f736974696f6e223a31312c226572726f72223a2256616c75654572726f723a20626164207472616e73706f727420646f6573206e6f7420676f207468726f75676820746865207472616e73706f7274222c2274726163656261636b223a2254726163656261636b20286d6f737420726563656e742063616c6c206c617374293a5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f70726f636573732f70726f636573735f776f726b65722e70795c222c206c696e65203235312c20696e205f72656163745c6e20202020616374696f6e73203d2073656c662e646566696e6974696f6e2e72656163742868656c642e73746174652c206576656e74295c6e20202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f70726f636573732f646566696e6974696f6e2e70795c222c206c696e652038382c20696e2072656163745c6e202020207265616374696f6e3a205265616374696f6e203d2073656c662e5f72656163742873746174652c206576656e74295c6e202020202020202020202020202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f74657374732f666f726d6174732f6465706f742e70795c222c206c696e65203139362c20696e2072656163745c6e20202020636865636b286576656e742e70617263656c2c205c227472616e73706f72745c22295c6e202046696c65205c222f7372762f6465706f742f74657374732f666f726d6174732f6465706f742e70795c222c206c696e652035352c20696e20636865636b5c6e2020202072616973652056616c75654572726f7228665c227b70617263656c7d20646f6573206e6f7420676f207468726f75676820746865207b77686572657d5c22295c6e56616c75654572726f723a20626164207472616e73706f727420646f6573206e6f7420676f207468726f75676820746865207472616e73706f7274227d', '\x7b22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a31312c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (90, 1740657600000000, 22, 1, 'leftfold.ticket:d8f612f4d9a343c82acec375d87646fb', '\x7b227469636b6574223a226438663631326634643961333433633832616365633337356438373634366662227d', '\x7b22636f7272656c6174696f6e223a226136366230643338396439353434376562643239393735336137363737373936222c226361757365223a37322c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (91, 1740657600000000, 5, 1, 'leftfold.process:depot.transport/p1', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f7031222c22706f736974696f6e223a37322c227469636b657473223a5b5d2c226e616d6573223a7b7d2c22646f6e65223a747275657d', '\x7b22636f7272656c6174696f6e223a226136366230643338396439353434376562643239393735336137363737373936222c226361757365223a37322c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (92, 1740657600000000, 22, 1, 'leftfold.ticket:d798f08ac2bb43330939974833aec6fb', '\x7b227469636b6574223a226437393866303861633262623433333330393339393734383333616563366662227d', '\x7b22636f7272656c6174696f6e223a226434656136356430303364373436383439663835353861363238353138383637222c226361757365223a37332c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (93, 1740657600000000, 5, 1, 'leftfold.process:depot.transport/bad stops', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f6261642073746f7073222c22706f736974696f6e223a37332c227469636b657473223a5b5d2c226e616d6573223a7b7d2c22646f6e65223a747275657d', '\x7b22636f7272656c6174696f6e223a226434656136356430303364373436383439663835353861363238353138383637222c226361757365223a37332c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (94, 1740657600000000, 7, 1, 'leftfold.ticket:62f2a2ea5d330687d2cefdcbd07be8df', '\x7b227469636b6574223a223632663261326561356433333036383764326365666463626430376265386466222c22636f6d6d616e64223a226465706f742e72656d696e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a22626164207363616c6573206c6574746572732076616e227d2c22647565223a22323032352d30332d30315431323a30303a30305a227d', '\x7b22636f6d6d616e64223a223632663261326561356433333036383764326365666463626430376265386466222c22636f6d6d616e645f74797065223a226465706f742e72656d696e64222c22636f7272656c6174696f6e223a223039323038613635306633653464643339303262393338623837343366656236222c226361757365223a37342c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (95, 1740657600000000, 5, 1, 'leftfold.process:depot.transport/bad scales letters van', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f626164207363616c6573206c6574746572732076616e222c22706f736974696f6e223a37342c227469636b657473223a5b223632663261326561356433333036383764326365666463626430376265386466225d2c226e616d6573223a7b2272656d696e646572223a223632663261326561356433333036383764326365666463626430376265386466227d2c22646f6e65223a66616c73657d', '\x7b22636f7272656c6174696f6e223a223039323038613635306633653464643339303262393338623837343366656236222c226361757365223a37342c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (96, 1740657600000000, 7, 1, 'leftfold.ticket:d7c7eb188f2ece1c5e63d237bab59aff', '\x7b227469636b6574223a226437633765623138386632656365316335653633643233376261623539616666222c22636f6d6d616e64223a226465706f742e636f756e74222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b226e616d65223a226661726577656c6c20746f207031227d7d', '\x7b22636f6d6d616e64223a226437633765623138386632656365316335653633643233376261623539616666222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a226136366230643338396439353434376562643239393735336137363737373936222c226361757365223a37322c226578747261223a7b2270726f63657373223a226465706f742e6661726577656c6c227d7d');
INSERT INTO depot.event VALUES (97, 1740657600000000, 5, 1, 'leftfold.process:depot.farewell/p1', '\x7b22696e7374616e6365223a226465706f742e6661726577656c6c2f7031222c22706f736974696f6e223a37322c227469636b657473223a5b226437633765623138386632656365316335653633643233376261623539616666225d2c226e616d6573223a7b7d2c22646f6e65223a66616c73657d', '\x7b22636f7272656c6174696f6e223a226136366230643338396439353434376562643239393735336137363737373936222c226361757365223a37322c226578747261223a7b2270726f63657373223a226465706f742e6661726577656c6c227d7d');
INSERT INTO depot.event VALUES (98, 1740657600000000, 7, 1, 'leftfold.ticket:58840311ecafaadeded0d5f3e0876e9a', '\x7b227469636b6574223a223538383430333131656361666161646564656430643566336530383736653961222c22636f6d6d616e64223a226465706f742e636f756e74222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b226e616d65223a226661726577656c6c20746f206261642073746f7073227d7d', '\x7b22636f6d6d616e64223a223538383430333131656361666161646564656430643566336530383736653961222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a226434656136356430303364373436383439663835353861363238353138383637222c226361757365223a37332c226578747261223a7b2270726f63657373223a226465706f742e6661726577656c6c227d7d');
INSERT INTO depot.event VALUES (99, 1740657600000000, 5, 1, 'leftfold.process:depot.farewell/bad stops', '\x7b22696e7374616e6365223a226465706f742e6661726577656c6c2f6261642073746f7073222c22706f736974696f6e223a37332c227469636b657473223a5b223538383430333131656361666161646564656430643566336530383736653961225d2c226e616d6573223a7b7d2c22646f6e65223a66616c73657d', '\x7b22636f7272656c6174696f6e223a226434656136356430303364373436383439663835353861363238353138383637222c226361757365223a37332c226578747261223a7b2270726f63657373223a226465706f742e6661726577656c6c227d7d');
INSERT INTO depot.event VALUES (100, 1740657600000000, 8, 1, 'leftfold.process:depot.farewell', '\x7b2270726f63657373223a226465706f742e6661726577656c6c222c22706f736974696f6e223a39352c227479706573223a5b226465706f742e64656c697665726564225d7d', '\x7b7d');
INSERT INTO depot.event VALUES (101, 1740657600000000, 10, 1, 'leftfold.reactor:bells', '\x7b2272656163746f72223a2262656c6c73222c22706f736974696f6e223a37322c22616761696e223a5b5d7d', '\x7b7d');
INSERT INTO depot.event VALUES (102, 1740657600000000, 26, 1, '', '\x7b226e616d65223a226661726577656c6c20746f207031227d', '\x7b22636f6d6d616e64223a226437633765623138386632656365316335653633643233376261623539616666222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a226136366230643338396439353434376562643239393735336137363737373936222c226361757365223a37322c226578747261223a7b2270726f63657373223a226465706f742e6661726577656c6c227d7d');
INSERT INTO depot.event VALUES (103, 1740657600000000, 12, 1, 'leftfold.ticket:d7c7eb188f2ece1c5e63d237bab59aff', '\x7b227469636b6574223a226437633765623138386632656365316335653633643233376261623539616666222c226576656e7473223a317d', '\x7b22636f6d6d616e64223a226437633765623138386632656365316335653633643233376261623539616666222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a226136366230643338396439353434376562643239393735336137363737373936222c226361757365223a37322c226578747261223a7b2270726f63657373223a226465706f742e6661726577656c6c227d7d');
INSERT INTO depot.event VALUES (104, 1740657600000000, 26, 1, '', '\x7b226e616d65223a226661726577656c6c20746f206261642073746f7073227d', '\x7b22636f6d6d616e64223a223538383430333131656361666161646564656430643566336530383736653961222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a226434656136356430303364373436383439663835353861363238353138383637222c226361757365223a37332c226578747261223a7b2270726f63657373223a226465706f742e6661726577656c6c227d7d');
INSERT INTO depot.event VALUES (105, 1740657600000000, 12, 1, 'leftfold.ticket:58840311ecafaadeded0d5f3e0876e9a', '\x7b227469636b6574223a223538383430333131656361666161646564656430643566336530383736653961222c226576656e7473223a317d', '\x7b22636f6d6d616e64223a223538383430333131656361666161646564656430643566336530383736653961222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a226434656136356430303364373436383439663835353861363238353138383637222c226361757365223a37332c226578747261223a7b2270726f63657373223a226465706f742e6661726577656c6c227d7d');
INSERT INTO depot.event VALUES (106, 1740657600000000, 8, 1, 'leftfold.process:depot.transport', '\x7b2270726f63657373223a226465706f742e7472616e73706f7274222c22706f736974696f6e223a3130352c227479706573223a5b226465706f742e626f6f6b6564222c226465706f742e64656c697665726564222c226465706f742e72656d696e646564225d7d', '\x7b7d');
INSERT INTO depot.event VALUES (107, 1740657600000000, 10, 1, 'leftfold.reactor:bells', '\x7b2272656163746f72223a2262656c6c73222c22706f736974696f6e223a37332c22616761696e223a5b5d7d', '\x7b7d');
INSERT INTO depot.event VALUES (108, 1740657900000000, 16, 1, 'leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46', '\x7b227469636b6574223a226562336363616565323039613330393637326266343966346236643432613436222c22617474656d7074223a322c226572726f72223a2256616c75654572726f723a20626164207363616c6573206c6574746572732076616e20646f6573206e6f7420676f207468726f756768207468652076616e222c226e657874223a6e756c6c2c2274726163656261636b223a2254726163656261636b20286d6f737420726563656e742063616c6c206c617374293a5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f696e626f785f776f726b65722e70795c222c206c696e65203239352c20696e205f61667465725c6e2020202061776169742073656c662e5f6578656375746f722e736574746c6528636f6d6d616e642c207265636f72642e73746174652c207265636f72642e6d65746164617461295c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f6578656375746f722e70795c222c206c696e652039312c20696e20736574746c655c6e2020202072657475726e2061776169742073656c662e5f63617272795f6f7574284465636973696f6e28536574746c696e672868616e646c6572292c20636f6d6d616e642c207374617465732c206d657461646174612c204e6f6e65292c204e6f6e65295c6e20202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f6578656375746f722e70795c222c206c696e65203137362c20696e205f63617272795f6f75745c6e2020202072657475726e2061776169742073656c662e5f747279286465636973696f6e2c206b6579295c6e20202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f6578656375746f722e70795c222c206c696e65203138362c20696e205f7472795c6e20202020776f726b696e67203d2061776169742073656c662e5f736574746c65285b6465636973696f6e5d2c206465636973696f6e2e737461746573295c6e20202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f6578656375746f722e70795c222c206c696e65203332352c20696e205f736574746c655c6e202020206465636973696f6e2e6465636964652873656c662e5f72656769737472792c20776f726b696e672c2073656c662e5f636c6f636b2e6e6f772829295c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f6465636973696f6e2e70795c222c206c696e652034372c20696e206465636964655c6e2020202064656369646564203d2073656c662e68616e646c65722e6465636964652873656c662e636f6d6d616e642c206d617028776f726b696e672e76616c75652c2073656c662e737461746573292c20636f6e74657874295c6e20202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f736574746c696e672e70795c222c206c696e652034312c20696e206465636964655c6e202020206576656e7473203d2073656c662e5f68616e646c65722e64656369646528636f6d6d616e642c206d6f64656c732c20636f6e74657874295c6e202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f68616e646c65722e70795c222c206c696e652037392c20696e206465636964655c6e2020202072657475726e2073656c662e5f61735f6576656e74732873656c662e5f636865636b6564282a2a617267756d656e747329295c6e2020202020202020202020202020202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f74657374732f666f726d6174732f6465706f742e70795c222c206c696e65203330342c20696e2073656e645c6e20202020636865636b28636f6d6d616e642e70617263656c2c205c2276616e5c22295c6e202046696c65205c222f7372762f6465706f742f74657374732f666f726d6174732f6465706f742e70795c222c206c696e652035352c20696e20636865636b5c6e2020202072616973652056616c75654572726f7228665c227b70617263656c7d20646f6573206e6f7420676f207468726f75676820746865207b77686572657d5c22295c6e56616c75654572726f723a20626164207363616c6573206c6574746572732076616e20646f6573206e6f7420676f207468726f756768207468652076616e227d', '\x7b22636f6d6d616e64223a226562336363616565323039613330393637326266343966346236643432613436222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a2263616c6c2d37222c226361757365223a392c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (130, 1740718800000000, 28, 1, 'leftfold.worker:commands of depot f83a4d97', '\x7b22776f726b6572223a22636f6d6d616e6473206f66206465706f74206638336134643937222c22686f6c646572223a22373238406465706f742d312030663165326433632d346235612d343937382d383739362d613562346333643265316630207069643a5b343032363533313833365d2033363435373432206261363938303839326435393433343662383464303838313465616566373331206465706f742030222c22666f726d6572223a22353932406465706f742d312030663165326433632d346235612d343937382d383739362d613562346333643265316630207069643a5b343032363533313833365d2033363435353331206566396262646163343833333463383038323662343437316239363763393633206465706f742030227d', '\x7b7d');
INSERT INTO depot.event VALUES (131, 1740718800000000, 28, 1, 'leftfold.worker:process depot.transport', '\x7b22776f726b6572223a2270726f63657373206465706f742e7472616e73706f7274222c22686f6c646572223a22373238406465706f742d312030663165326433632d346235612d343937382d383739362d613562346333643265316630207069643a5b343032363533313833365d2033363435373432206261363938303839326435393433343662383464303838313465616566373331206465706f742030222c22666f726d6572223a22353932406465706f742d312030663165326433632d346235612d343937382d383739362d613562346333643265316630207069643a5b343032363533313833365d2033363435353331206566396262646163343833333463383038323662343437316239363763393633206465706f742033227d', '\x7b7d');
INSERT INTO depot.event VALUES (109, 1740657900000000, 16, 1, 'leftfold.ticket:5387f61376c448ae87321cc007b37e14', '\x7b227469636b6574223a223533383766363133373663343438616538373332316363303037623337653134222c22617474656d7074223a322c226572726f72223a2256616c75654572726f723a2062616420636f756e7420646f6573206e6f7420676f207468726f7567682074686520636f756e74222c226e657874223a6e756c6c2c2274726163656261636b223a2254726163656261636b20286d6f737420726563656e742063616c6c206c617374293a5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f696e626f785f776f726b65722e70795c222c206c696e65203239352c20696e205f61667465725c6e2020202061776169742073656c662e5f6578656375746f722e736574746c6528636f6d6d616e642c207265636f72642e73746174652c207265636f72642e6d65746164617461295c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f6578656375746f722e70795c222c206c696e652039312c20696e20736574746c655c6e2020202072657475726e2061776169742073656c662e5f63617272795f6f7574284465636973696f6e28536574746c696e672868616e646c6572292c20636f6d6d616e642c207374617465732c206d657461646174612c204e6f6e65292c204e6f6e65295c6e20202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f6578656375746f722e70795c222c206c696e65203137362c20696e205f63617272795f6f75745c6e2020202072657475726e2061776169742073656c662e5f747279286465636973696f6e2c206b6579295c6e20202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f6578656375746f722e70795c222c206c696e65203138362c20696e205f7472795c6e20202020776f726b696e67203d2061776169742073656c662e5f736574746c65285b6465636973696f6e5d2c206465636973696f6e2e737461746573295c6e20202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f6578656375746f722e70795c222c206c696e65203332352c20696e205f736574746c655c6e202020206465636973696f6e2e6465636964652873656c662e5f72656769737472792c20776f726b696e672c2073656c662e5f636c6f636b2e6e6f772829295c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f6465636973696f6e2e70795c222c206c696e652034372c20696e206465636964655c6e2020202064656369646564203d2073656c662e68616e646c65722e6465636964652873656c662e636f6d6d616e642c206d617028776f726b696e672e76616c75652c2073656c662e737461746573292c20636f6e74657874295c6e20202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f736574746c696e672e70795c222c206c696e652034312c20696e206465636964655c6e202020206576656e7473203d2073656c662e5f68616e646c65722e64656369646528636f6d6d616e642c206d6f64656c732c20636f6e74657874295c6e202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f7372632f6c656674666f6c642f636f6d6d616e642f68616e646c65722e70795c222c206c696e652037392c20696e206465636964655c6e2020202072657475726e2073656c662e5f61735f6576656e74732873656c662e5f636865636b6564282a2a617267756d656e747329295c6e2020202020202020202020202020202020202020202020202020205e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5c6e202046696c65205c222f7372762f6465706f742f74657374732f666f726d6174732f6465706f742e70795c222c206c696e65203332322c20696e20636f756e745c6e20202020636865636b28636f6d6d616e642e6e616d652c205c22636f756e745c22295c6e202046696c65205c222f7372762f6465706f742f74657374732f666f726d6174732f6465706f742e70795c222c206c696e652035352c20696e20636865636b5c6e2020202072616973652056616c75654572726f7228665c227b70617263656c7d20646f6573206e6f7420676f207468726f75676820746865207b77686572657d5c22295c6e56616c75654572726f723a2062616420636f756e7420646f6573206e6f7420676f207468726f7567682074686520636f756e74227d', '\x7b22636f6d6d616e64223a223533383766363133373663343438616538373332316363303037623337653134222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a223533383766363133373663343438616538373332316363303037623337653134227d');
INSERT INTO depot.event VALUES (110, 1740657900000000, 15, 1, '', '\x7b22706f736974696f6e223a3130392c226f70656e223a5b226433663132363332336561653363636433633361343731366566626130363664222c223532663536373437303762626533396133643666616534336264333133616635222c226364333736646537656330363966353836333233343530356261306237343531222c226565353036336266386136363730303332396161633330306339653135633239222c223332303039346561643761393464656439373439316532333730633661356238222c226136383335656635316133633732383661373466326435323131616431666236222c223664613661366461383361623631333734306233326134336332383335343833222c223632663261326561356433333036383764326365666463626430376265386466225d7d', '\x7b7d');
INSERT INTO depot.event VALUES (111, 1740679200000000, 26, 1, '', '\x7b226e616d65223a22686f75726c79227d', '\x7b22636f6d6d616e64223a226136383335656635316133633732383661373466326435323131616431666236222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a226136383335656635316133633732383661373466326435323131616431666236227d');
INSERT INTO depot.event VALUES (112, 1740679200000000, 12, 1, 'leftfold.ticket:a6835ef51a3c7286a74f2d5211ad1fb6', '\x7b227469636b6574223a226136383335656635316133633732383661373466326435323131616431666236222c226576656e7473223a317d', '\x7b22636f6d6d616e64223a226136383335656635316133633732383661373466326435323131616431666236222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a226136383335656635316133633732383661373466326435323131616431666236227d');
INSERT INTO depot.event VALUES (113, 1740679200000000, 7, 1, 'leftfold.ticket:01780ffba90968096c03dc9a83b42b47
leftfold.recurring:a6835ef51a3c7286a74f2d5211ad1fb6', '\x7b227469636b6574223a223031373830666662613930393638303936633033646339613833623432623437222c22636f6d6d616e64223a226465706f742e636f756e74222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b226e616d65223a22686f75726c79227d2c22647565223a22323032352d30322d32385430303a30303a30305a222c22736572696573223a226136383335656635316133633732383661373466326435323131616431666236222c22726563757272656e6365223a7b226669727374223a22323032352d30322d32375431383a30303a30305a222c226576657279223a225054323136303053227d7d', '\x7b22636f6d6d616e64223a226136383335656635316133633732383661373466326435323131616431666236222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a226136383335656635316133633732383661373466326435323131616431666236227d');
INSERT INTO depot.event VALUES (114, 1740700800000000, 26, 1, '', '\x7b226e616d65223a22686f75726c79227d', '\x7b22636f6d6d616e64223a223031373830666662613930393638303936633033646339613833623432623437222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a226136383335656635316133633732383661373466326435323131616431666236227d');
INSERT INTO depot.event VALUES (115, 1740700800000000, 12, 1, 'leftfold.ticket:01780ffba90968096c03dc9a83b42b47', '\x7b227469636b6574223a223031373830666662613930393638303936633033646339613833623432623437222c226576656e7473223a317d', '\x7b22636f6d6d616e64223a223031373830666662613930393638303936633033646339613833623432623437222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a226136383335656635316133633732383661373466326435323131616431666236227d');
INSERT INTO depot.event VALUES (116, 1740700800000000, 7, 1, 'leftfold.ticket:6f5539a5538a50d9663b0e9c28dcaad2
leftfold.recurring:a6835ef51a3c7286a74f2d5211ad1fb6', '\x7b227469636b6574223a223666353533396135353338613530643936363362306539633238646361616432222c22636f6d6d616e64223a226465706f742e636f756e74222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b226e616d65223a22686f75726c79227d2c22647565223a22323032352d30322d32385430363a30303a30305a222c22736572696573223a226136383335656635316133633732383661373466326435323131616431666236222c22726563757272656e6365223a7b226669727374223a22323032352d30322d32375431383a30303a30305a222c226576657279223a225054323136303053227d7d', '\x7b22636f6d6d616e64223a223031373830666662613930393638303936633033646339613833623432623437222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a226136383335656635316133633732383661373466326435323131616431666236227d');
INSERT INTO depot.event VALUES (117, 1740711600000000, 26, 1, '', '\x7b226e616d65223a226461696c79227d', '\x7b22636f6d6d616e64223a223664613661366461383361623631333734306233326134336332383335343833222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a223664613661366461383361623631333734306233326134336332383335343833227d');
INSERT INTO depot.event VALUES (118, 1740711600000000, 12, 1, 'leftfold.ticket:6da6a6da83ab613740b32a43c2835483', '\x7b227469636b6574223a223664613661366461383361623631333734306233326134336332383335343833222c226576656e7473223a317d', '\x7b22636f6d6d616e64223a223664613661366461383361623631333734306233326134336332383335343833222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a223664613661366461383361623631333734306233326134336332383335343833227d');
INSERT INTO depot.event VALUES (119, 1740711600000000, 7, 1, 'leftfold.ticket:e54c641b8f5bb3d025fe71da37459d5f
leftfold.recurring:6da6a6da83ab613740b32a43c2835483', '\x7b227469636b6574223a226535346336343162386635626233643032356665373164613337343539643566222c22636f6d6d616e64223a226465706f742e636f756e74222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b226e616d65223a226461696c79227d2c22647565223a22323032352d30332d30315430323a30303a30305a222c22736572696573223a223664613661366461383361623631333734306233326134336332383335343833222c22726563757272656e6365223a7b226669727374223a22323032352d30322d32385430323a30303a30305a222c226576657279223a7b226174223a2230333a30303a3030222c227a6f6e65223a224575726f70652f5669656e6e61227d7d7d', '\x7b22636f6d6d616e64223a223664613661366461383361623631333734306233326134336332383335343833222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a223664613661366461383361623631333734306233326134336332383335343833227d');
INSERT INTO depot.event VALUES (120, 1740718800000000, 2, 2, 'parcel:bad letters late
customer:ann', '\x7b2270617263656c223a22626164206c657474657273206c617465222c22637573746f6d6572223a22616e6e222c226772616d73223a35302c2273697a65223a22736d616c6c222c22666565223a22322e3530227d', '\x7b22636f6d6d616e64223a223135633164326466613939363461656638313264306561363766663132323239222c22636f6d6d616e645f74797065223a226465706f742e626f6f6b222c22636f7272656c6174696f6e223a223135633164326466613939363461656638313264306561363766663132323239227d');
INSERT INTO depot.event VALUES (121, 1740718800000000, 7, 1, 'leftfold.ticket:6822a6b247354f1ca7a1149075139237', '\x7b227469636b6574223a223638323261366232343733353466316361376131313439303735313339323337222c22636f6d6d616e64223a226465706f742e636f756e74222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b226e616d65223a2262616420636f756e74206c617465227d7d', '\x7b22636f6d6d616e64223a223638323261366232343733353466316361376131313439303735313339323337222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a223638323261366232343733353466316361376131313439303735313339323337227d');
INSERT INTO depot.event VALUES (122, 1740718800000000, 14, 1, 'leftfold.ticket:6822a6b247354f1ca7a1149075139237', '\x7b227469636b6574223a223638323261366232343733353466316361376131313439303735313339323337222c22617474656d7074223a312c226572726f72223a2256616c75654572726f723a2062616420636f756e74206c61746520646f6573206e6f7420676f207468726f7567682074686520636f756e74222c22647565223a22323032352d30322d32385430353a30303a34382e3839363438325a227d', '\x7b22636f6d6d616e64223a223638323261366232343733353466316361376131313439303735313339323337222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a223638323261366232343733353466316361376131313439303735313339323337227d');
INSERT INTO depot.event VALUES (123, 1740718800000000, 7, 1, 'leftfold.ticket:09e740df29e8a13d2ac92200461270a3', '\x7b227469636b6574223a223039653734306466323965386131336432616339323230303436313237306133222c22636f6d6d616e64223a226465706f742e73656e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a22626164206c657474657273206c617465227d7d', '\x7b22636f6d6d616e64223a223039653734306466323965386131336432616339323230303436313237306133222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a223135633164326466613939363461656638313264306561363766663132323239222c226361757365223a3132302c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (124, 1740718800000000, 7, 1, 'leftfold.ticket:b2f48290b11bc3f7d63c58c0f8f20cf7', '\x7b227469636b6574223a226232663438323930623131626333663764363363353863306638663230636637222c22636f6d6d616e64223a226465706f742e72656d696e64222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b2270617263656c223a22626164206c657474657273206c617465227d2c22647565223a22323032352d30332d30325430353a30303a30305a227d', '\x7b22636f6d6d616e64223a226232663438323930623131626333663764363363353863306638663230636637222c22636f6d6d616e645f74797065223a226465706f742e72656d696e64222c22636f7272656c6174696f6e223a223135633164326466613939363461656638313264306561363766663132323239222c226361757365223a3132302c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (125, 1740718800000000, 5, 1, 'leftfold.process:depot.transport/bad letters late', '\x7b22696e7374616e6365223a226465706f742e7472616e73706f72742f626164206c657474657273206c617465222c22706f736974696f6e223a3132302c227469636b657473223a5b223039653734306466323965386131336432616339323230303436313237306133222c226232663438323930623131626333663764363363353863306638663230636637225d2c226e616d6573223a7b2272656d696e646572223a226232663438323930623131626333663764363363353863306638663230636637227d2c22646f6e65223a66616c73657d', '\x7b22636f7272656c6174696f6e223a223135633164326466613939363461656638313264306561363766663132323239222c226361757365223a3132302c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (126, 1740718800000000, 9, 1, 'leftfold.reactor:letters', '\x7b2272656163746f72223a226c657474657273222c22706f736974696f6e223a3132302c22617474656d7074223a312c226572726f72223a2256616c75654572726f723a20626164206c657474657273206c61746520646f6573206e6f7420676f207468726f75676820746865206c657474657273222c22647565223a22323032352d30332d30315430323a33303a35362e3630303839335a227d', '\x7b22636f7272656c6174696f6e223a223135633164326466613939363461656638313264306561363766663132323239222c226361757365223a3132307d');
INSERT INTO depot.event VALUES (127, 1740718800000000, 10, 1, 'leftfold.reactor:letters', '\x7b2272656163746f72223a226c657474657273222c22706f736974696f6e223a3132352c22616761696e223a5b5d7d', '\x7b7d');
INSERT INTO depot.event VALUES (128, 1740718800000000, 11, 1, 'parcel:bad letters late', '\x7b2270617263656c223a22626164206c657474657273206c617465222c226174223a22323032352d30322d32385430353a30303a30305a227d', '\x7b22636f6d6d616e64223a223039653734306466323965386131336432616339323230303436313237306133222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a223135633164326466613939363461656638313264306561363766663132323239222c226361757365223a3132302c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (129, 1740718800000000, 12, 1, 'leftfold.ticket:09e740df29e8a13d2ac92200461270a3', '\x7b227469636b6574223a223039653734306466323965386131336432616339323230303436313237306133222c226576656e7473223a317d', '\x7b22636f6d6d616e64223a223039653734306466323965386131336432616339323230303436313237306133222c22636f6d6d616e645f74797065223a226465706f742e73656e64222c22636f7272656c6174696f6e223a223135633164326466613939363461656638313264306561363766663132323239222c226361757365223a3132302c226578747261223a7b2270726f63657373223a226465706f742e7472616e73706f7274227d7d');
INSERT INTO depot.event VALUES (132, 1740718800000000, 28, 1, 'leftfold.worker:process depot.farewell', '\x7b22776f726b6572223a2270726f63657373206465706f742e6661726577656c6c222c22686f6c646572223a22373238406465706f742d312030663165326433632d346235612d343937382d383739362d613562346333643265316630207069643a5b343032363533313833365d2033363435373432206261363938303839326435393433343662383464303838313465616566373331206465706f742030222c22666f726d6572223a22353932406465706f742d312030663165326433632d346235612d343937382d383739362d613562346333643265316630207069643a5b343032363533313833365d2033363435353331206566396262646163343833333463383038323662343437316239363763393633206465706f742031227d', '\x7b7d');
INSERT INTO depot.event VALUES (133, 1740718800000000, 28, 1, 'leftfold.worker:reactor letters', '\x7b22776f726b6572223a2272656163746f72206c657474657273222c22686f6c646572223a22373238406465706f742d312030663165326433632d346235612d343937382d383739362d613562346333643265316630207069643a5b343032363533313833365d2033363435373432206261363938303839326435393433343662383464303838313465616566373331206465706f742030222c22666f726d6572223a22353932406465706f742d312030663165326433632d346235612d343937382d383739362d613562346333643265316630207069643a5b343032363533313833365d2033363435353331206566396262646163343833333463383038323662343437316239363763393633206465706f742031227d', '\x7b7d');
INSERT INTO depot.event VALUES (134, 1740718800000000, 28, 1, 'leftfold.worker:reactor bells', '\x7b22776f726b6572223a2272656163746f722062656c6c73222c22686f6c646572223a22373238406465706f742d312030663165326433632d346235612d343937382d383739362d613562346333643265316630207069643a5b343032363533313833365d2033363435373432206261363938303839326435393433343662383464303838313465616566373331206465706f742030222c22666f726d6572223a22353932406465706f742d312030663165326433632d346235612d343937382d383739362d613562346333643265316630207069643a5b343032363533313833365d2033363435353331206566396262646163343833333463383038323662343437316239363763393633206465706f742031227d', '\x7b7d');
INSERT INTO depot.event VALUES (135, 1740718800000000, 2, 2, 'parcel:last
customer:ann', '\x7b2270617263656c223a226c617374222c22637573746f6d6572223a22616e6e222c226772616d73223a3130302c2273697a65223a22736d616c6c222c22666565223a22322e3530227d', '\x7b22636f6d6d616e64223a226462356235666162386634643465323739646131343934633733636632353664222c22636f6d6d616e645f74797065223a226465706f742e626f6f6b222c22636f7272656c6174696f6e223a226462356235666162386634643465323739646131343934633733636632353664227d');
INSERT INTO depot.event VALUES (136, 1740718800000000, 7, 1, 'leftfold.ticket:9d50a2335dae2173ee04117182c80e44', '\x7b227469636b6574223a223964353061323333356461653231373365653034313137313832633830653434222c22636f6d6d616e64223a226465706f742e636f756e74222c22636f6d6d616e645f76657273696f6e223a312c2264617461223a7b226e616d65223a226f70656e227d7d', '\x7b22636f6d6d616e64223a223964353061323333356461653231373365653034313137313832633830653434222c22636f6d6d616e645f74797065223a226465706f742e636f756e74222c22636f7272656c6174696f6e223a223964353061323333356461653231373365653034313137313832633830653434227d');

INSERT INTO depot.idempotency_key VALUES ('leftfold.reactor/bells', 1, 1, '\x');
INSERT INTO depot.idempotency_key VALUES ('book imported', 2, 2, '\x095a709e8bac4b1cd6696f85aeffe07d');
INSERT INTO depot.idempotency_key VALUES ('batch', 7, 12, '\xbe848a0590795f299674ae980ee94cc4');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process/depot.transport/imported/2', 13, 15, '\x');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process/depot.transport/v1/3', 16, 18, '\x');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process/depot.transport/cancelled/6', 19, 21, '\x');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process/depot.transport/p1/7', 22, 24, '\x');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process/depot.transport/p2/8', 25, 27, '\x');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process/depot.transport/bad scales letters van/9', 28, 30, '\x');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process.parked/depot.transport/worse scales letters transport/10/0', 31, 31, '\x');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process.parked/depot.transport/bad transport/11/0', 32, 32, '\x');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process/depot.transport/bad stops/12', 33, 35, '\x');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process/depot.farewell', 37, 37, '\x');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process/depot.transport/imported/44', 58, 59, '\x');
INSERT INTO depot.idempotency_key VALUES ('leftfold skip weight ["worse scales letters transport"] 10', 70, 70, '\xa5adeff6f9f4ca0a8779fb3761eb8c56');
INSERT INTO depot.idempotency_key VALUES ('deliver p1', 72, 72, '\xc15eb33117893da5bf909413ae7ec30d');
INSERT INTO depot.idempotency_key VALUES ('leftfold.submit/count once', 76, 76, '\xf5b8fc207045163dc1f35dceac0161d3');
INSERT INTO depot.idempotency_key VALUES ('leftfold.submit/hourly', 79, 79, '\xd9da02ac685b85e78eba67082790c34a22505432313630305322');
INSERT INTO depot.idempotency_key VALUES ('leftfold.submit/daily', 80, 80, '\xf454fdaeaba5c8cfa823d060eaef6bc17b226174223a2230333a30303a3030222c227a6f6e65223a224575726f70652f5669656e6e61227d');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process.parked/depot.transport/bad transport/11/1', 89, 89, '\x');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process/depot.transport/p1/72', 90, 91, '\x');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process/depot.transport/bad stops/73', 92, 93, '\x');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process/depot.transport/bad scales letters van/74', 94, 95, '\x');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process/depot.farewell/p1/72', 96, 97, '\x');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process/depot.farewell/bad stops/73', 98, 99, '\x');
INSERT INTO depot.idempotency_key VALUES ('leftfold.process/depot.transport/bad letters late/120', 123, 125, '\x');
INSERT INTO depot.idempotency_key VALUES ('book last', 135, 135, '\x116338abb7ff16d900bcb29b739059f6');
INSERT INTO depot.idempotency_key VALUES ('leftfold.submit/count open', 136, 136, '\x9ca33db0f346396cb506f0229e238619');

INSERT INTO depot.lease VALUES ('types of depot', 'depot.booked
depot.counted
depot.delivered
depot.dispatched
depot.reminded
depot.sent', 1, 1796055893882070);
INSERT INTO depot.lease VALUES ('commands of depot f83a4d97', '728@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3645742 ba6980892d594346b84d08814eaef731 depot 0', 12, 1796055896086145);
INSERT INTO depot.lease VALUES ('process depot.transport', '728@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3645742 ba6980892d594346b84d08814eaef731 depot 3', 10, 1796055896095906);
INSERT INTO depot.lease VALUES ('process depot.farewell', '728@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3645742 ba6980892d594346b84d08814eaef731 depot 1', 8, 1796055896101738);
INSERT INTO depot.lease VALUES ('reactor letters', '728@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3645742 ba6980892d594346b84d08814eaef731 depot 1', 6, 1796055896101764);
INSERT INTO depot.lease VALUES ('reactor bells', '728@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3645742 ba6980892d594346b84d08814eaef731 depot 1', 4, 1796055896101770);

INSERT INTO depot.log VALUES ('302d95114b864378a79543f602d024d1', 1796055889746013, 1);

INSERT INTO depot.snapshot VALUES ('Customer', '9709202e090a03088c3ba9a1655fbbf46bfcf286653b4e0621991dd584d7001e', '["ann"]', 'source-1:95f5f6e5dd705ebf:8cd9a6dda35ba5e5cde4f1643b48be9a', 12, '{"customer":"ann","parcels":["imported","v1","cancelled","p1","p2"],"fees":"12.50"}', '62b7b5a6de697c853968d4df5c875c85f43e577a5e93b9628793ab0e8427ee96');
INSERT INTO depot.snapshot VALUES ('Customer', 'f66a356712d109b9fbcae888a8abdc05fe334192de851838ea966e3bca0dadb1', '["bob"]', 'source-1:95f5f6e5dd705ebf:8cd9a6dda35ba5e5cde4f1643b48be9a', 12, '{"customer":"bob","parcels":["bad scales letters van","worse scales letters transport","bad transport","bad stops"],"fees":"10.00"}', '62b7b5a6de697c853968d4df5c875c85f43e577a5e93b9628793ab0e8427ee96');

INSERT INTO depot.tag VALUES ('leftfold.reactor:bells', 1, 1);
INSERT INTO depot.tag VALUES ('customer:ann', 2, 2);
INSERT INTO depot.tag VALUES ('parcel:imported', 2, 2);
INSERT INTO depot.tag VALUES ('customer:ann', 3, 2);
INSERT INTO depot.tag VALUES ('parcel:v1', 3, 2);
INSERT INTO depot.tag VALUES ('parcel:v1', 4, 3);
INSERT INTO depot.tag VALUES ('zoll:Köln', 5, 4);
INSERT INTO depot.tag VALUES ('parcel:cancelled', 6, 2);
INSERT INTO depot.tag VALUES ('customer:ann', 6, 2);
INSERT INTO depot.tag VALUES ('customer:ann', 7, 2);
INSERT INTO depot.tag VALUES ('customer:ann', 8, 2);
INSERT INTO depot.tag VALUES ('customer:bob', 10, 2);
INSERT INTO depot.tag VALUES ('customer:bob', 12, 2);
INSERT INTO depot.tag VALUES ('customer:bob', 11, 2);
INSERT INTO depot.tag VALUES ('customer:bob', 9, 2);
INSERT INTO depot.tag VALUES ('parcel:bad scales letters van', 9, 2);
INSERT INTO depot.tag VALUES ('parcel:bad stops', 12, 2);
INSERT INTO depot.tag VALUES ('parcel:bad transport', 11, 2);
INSERT INTO depot.tag VALUES ('parcel:p1', 7, 2);
INSERT INTO depot.tag VALUES ('parcel:p2', 8, 2);
INSERT INTO depot.tag VALUES ('parcel:worse scales letters transport', 10, 2);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/bad scales letters van', 30, 5);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/bad stops', 35, 5);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/bad transport', 32, 6);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/cancelled', 21, 5);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/imported', 15, 5);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/p1', 24, 5);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/p2', 27, 5);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/v1', 18, 5);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/worse scales letters transport', 31, 6);
INSERT INTO depot.tag VALUES ('leftfold.ticket:293733ab9e39481d95f3f9100b55a691', 14, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:2bc5753c57f500792202ac75c56e62d3', 19, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:52f5674707bbe39a3d6fae43bd313af5', 26, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:89017353ab7fe3720ba30e7ed11a0871', 33, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:8a85745dbcdbc0ffb1eb1bd8c6f96518', 25, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:bff80025d4edd00f356f7ac7c1dba31d', 13, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:c2f7e3003b7416c33f40f2b9361b150b', 20, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:cd376de7ec069f5863234505ba0b7451', 29, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:d3f126323eae3ccd3c3a4716efba066d', 17, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:d798f08ac2bb43330939974833aec6fb', 34, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:d8f612f4d9a343c82acec375d87646fb', 23, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46', 28, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:ec11dc66994a8b38f771727864d68dd7', 22, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:f354772e71cb42baf7d2c99c514dc4bb', 16, 7);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport', 36, 8);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.farewell', 37, 8);
INSERT INTO depot.tag VALUES ('leftfold.reactor:letters', 38, 1);
INSERT INTO depot.tag VALUES ('leftfold.reactor:letters', 39, 9);
INSERT INTO depot.tag VALUES ('leftfold.reactor:letters', 40, 9);
INSERT INTO depot.tag VALUES ('leftfold.reactor:letters', 41, 10);
INSERT INTO depot.tag VALUES ('parcel:imported', 42, 11);
INSERT INTO depot.tag VALUES ('leftfold.ticket:bff80025d4edd00f356f7ac7c1dba31d', 43, 12);
INSERT INTO depot.tag VALUES ('leftfold.ticket:293733ab9e39481d95f3f9100b55a691', 45, 12);
INSERT INTO depot.tag VALUES ('leftfold.ticket:2bc5753c57f500792202ac75c56e62d3', 49, 12);
INSERT INTO depot.tag VALUES ('leftfold.ticket:89017353ab7fe3720ba30e7ed11a0871', 56, 12);
INSERT INTO depot.tag VALUES ('leftfold.ticket:8a85745dbcdbc0ffb1eb1bd8c6f96518', 53, 12);
INSERT INTO depot.tag VALUES ('leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46', 54, 14);
INSERT INTO depot.tag VALUES ('leftfold.ticket:ec11dc66994a8b38f771727864d68dd7', 51, 12);
INSERT INTO depot.tag VALUES ('leftfold.ticket:f354772e71cb42baf7d2c99c514dc4bb', 47, 12);
INSERT INTO depot.tag VALUES ('parcel:bad stops', 55, 11);
INSERT INTO depot.tag VALUES ('parcel:cancelled', 48, 11);
INSERT INTO depot.tag VALUES ('parcel:imported', 44, 13);
INSERT INTO depot.tag VALUES ('parcel:p1', 50, 11);
INSERT INTO depot.tag VALUES ('parcel:p2', 52, 11);
INSERT INTO depot.tag VALUES ('parcel:v1', 46, 11);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/imported', 59, 5);
INSERT INTO depot.tag VALUES ('leftfold.ticket:ee5063bf8a66700329aac300c9e15c29', 58, 7);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport', 60, 8);
INSERT INTO depot.tag VALUES ('leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46', 61, 16);
INSERT INTO depot.tag VALUES ('leftfold.reactor:letters', 62, 17);
INSERT INTO depot.tag VALUES ('leftfold.reactor:letters', 63, 17);
INSERT INTO depot.tag VALUES ('leftfold.reactor:letters', 64, 10);
INSERT INTO depot.tag VALUES ('leftfold.reactor:letters', 65, 18);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/bad transport', 66, 19);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/worse scales letters transport', 67, 20);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/cancelled', 68, 21);
INSERT INTO depot.tag VALUES ('leftfold.ticket:c2f7e3003b7416c33f40f2b9361b150b', 69, 22);
INSERT INTO depot.tag VALUES ('leftfold.read_model:weight', 70, 23);
INSERT INTO depot.tag VALUES ('leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46', 71, 24);
INSERT INTO depot.tag VALUES ('parcel:p1', 72, 25);
INSERT INTO depot.tag VALUES ('parcel:bad stops', 73, 25);
INSERT INTO depot.tag VALUES ('parcel:bad scales letters van', 74, 13);
INSERT INTO depot.tag VALUES ('leftfold.ticket:998092253def4a38a12b2b8f30b17d0b', 75, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:c56f5e0286c85cd7c572f343f234d398', 76, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:5387f61376c448ae87321cc007b37e14', 77, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:320094ead7a94ded97491e2370c6a5b8', 78, 7);
INSERT INTO depot.tag VALUES ('leftfold.recurring:a6835ef51a3c7286a74f2d5211ad1fb6', 79, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:a6835ef51a3c7286a74f2d5211ad1fb6', 79, 7);
INSERT INTO depot.tag VALUES ('leftfold.recurring:6da6a6da83ab613740b32a43c2835483', 80, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:6da6a6da83ab613740b32a43c2835483', 80, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:4b4d8474a3ea484dbbd0334684e55160', 81, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:4b4d8474a3ea484dbbd0334684e55160', 82, 22);
INSERT INTO depot.tag VALUES ('leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46', 83, 14);
INSERT INTO depot.tag VALUES ('leftfold.ticket:5387f61376c448ae87321cc007b37e14', 87, 14);
INSERT INTO depot.tag VALUES ('leftfold.ticket:998092253def4a38a12b2b8f30b17d0b', 84, 27);
INSERT INTO depot.tag VALUES ('leftfold.ticket:c56f5e0286c85cd7c572f343f234d398', 86, 12);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/bad transport', 89, 6);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/bad scales letters van', 95, 5);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/bad stops', 93, 5);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/p1', 91, 5);
INSERT INTO depot.tag VALUES ('leftfold.ticket:62f2a2ea5d330687d2cefdcbd07be8df', 94, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:d798f08ac2bb43330939974833aec6fb', 92, 22);
INSERT INTO depot.tag VALUES ('leftfold.ticket:d8f612f4d9a343c82acec375d87646fb', 90, 22);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.farewell/bad stops', 99, 5);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.farewell/p1', 97, 5);
INSERT INTO depot.tag VALUES ('leftfold.ticket:58840311ecafaadeded0d5f3e0876e9a', 98, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:d7c7eb188f2ece1c5e63d237bab59aff', 96, 7);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.farewell', 100, 8);
INSERT INTO depot.tag VALUES ('leftfold.reactor:bells', 101, 10);
INSERT INTO depot.tag VALUES ('leftfold.ticket:d7c7eb188f2ece1c5e63d237bab59aff', 103, 12);
INSERT INTO depot.tag VALUES ('leftfold.ticket:58840311ecafaadeded0d5f3e0876e9a', 105, 12);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport', 106, 8);
INSERT INTO depot.tag VALUES ('leftfold.reactor:bells', 107, 10);
INSERT INTO depot.tag VALUES ('leftfold.ticket:eb3ccaee209a309672bf49f4b6d42a46', 108, 16);
INSERT INTO depot.tag VALUES ('leftfold.ticket:5387f61376c448ae87321cc007b37e14', 109, 16);
INSERT INTO depot.tag VALUES ('leftfold.ticket:a6835ef51a3c7286a74f2d5211ad1fb6', 112, 12);
INSERT INTO depot.tag VALUES ('leftfold.ticket:01780ffba90968096c03dc9a83b42b47', 113, 7);
INSERT INTO depot.tag VALUES ('leftfold.recurring:a6835ef51a3c7286a74f2d5211ad1fb6', 113, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:01780ffba90968096c03dc9a83b42b47', 115, 12);
INSERT INTO depot.tag VALUES ('leftfold.ticket:6f5539a5538a50d9663b0e9c28dcaad2', 116, 7);
INSERT INTO depot.tag VALUES ('leftfold.recurring:a6835ef51a3c7286a74f2d5211ad1fb6', 116, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:6da6a6da83ab613740b32a43c2835483', 118, 12);
INSERT INTO depot.tag VALUES ('leftfold.ticket:e54c641b8f5bb3d025fe71da37459d5f', 119, 7);
INSERT INTO depot.tag VALUES ('leftfold.recurring:6da6a6da83ab613740b32a43c2835483', 119, 7);
INSERT INTO depot.tag VALUES ('parcel:bad letters late', 120, 2);
INSERT INTO depot.tag VALUES ('customer:ann', 120, 2);
INSERT INTO depot.tag VALUES ('leftfold.ticket:6822a6b247354f1ca7a1149075139237', 121, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:6822a6b247354f1ca7a1149075139237', 122, 14);
INSERT INTO depot.tag VALUES ('leftfold.process:depot.transport/bad letters late', 125, 5);
INSERT INTO depot.tag VALUES ('leftfold.ticket:09e740df29e8a13d2ac92200461270a3', 123, 7);
INSERT INTO depot.tag VALUES ('leftfold.ticket:b2f48290b11bc3f7d63c58c0f8f20cf7', 124, 7);
INSERT INTO depot.tag VALUES ('leftfold.reactor:letters', 126, 9);
INSERT INTO depot.tag VALUES ('leftfold.reactor:letters', 127, 10);
INSERT INTO depot.tag VALUES ('parcel:bad letters late', 128, 11);
INSERT INTO depot.tag VALUES ('leftfold.ticket:09e740df29e8a13d2ac92200461270a3', 129, 12);
INSERT INTO depot.tag VALUES ('leftfold.worker:commands of depot f83a4d97', 130, 28);
INSERT INTO depot.tag VALUES ('leftfold.worker:process depot.transport', 131, 28);
INSERT INTO depot.tag VALUES ('leftfold.worker:process depot.farewell', 132, 28);
INSERT INTO depot.tag VALUES ('leftfold.worker:reactor letters', 133, 28);
INSERT INTO depot.tag VALUES ('leftfold.worker:reactor bells', 134, 28);
INSERT INTO depot.tag VALUES ('customer:ann', 135, 2);
INSERT INTO depot.tag VALUES ('parcel:last', 135, 2);
INSERT INTO depot.tag VALUES ('leftfold.ticket:9d50a2335dae2173ee04117182c80e44', 136, 7);

INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (1, 'leftfold.reactor.checkpoint');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (2, 'depot.booked');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (3, 'depot.dispatched');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (4, 'customs.stamped');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (5, 'leftfold.process.reacted');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (6, 'leftfold.process.parked');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (7, 'leftfold.command.submitted');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (8, 'leftfold.process.checkpoint');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (9, 'leftfold.reactor.postponed');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (10, 'leftfold.reactor.reacted');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (11, 'depot.sent');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (12, 'leftfold.command.handled');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (13, 'depot.reminded');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (14, 'leftfold.command.postponed');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (15, 'leftfold.command.checkpoint');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (16, 'leftfold.command.failed');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (17, 'leftfold.reactor.parked');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (18, 'leftfold.reactor.skipped');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (19, 'leftfold.process.retried');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (20, 'leftfold.process.skipped');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (21, 'leftfold.process.cancelled');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (22, 'leftfold.command.cancelled');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (23, 'leftfold.event_skipped');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (24, 'leftfold.command.retried');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (25, 'depot.delivered');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (26, 'depot.counted');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (27, 'leftfold.command.rejected');
INSERT INTO depot.type OVERRIDING SYSTEM VALUE VALUES (28, 'leftfold.worker.replaced');

INSERT INTO depot_models.account VALUES ('bob', 4, 10200);
INSERT INTO depot_models.account VALUES ('ann', 6, 6550);

INSERT INTO depot_models.leftfold_checkpoint VALUES ('stops', 72, '4cc1b4a428a54b9ba7beec3ac607bd0e', 'source-1:a315fcc8e9106dc0:99245817affa3c841b61c358ee07009d', '302d95114b864378a79543f602d024d1', 'stops', 1, '72:55947e3659122bd3db3774b4cdef8e4e6ef355591664582592a379a12c0a0f5b');
INSERT INTO depot_models.leftfold_checkpoint VALUES ('shelf', 132, 'b36a0ef23b4445d4a624f156b2e04dcc', 'source-1:efeadd876026a4cd:5cedfb10356111225bbc9b617eacd934/2', '302d95114b864378a79543f602d024d1', 'shelf shelf_history', 1, '132:0f21b111ba1110724a71b0088f67a778f41152cdec4e662a08e9bffb9fdba7bf');
INSERT INTO depot_models.leftfold_checkpoint VALUES ('weight', 132, '34d068867fcd44bc8efe0f6ab15d185b', 'source-1:7f5bbe2c3cea79ee:16f56caa9f06faa95e9a0f2ff28eca30/2', '302d95114b864378a79543f602d024d1', 'weight', 1, '132:0f21b111ba1110724a71b0088f67a778f41152cdec4e662a08e9bffb9fdba7bf');
INSERT INTO depot_models.leftfold_checkpoint VALUES ('account#1/2', 132, '4c408cfb23644773bfd195af021d8e0a', 'source-1:5f403037d49e637b:f441a1a9231ad1ae91963b6a4bc3014f', '302d95114b864378a79543f602d024d1', 'account', 1, '132:0f21b111ba1110724a71b0088f67a778f41152cdec4e662a08e9bffb9fdba7bf');
INSERT INTO depot_models.leftfold_checkpoint VALUES ('account#2/2', 132, '75b7cafcece243f280ce8a31c50c3a99', 'source-1:5f403037d49e637b:f441a1a9231ad1ae91963b6a4bc3014f', '302d95114b864378a79543f602d024d1', 'account', 1, '132:0f21b111ba1110724a71b0088f67a778f41152cdec4e662a08e9bffb9fdba7bf');
INSERT INTO depot_models.leftfold_checkpoint VALUES ('lines', 133, 'a8466682138b4f13b9f47f49e6ad13ba', 'source-1:1d28f8c590ce906a:66805e057d49b2b94ce0115011c49666', '302d95114b864378a79543f602d024d1', 'lines', 1, '133:4d51d0e98eab4e859bf62394a976ce9d1a980dd2a9b9109511d2cf6a94756b6b');

INSERT INTO depot_models.leftfold_lease VALUES ('present: projection account v1 shard 1/2: 728@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3645742 ba6980892d594346b84d08814eaef731 depot 0', '728@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3645742 ba6980892d594346b84d08814eaef731 depot 0', 1, 1796055895527417);
INSERT INTO depot_models.leftfold_lease VALUES ('projection shelf v1', '728@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3645742 ba6980892d594346b84d08814eaef731 depot 0', 2, 1796055895634852);
INSERT INTO depot_models.leftfold_lease VALUES ('projection weight v1', '728@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3645742 ba6980892d594346b84d08814eaef731 depot 0', 2, 1796055895648274);
INSERT INTO depot_models.leftfold_lease VALUES ('projection lines v1', '728@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3645742 ba6980892d594346b84d08814eaef731 depot 0', 2, 1796055895652624);
INSERT INTO depot_models.leftfold_lease VALUES ('projection stops v1', '728@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3645742 ba6980892d594346b84d08814eaef731 depot 0', 2, 1796055895658995);
INSERT INTO depot_models.leftfold_lease VALUES ('projection account v1 shard 1/2', '728@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3645742 ba6980892d594346b84d08814eaef731 depot 0', 2, 1796055895674314);
INSERT INTO depot_models.leftfold_lease VALUES ('projection account v1 shard 2/2', '728@depot-1 0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0 pid:[4026531836] 3645742 ba6980892d594346b84d08814eaef731 depot 0', 2, 1796055895689622);

INSERT INTO depot_models.leftfold_parked VALUES ('weight', '["bad scales letters van"]', 9, 'ValueError: bad scales letters van does not go through the scales', 'Traceback (most recent call last):
  File "/srv/depot/src/leftfold/query/batch_fold.py", line 109, in fold
    state = self._next(key, row.state, concern)
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/depot/src/leftfold/query/batch_fold.py", line 135, in _next
    after = self._evolve(self._start(key) if state is None else state, event)
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/depot/tests/formats/depot.py", line 167, in evolve
    check(event.parcel, "scales")
  File "/srv/depot/tests/formats/depot.py", line 55, in check
    raise ValueError(f"{parcel} does not go through the {where}")
ValueError: bad scales letters van does not go through the scales');
INSERT INTO depot_models.leftfold_parked VALUES ('stops', '[]', 73, 'ValueError: bad stops does not go through the stops', 'Traceback (most recent call last):
  File "/srv/depot/src/leftfold/query/tables/free_folding.py", line 73, in _step
    self._write(batch)
  File "/srv/depot/src/leftfold/query/tables/free_folding.py", line 135, in _write
    self._handling.handle(connection, batch.events)
  File "/srv/depot/src/leftfold/query/tables/handling.py", line 77, in handle
    self._handler.function(event, connection, *more)
  File "/srv/depot/tests/formats/depot.py", line 279, in write_stop
    check(event.parcel, "stops")
  File "/srv/depot/tests/formats/depot.py", line 55, in check
    raise ValueError(f"{parcel} does not go through the {where}")
ValueError: bad stops does not go through the stops

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/depot/src/leftfold/query/tables/handling.py", line 94, in handle_one_by_one
    self.handle(connection, [event])
  File "/srv/depot/src/leftfold/query/tables/handling.py", line 77, in handle
    self._handler.function(event, connection, *more)
  File "/srv/depot/tests/formats/depot.py", line 279, in write_stop
    check(event.parcel, "stops")
  File "/srv/depot/tests/formats/depot.py", line 55, in check
    raise ValueError(f"{parcel} does not go through the {where}")
ValueError: bad stops does not go through the stops');

INSERT INTO depot_models.leftfold_parked_event VALUES ('weight', '["bad scales letters van"]', 9);
INSERT INTO depot_models.leftfold_parked_event VALUES ('stops', '[]', 73);
INSERT INTO depot_models.leftfold_parked_event VALUES ('weight', '["bad scales letters van"]', 74);

INSERT INTO depot_models.lines VALUES (2, 'imported', NULL);
INSERT INTO depot_models.lines VALUES (3, 'v1', 'former');
INSERT INTO depot_models.lines VALUES (4, 'v1', NULL);
INSERT INTO depot_models.lines VALUES (6, 'cancelled', 'eve');
INSERT INTO depot_models.lines VALUES (7, 'p1', 'eve');
INSERT INTO depot_models.lines VALUES (8, 'p2', 'eve');
INSERT INTO depot_models.lines VALUES (9, 'bad scales letters van', 'eve');
INSERT INTO depot_models.lines VALUES (10, 'worse scales letters transport', 'eve');
INSERT INTO depot_models.lines VALUES (11, 'bad transport', 'eve');
INSERT INTO depot_models.lines VALUES (12, 'bad stops', 'eve');
INSERT INTO depot_models.lines VALUES (42, 'imported', NULL);
INSERT INTO depot_models.lines VALUES (46, 'v1', NULL);
INSERT INTO depot_models.lines VALUES (48, 'cancelled', NULL);
INSERT INTO depot_models.lines VALUES (50, 'p1', NULL);
INSERT INTO depot_models.lines VALUES (52, 'p2', NULL);
INSERT INTO depot_models.lines VALUES (55, 'bad stops', NULL);
INSERT INTO depot_models.lines VALUES (120, 'bad letters late', NULL);
INSERT INTO depot_models.lines VALUES (128, 'bad letters late', NULL);

INSERT INTO depot_models.shelf VALUES ('bad scales letters van', 'bob', 'large', 2.50, NULL, false);
INSERT INTO depot_models.shelf VALUES ('worse scales letters transport', 'bob', 'large', 2.50, NULL, false);
INSERT INTO depot_models.shelf VALUES ('bad transport', 'bob', 'large', 2.50, NULL, false);
INSERT INTO depot_models.shelf VALUES ('imported', 'ann', 'small', 2.50, '2025-02-26 12:00:00+00', false);
INSERT INTO depot_models.shelf VALUES ('v1', 'ann', 'small', 2.50, '2025-02-26 12:00:00+00', false);
INSERT INTO depot_models.shelf VALUES ('cancelled', 'ann', 'small', 2.50, '2025-02-26 12:00:00+00', false);
INSERT INTO depot_models.shelf VALUES ('p2', 'ann', 'large', 2.50, '2025-02-26 12:00:00+00', false);
INSERT INTO depot_models.shelf VALUES ('p1', 'ann', 'small', 2.50, '2025-02-26 12:00:00+00', true);
INSERT INTO depot_models.shelf VALUES ('bad stops', 'bob', 'large', 2.50, '2025-02-26 12:00:00+00', true);
INSERT INTO depot_models.shelf VALUES ('bad letters late', 'ann', 'small', 2.50, '2025-02-28 05:00:00+00', false);

INSERT INTO depot_models.shelf_history VALUES ('v1', 'ann', 'small', 2.50, NULL, false, 3, 4);
INSERT INTO depot_models.shelf_history VALUES ('bad scales letters van', 'bob', 'large', 2.50, NULL, false, 9, NULL);
INSERT INTO depot_models.shelf_history VALUES ('worse scales letters transport', 'bob', 'large', 2.50, NULL, false, 10, NULL);
INSERT INTO depot_models.shelf_history VALUES ('bad transport', 'bob', 'large', 2.50, NULL, false, 11, NULL);
INSERT INTO depot_models.shelf_history VALUES ('imported', 'ann', 'small', 2.50, NULL, false, 2, 42);
INSERT INTO depot_models.shelf_history VALUES ('v1', 'ann', 'small', 2.50, '2025-02-26 12:00:00+00', false, 4, 46);
INSERT INTO depot_models.shelf_history VALUES ('cancelled', 'ann', 'small', 2.50, NULL, false, 6, 48);
INSERT INTO depot_models.shelf_history VALUES ('p1', 'ann', 'small', 2.50, NULL, false, 7, 50);
INSERT INTO depot_models.shelf_history VALUES ('p2', 'ann', 'large', 2.50, NULL, false, 8, 52);
INSERT INTO depot_models.shelf_history VALUES ('bad stops', 'bob', 'large', 2.50, NULL, false, 12, 55);
INSERT INTO depot_models.shelf_history VALUES ('imported', 'ann', 'small', 2.50, '2025-02-26 12:00:00+00', false, 42, NULL);
INSERT INTO depot_models.shelf_history VALUES ('v1', 'ann', 'small', 2.50, '2025-02-26 12:00:00+00', false, 46, NULL);
INSERT INTO depot_models.shelf_history VALUES ('cancelled', 'ann', 'small', 2.50, '2025-02-26 12:00:00+00', false, 48, NULL);
INSERT INTO depot_models.shelf_history VALUES ('p2', 'ann', 'large', 2.50, '2025-02-26 12:00:00+00', false, 52, NULL);
INSERT INTO depot_models.shelf_history VALUES ('p1', 'ann', 'small', 2.50, '2025-02-26 12:00:00+00', false, 50, 72);
INSERT INTO depot_models.shelf_history VALUES ('p1', 'ann', 'small', 2.50, '2025-02-26 12:00:00+00', true, 72, NULL);
INSERT INTO depot_models.shelf_history VALUES ('bad stops', 'bob', 'large', 2.50, '2025-02-26 12:00:00+00', false, 55, 73);
INSERT INTO depot_models.shelf_history VALUES ('bad stops', 'bob', 'large', 2.50, '2025-02-26 12:00:00+00', true, 73, NULL);
INSERT INTO depot_models.shelf_history VALUES ('bad letters late', 'ann', 'small', 2.50, NULL, false, 120, 128);
INSERT INTO depot_models.shelf_history VALUES ('bad letters late', 'ann', 'small', 2.50, '2025-02-28 05:00:00+00', false, 128, NULL);

INSERT INTO depot_models.stops VALUES ('p1');

INSERT INTO depot_models.weight VALUES ('v1', 3000, '[]');
INSERT INTO depot_models.weight VALUES ('cancelled', 500, '[]');
INSERT INTO depot_models.weight VALUES ('p1', 700, '[]');
INSERT INTO depot_models.weight VALUES ('p2', 1400, '[]');
INSERT INTO depot_models.weight VALUES ('bad transport', 3000, '[]');
INSERT INTO depot_models.weight VALUES ('bad stops', 3000, '[]');
INSERT INTO depot_models.weight VALUES ('imported', 900, '[0]');
INSERT INTO depot_models.weight VALUES ('bad letters late', 50, '[]');

SELECT pg_catalog.setval('depot.type_id_seq', 28, true);

ALTER TABLE ONLY depot.event
    ADD CONSTRAINT event_pkey PRIMARY KEY ("position");

ALTER TABLE ONLY depot.idempotency_key
    ADD CONSTRAINT idempotency_key_pkey PRIMARY KEY (key);

ALTER TABLE ONLY depot.lease
    ADD CONSTRAINT lease_pkey PRIMARY KEY (name);

ALTER TABLE ONLY depot.snapshot
    ADD CONSTRAINT snapshot_pkey PRIMARY KEY (model, key_digest);

ALTER TABLE ONLY depot.tag
    ADD CONSTRAINT tag_pkey PRIMARY KEY (tag, "position") INCLUDE (type);

ALTER TABLE ONLY depot.type
    ADD CONSTRAINT type_name_key UNIQUE (name);

ALTER TABLE ONLY depot.type
    ADD CONSTRAINT type_pkey PRIMARY KEY (id);

ALTER TABLE ONLY depot_models.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (customer);

ALTER TABLE ONLY depot_models.leftfold_checkpoint
    ADD CONSTRAINT leftfold_checkpoint_pkey PRIMARY KEY (model);

ALTER TABLE ONLY depot_models.leftfold_lease
    ADD CONSTRAINT leftfold_lease_pkey PRIMARY KEY (name);

ALTER TABLE ONLY depot_models.leftfold_parked_event
    ADD CONSTRAINT leftfold_parked_event_pkey PRIMARY KEY (model, key, "position");

ALTER TABLE ONLY depot_models.leftfold_parked
    ADD CONSTRAINT leftfold_parked_pkey PRIMARY KEY (model, key);

ALTER TABLE ONLY depot_models.lines
    ADD CONSTRAINT lines_pkey PRIMARY KEY ("position");

ALTER TABLE ONLY depot_models.shelf_history
    ADD CONSTRAINT shelf_history_pkey PRIMARY KEY (parcel, valid_from);

ALTER TABLE ONLY depot_models.shelf
    ADD CONSTRAINT shelf_pkey PRIMARY KEY (parcel);

ALTER TABLE ONLY depot_models.stops
    ADD CONSTRAINT stops_pkey PRIMARY KEY (parcel);

ALTER TABLE ONLY depot_models.weight
    ADD CONSTRAINT weight_pkey PRIMARY KEY (parcel);

CREATE INDEX event_type ON depot.event USING btree (type, "position");

CREATE INDEX snapshot_position ON depot.snapshot USING btree ("position");

CREATE INDEX shelf_history_until ON depot_models.shelf_history USING btree (valid_until, valid_from);

CREATE TRIGGER event_is_never_changed BEFORE DELETE OR UPDATE OR TRUNCATE ON depot.event FOR EACH STATEMENT EXECUTE FUNCTION depot.refuse();

CREATE TRIGGER tag_is_never_changed BEFORE DELETE OR UPDATE OR TRUNCATE ON depot.tag FOR EACH STATEMENT EXECUTE FUNCTION depot.refuse();

