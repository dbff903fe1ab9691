-- The tables of oncely, version 1. Keys are blobs, so that they are compared byte for byte.

create table if not exists oncely_meta (
    name text primary key not null,
    value integer not null
);

create table if not exists oncely_records (
    key blob primary key not null,
    token integer not null,
    attempt_id blob not null,
    state integer not null,
    attempt integer not null,
    on_interrupted integer not null,
    fingerprint blob,
    expires_at integer not null,
    completed_at integer,
    outcome_code integer,
    outcome blob,
    purge_at integer
);

create index if not exists oncely_records_purge_at
    on oncely_records (purge_at) where purge_at is not null;

create table if not exists oncely_fences (
    key blob primary key not null,
    token integer not null
);

-- `token_floor` is the highest token of a record that was deleted: those of its key go on from
-- there. `identity` tells this file from others.
insert or ignore into oncely_meta (name, value) values
    ('token_floor', 0),
    ('identity', abs(random() % 9007199254740991)),
    ('schema_version', 1);
