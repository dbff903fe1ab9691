-- The tables of oncely, version 1. Keys are bytes, so that they are compared byte for byte.

create table if not exists oncely_meta (
    name text primary key,
    value bigint not null
);

-- One row. `token` is the highest of a record that was deleted: those of its key go on from there.
-- `identity` tells this database from others.
create table if not exists oncely_floor (
    one boolean primary key default true check (one),
    identity bigint not null,
    token bigint not null
);

create table if not exists oncely_records (
    key bytea primary key,
    token bigint not null,
    attempt_id bytea not null,
    state smallint not null,
    attempt bigint not null,
    on_interrupted smallint not null,
    fingerprint bytea,
    expires_at bigint not null,
    completed_at bigint,
    outcome_code smallint,
    outcome bytea,
    waited_for boolean not null default false,
    purge_at bigint
);

-- Room on each page for the next state of a record, and outcomes as they are.
alter table oncely_records set (fillfactor = 70);
alter table oncely_records alter column outcome set storage external;

create index if not exists oncely_records_purge_at
    on oncely_records (purge_at) where purge_at is not null;

create table if not exists oncely_fences (
    key bytea primary key,
    token bigint not null
);

insert into oncely_floor (identity, token) values ((random() * 9007199254740991)::bigint, 0)
    on conflict (one) do nothing;
insert into oncely_meta (name, value) values ('schema_version', 1) on conflict (name) do nothing;
