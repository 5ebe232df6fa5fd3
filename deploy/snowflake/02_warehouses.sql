-- Compute, and a monitor that stops it before the bill surprises. Run once as SYSADMIN; the monitor needs ACCOUNTADMIN.
use role sysadmin;

create warehouse if not exists metrify_daily
    warehouse_size = 'XSMALL'
    auto_suspend = 60
    auto_resume = true
    initially_suspended = true
    statement_timeout_in_seconds = 3600
    statement_queued_timeout_in_seconds = 600
    comment = 'Metrify: daily loads and models';

-- For runs of more than seven days (SNOWFLAKE_BACKFILL_WAREHOUSE).
create warehouse if not exists metrify_backfill
    warehouse_size = 'MEDIUM'
    auto_suspend = 60
    auto_resume = true
    initially_suspended = true
    statement_timeout_in_seconds = 14400
    statement_queued_timeout_in_seconds = 600
    comment = 'Metrify: backfills';

create warehouse if not exists metrify_reading
    warehouse_size = 'XSMALL'
    auto_suspend = 60
    auto_resume = true
    initially_suspended = true
    statement_timeout_in_seconds = 600
    comment = 'Metrify: analysts and dashboards';

grant usage on warehouse metrify_daily to role metrify_loader;
grant usage on warehouse metrify_daily to role metrify_transformer;
grant usage on warehouse metrify_backfill to role metrify_loader;
grant usage on warehouse metrify_backfill to role metrify_transformer;
grant usage on warehouse metrify_reading to role metrify_reader;

use role accountadmin;

create resource monitor if not exists metrify_monthly with
    credit_quota = 100
    frequency = monthly
    start_timestamp = immediately
    triggers
        on 75 percent do notify
        on 95 percent do suspend
        on 100 percent do suspend_immediate;

alter warehouse metrify_daily set resource_monitor = metrify_monthly;
alter warehouse metrify_backfill set resource_monitor = metrify_monthly;
alter warehouse metrify_reading set resource_monitor = metrify_monthly;
