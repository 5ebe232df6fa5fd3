-- Roles: each may do its own work and no more. Run once as USERADMIN (or SECURITYADMIN).
--   METRIFY_LOADER       loads the lake into RAW; sees no mart
--   METRIFY_TRANSFORMER  reads RAW, builds the marts
--   METRIFY_READER       reads the marts; for analysts and dashboards
use role useradmin;

create role if not exists metrify_loader comment = 'Metrify: loads the lake into RAW';
create role if not exists metrify_transformer comment = 'Metrify: builds the marts with dbt';
create role if not exists metrify_reader comment = 'Metrify: reads the marts';

-- The platform's own user: a key, no password, no interactive login. Put the public key in (see README.md).
create user if not exists metrify
    type = service
    default_role = metrify_transformer
    default_warehouse = metrify_daily
    rsa_public_key = '<public key without its first and last line>'
    comment = 'Metrify platform';

-- dbt cannot set them per session: instants are read and written as UTC, dates as ISO text.
alter user metrify set
    timezone = 'UTC'
    date_output_format = 'YYYY-MM-DD'
    lock_timeout = 300;

use role securityadmin;

grant role metrify_loader to user metrify;
grant role metrify_transformer to user metrify;

-- So that administrators can look after what these roles own.
grant role metrify_loader to role sysadmin;
grant role metrify_transformer to role sysadmin;
grant role metrify_reader to role sysadmin;
