-- A ledger as schema version 0 made it: without jobs and reminders; one invitation, sent.
CREATE TABLE forgotten (
    hash TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (hash)
);

CREATE TABLE meetings (
    id TEXT NOT NULL,
    scope TEXT NOT NULL,
    uid TEXT NOT NULL,
    last_end BIGINT NOT NULL,
    missing_times INTEGER DEFAULT 0 NOT NULL,
    missing_at BIGINT,
    missing_due BIGINT,
    PRIMARY KEY (id)
);

CREATE TABLE meta (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE runs (
    id TEXT NOT NULL,
    scope TEXT NOT NULL,
    command TEXT NOT NULL,
    delivery TEXT NOT NULL,
    source TEXT NOT NULL,
    roster_digest TEXT NOT NULL,
    tz_version TEXT NOT NULL,
    due BIGINT,
    started BIGINT NOT NULL,
    finished BIGINT,
    milliseconds BIGINT,
    exit_code INTEGER,
    counts TEXT,
    PRIMARY KEY (id)
);

CREATE TABLE shared_facts (
    digest TEXT NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (digest)
);

CREATE TABLE invitations (
    meeting_id TEXT NOT NULL,
    address TEXT NOT NULL,
    standing_kind TEXT,
    standing_sequence INTEGER DEFAULT 0 NOT NULL,
    standing_dtstamp BIGINT DEFAULT 0 NOT NULL,
    standing_state TEXT,
    standing_digest TEXT,
    standing_facts TEXT,
    standing_attendee TEXT,
    standing_changes TEXT,
    standing_start BIGINT DEFAULT 0 NOT NULL,
    standing_end BIGINT DEFAULT 0 NOT NULL,
    pending_kind TEXT,
    pending_sequence INTEGER DEFAULT 0 NOT NULL,
    pending_dtstamp BIGINT DEFAULT 0 NOT NULL,
    pending_state TEXT,
    pending_digest TEXT,
    pending_facts TEXT,
    pending_attendee TEXT,
    pending_changes TEXT,
    pending_start BIGINT DEFAULT 0 NOT NULL,
    pending_end BIGINT DEFAULT 0 NOT NULL,
    pending_message_id TEXT,
    attempts INTEGER DEFAULT 0 NOT NULL,
    next_attempt BIGINT DEFAULT 0 NOT NULL,
    latest_dtstamp BIGINT DEFAULT 0 NOT NULL,
    first_message_id TEXT,
    missing_times INTEGER DEFAULT 0 NOT NULL,
    missing_at BIGINT,
    missing_due BIGINT,
    sent_at BIGINT,
    PRIMARY KEY (meeting_id, address),
    FOREIGN KEY(meeting_id) REFERENCES meetings (id)
);

CREATE TABLE messages (
    run_id TEXT NOT NULL,
    meeting_id TEXT NOT NULL,
    address TEXT NOT NULL,
    kind TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    dtstamp BIGINT NOT NULL,
    message_id TEXT,
    state TEXT NOT NULL,
    answer TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (run_id, meeting_id, address, kind),
    FOREIGN KEY(run_id) REFERENCES runs (id)
);

INSERT INTO meta (name, value) VALUES ('schema_version', '0');
INSERT INTO meta (name, value) VALUES ('forget_key', 'abababababababababababababababababababababababababababababababab');
INSERT INTO meetings (id, scope, uid, last_end, missing_times) VALUES ('m', 'default', 'a-uid', 1925867700, 0);
INSERT INTO shared_facts (digest, facts) VALUES ('b0930a77541f8355e92f69bd809f24c7', '{"id"\: "m", "title"\: "Meeting m", "start"\: 1925864100, "end"\: 1925867700, "timezone"\: "Europe/Berlin", "wall_start"\: "2031-01-11T03\:15\:00", "description"\: "", "organizer_name"\: "", "organizer_email"\: "", "status"\: "confirmed", "room"\: ["room-m", "room-m"], "validity"\: [1925863140, 1925869500], "server_url"\: "https\://meet.example.com", "server_print"\: "21b5ec3f4f7e07d89d0539519e3c9f5f", "key"\: "00112233aabbccdd", "alarm"\: "10m", "digest"\: "92c2f7001a78f2e07d98932d511defce"}');
INSERT INTO invitations (meeting_id, address, standing_kind, standing_sequence, standing_dtstamp,
    standing_state, standing_digest, standing_facts, standing_attendee, standing_start, standing_end,
    pending_sequence, pending_dtstamp, pending_start, pending_end, attempts, next_attempt,
    latest_dtstamp, missing_times)
VALUES ('m', 'ada@example.org', 'update', 3, 1925000000, 'sent', '52fdc929de202f94622b3ced73832bf8',
    'b0930a77541f8355e92f69bd809f24c7', '{"name"\: "Ada", "email"\: "ada@example.org", "mailbox"\: "ada@example.org", "address"\: "ada@example.org"}', 1925864100, 1925867700, 0, 0, 0, 0, 0, 0,
    1925000000, 0);
