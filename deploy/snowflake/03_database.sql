-- Database, schemas, stage and grants. Run once as SYSADMIN; grants on future objects need SECURITYADMIN.
use role sysadmin;

create database if not exists metrify comment = 'Metrify: the marts of smart meter data';

-- RAW can be loaded from the lake again, the marts can be built from RAW again: neither needs a fail-safe.
create transient schema if not exists metrify.raw with managed access comment = 'The lake, loaded day by day';
create transient schema if not exists metrify.staging with managed access comment = 'Views on RAW, and seeds';
create transient schema if not exists metrify.intermediate with managed access comment = 'Between staging and marts';
create transient schema if not exists metrify.marts with managed access comment = 'Facts and dimensions';
create transient schema if not exists metrify.metrics with managed access comment = 'Metrics by day and month';

create stage if not exists metrify.raw.lake comment = 'Files on their way, removed by the load';

use role securityadmin;

grant usage on database metrify to role metrify_loader;
grant usage on database metrify to role metrify_transformer;
grant usage on database metrify to role metrify_reader;

-- The loader: RAW alone. It makes the tables itself, from the columns of the lake.
grant usage, create table, create stage on schema metrify.raw to role metrify_loader;
grant read, write on stage metrify.raw.lake to role metrify_loader;

-- The transformer: reads RAW, makes everything after it.
grant usage on schema metrify.raw to role metrify_transformer;
grant select on all tables in schema metrify.raw to role metrify_transformer;
grant select on future tables in schema metrify.raw to role metrify_transformer;
grant usage, create table, create view on schema metrify.staging to role metrify_transformer;
grant usage, create table, create view on schema metrify.intermediate to role metrify_transformer;
grant usage, create table, create view on schema metrify.marts to role metrify_transformer;
grant usage, create table, create view on schema metrify.metrics to role metrify_transformer;

-- Readers: marts and metrics, nothing with a single reading in it.
grant usage on schema metrify.marts to role metrify_reader;
grant usage on schema metrify.metrics to role metrify_reader;
grant select on all tables in schema metrify.marts to role metrify_reader;
grant select on all tables in schema metrify.metrics to role metrify_reader;
grant select on future tables in schema metrify.marts to role metrify_reader;
grant select on future tables in schema metrify.metrics to role metrify_reader;
