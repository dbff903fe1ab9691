-- The tables of oncely, version 1. Keys are bytes, so that they are compared byte for byte.

create table if not exists oncely_meta (
    name varchar(32) character set ascii collate ascii_bin not null primary key,
    value bigint not null
) engine = InnoDB;

create table if not exists oncely_records (
    `key` varbinary(700) not null primary key,
    token bigint not null,
    attempt_id binary(16) not null,
    attempt bigint not null,
    on_interrupted tinyint not null,
    fingerprint varbinary(64),
    expires_at bigint not null,
    completed_at bigint,
    outcome_code smallint,
    outcome mediumblob,
    purge_at bigint,
    state tinyint not null,
    index oncely_records_purge_at (purge_at)
) engine = InnoDB row_format = dynamic;

create table if not exists oncely_fences (
    `key` varbinary(700) not null primary key,
    token bigint not null
) engine = InnoDB row_format = dynamic;

-- `token_floor` is the highest token of a record that was deleted: those of its key go on from
-- there. `identity` tells this database from others.
insert ignore into oncely_meta (name, value) values
    ('token_floor', 0),
    ('identity', floor(rand() * 9007199254740991)),
    ('schema_version', 1);
