"""Why a row or a file could not be read.

Belongs here: the codes that ``quarantine.reason`` holds. Does not belong here: findings on values that were read
(``vee.codes.Flag``).
"""

from __future__ import annotations

from enum import StrEnum


class RejectReason(StrEnum):
    """Reason of a quarantine row."""

    # The file as a whole (row number 0).
    EMPTY_FILE = "empty_file"
    HEADER_MISMATCH = "header_mismatch"
    NOT_PARQUET = "not_parquet"
    TRUNCATED_FILE = "truncated_file"
    UNKNOWN_FILE_NAME = "unknown_file_name"
    NOT_IN_FORMAT = "not_in_format"
    FORBIDDEN_ENTITY = "forbidden_entity"
    BAD_ARCHIVE = "bad_archive"
    TOO_LARGE = "too_large"
    WRONG_INTERVAL = "wrong_interval"

    # The file or a row.
    BAD_ENCODING = "bad_encoding"

    # A row, or a message, day or block of several values.
    BROKEN_RECORD = "broken_record"
    BROKEN_MESSAGE = "broken_message"
    WRONG_COUNT = "wrong_count"
    WRONG_COLUMN_COUNT = "wrong_column_count"
    BAD_JSON = "bad_json"
    BAD_AVRO = "bad_avro"
    BAD_WIRE_HEADER = "bad_wire_header"
    UNKNOWN_SCHEMA = "unknown_schema"
    NO_VALUE = "no_value"
    MISSING_FIELD = "missing_field"
    MISSING_POINT = "missing_point"
    MISSING_OBIS = "missing_obis"
    UNKNOWN_CHANNEL = "unknown_channel"
    MISSING_STATION = "missing_station"
    MISSING_SOURCE = "missing_source"
    UNKNOWN_UNIT = "unknown_unit"
    UNKNOWN_STATUS = "unknown_status"
    UNKNOWN_CONTROL_AREA = "unknown_control_area"
    UNKNOWN_METRIC = "unknown_metric"
    MISSING_AUTHOR = "missing_author"
    MISSING_REMARK = "missing_remark"
    UNKNOWN_READING = "unknown_reading"
    BAD_INTERVAL_LENGTH = "bad_interval_length"
    BAD_TIMESTAMP = "bad_timestamp"
    DAY_OUT_OF_RANGE = "day_out_of_range"
    NONEXISTENT_LOCAL_TIME = "nonexistent_local_time"
    AMBIGUOUS_DST_HOUR = "ambiguous_dst_hour"
    FUTURE_STAMP = "future_stamp"
    WRONG_UNIT = "wrong_unit"
    CONTRADICTING_ROWS = "contradicting_rows"
    DUPLICATE_KEY = "duplicate_key"
    BAD_REGISTRY_VALUE = "bad_registry_value"

    # Cells of a row.
    BAD_NUMBER = "bad_number"
    NOT_A_NUMBER = "not_a_number"
    VALUE_OUT_OF_RANGE = "value_out_of_range"
