-- Format 4: triggers refuse what would replace an event, a type, a key or the log's identity.

-- Nothing that has been written is changed. REPLACE deletes the row that is in its way, by default without any trigger, so
-- that triggers before INSERT refuse it.

CREATE TRIGGER event_is_never_replaced BEFORE INSERT ON event
WHEN EXISTS (SELECT 1 FROM event WHERE position = new.position)
BEGIN
    SELECT raise(ABORT, 'events are never replaced');
END;

CREATE TRIGGER type_is_never_updated BEFORE UPDATE ON type
BEGIN
    SELECT raise(ABORT, 'types are never updated');
END;

CREATE TRIGGER type_is_never_deleted BEFORE DELETE ON type
BEGIN
    SELECT raise(ABORT, 'types are never deleted');
END;

CREATE TRIGGER type_is_never_replaced BEFORE INSERT ON type
WHEN EXISTS (SELECT 1 FROM type WHERE id = new.id OR name = new.name)
BEGIN
    SELECT raise(ABORT, 'types are never replaced');
END;

CREATE TRIGGER idempotency_key_is_never_updated BEFORE UPDATE ON idempotency_key
BEGIN
    SELECT raise(ABORT, 'idempotency keys are never updated');
END;

CREATE TRIGGER idempotency_key_is_never_deleted BEFORE DELETE ON idempotency_key
BEGIN
    SELECT raise(ABORT, 'idempotency keys are never deleted');
END;

CREATE TRIGGER idempotency_key_is_never_replaced BEFORE INSERT ON idempotency_key
WHEN EXISTS (SELECT 1 FROM idempotency_key WHERE key = new.key)
BEGIN
    SELECT raise(ABORT, 'idempotency keys are never replaced');
END;

CREATE TRIGGER log_is_never_updated BEFORE UPDATE ON log
BEGIN
    SELECT raise(ABORT, 'the identity of a log is never updated');
END;

CREATE TRIGGER log_is_never_deleted BEFORE DELETE ON log
BEGIN
    SELECT raise(ABORT, 'the identity of a log is never deleted');
END;

CREATE TRIGGER log_has_one_identity BEFORE INSERT ON log
WHEN EXISTS (SELECT 1 FROM log)
BEGIN
    SELECT raise(ABORT, 'a log has one identity');
END;
