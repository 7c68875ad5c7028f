-- Returns whether the role of the caller may set the time of events; otherwise the server sets it. A role may do so if it
-- has EXECUTE on this very function. Functions that run as their owner can still see the role that called them.
CREATE OR REPLACE FUNCTION "leftfold_log".may_date_events() RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, "leftfold_log", pg_temp AS $$
    SELECT has_function_privilege(
        CASE WHEN current_setting('role') = 'none' THEN session_user ELSE current_setting('role')::name END,
        'may_date_events()',
        'EXECUTE'
    )
$$;
