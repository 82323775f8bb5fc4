"""The names that functions of a project may use: modules, names of modules, and attributes of values.

Everything here gives the same on every machine and at any time, keeps nothing between calls and does no input or
output: no clock, no randomness, no files, no locale, no context that other code shares. From Polars there are only
functions whose value for a row comes from that row alone.
"""


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


BUILTINS = words(
    """
    abs all any bool chr dict divmod enumerate filter float frozenset int isinstance len list map max min ord pow range
    repr reversed round set slice sorted str sum tuple zip True False None
    ArithmeticError IndexError KeyError OverflowError TypeError ValueError ZeroDivisionError
    """
)

MODULES: dict[str, frozenset[str]] = {
    module: words(names)
    for module, names in {
        "math": """
            acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e erf erfc exp exp2
            expm1 fabs factorial floor fmod frexp fsum gamma gcd hypot inf isclose isfinite isinf isnan isqrt lcm ldexp
            lgamma log log10 log1p log2 modf nan nextafter perm pi pow prod radians remainder sin sinh sqrt tan tanh
            tau trunc ulp
        """,
        "statistics": """
            NormalDist StatisticsError correlation covariance fmean geometric_mean harmonic_mean linear_regression mean
            median median_grouped median_high median_low mode multimode pstdev pvariance quantiles stdev variance
        """,
        "re": """
            A ASCII DOTALL I IGNORECASE M MULTILINE Match Pattern S U UNICODE VERBOSE X compile error escape findall
            finditer fullmatch match search split sub subn
        """,
        "string": """
            ascii_letters ascii_lowercase ascii_uppercase capwords digits hexdigits octdigits punctuation whitespace
        """,
        "unicodedata": """
            bidirectional category combining decimal decomposition digit east_asian_width is_normalized lookup mirrored
            name normalize numeric
        """,
        "datetime": "MAXYEAR MINYEAR UTC date datetime time timedelta timezone tzinfo",
        "zoneinfo": "ZoneInfo ZoneInfoNotFoundError",
        "fractions": "Fraction",
        "decimal": """
            Decimal DecimalException DivisionByZero InvalidOperation ROUND_05UP ROUND_CEILING ROUND_DOWN ROUND_FLOOR
            ROUND_HALF_DOWN ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP
        """,
        "polars": """
            Boolean Date Datetime Duration Expr Float32 Float64 Int16 Int32 Int64 Int8 List Null String Time UInt16
            UInt32 UInt64 UInt8 Utf8 all_horizontal any_horizontal arctan2 coalesce concat_list concat_str date datetime
            duration element lit max_horizontal mean_horizontal min_horizontal sum_horizontal time when
        """,
    }.items()
}

_OF_VALUES = """
    capitalize casefold center count encode endswith expandtabs find index isalnum isalpha isascii isdecimal isdigit
    isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip maketrans partition
    removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip
    swapcase title translate upper zfill decode hex fromhex
    append clear copy extend insert pop remove reverse sort fromkeys get items keys popitem setdefault update values
    add difference difference_update discard intersection intersection_update isdisjoint issubset issuperset
    symmetric_difference symmetric_difference_update union
    as_integer_ratio bit_count bit_length conjugate denominator from_bytes imag is_integer numerator real to_bytes
    indices start step stop
"""
_OF_TIMES = """
    astimezone combine ctime date day days dst fold fromisocalendar fromisoformat fromordinal hour isocalendar isoformat
    isoweekday key max microsecond microseconds min minute month resolution second seconds strftime strptime time
    timestamp timetz toordinal total_seconds tzinfo tzname utc utcoffset week weekday year
"""
_OF_NUMBERS = """
    adjusted as_tuple compare copy_abs copy_negate copy_sign digits exp exponent fma from_decimal from_float is_finite
    is_infinite is_nan is_signed is_zero limit_denominator ln log10 logb next_minus next_plus normalize quantize
    remainder_near same_quantum scaleb sign sqrt to_eng_string to_integral_exact to_integral_value
    cdf from_samples intercept inv_cdf mean median mode overlap pdf quantiles slope stdev variance zscore
"""
_OF_PATTERNS = """
    end endpos expand findall finditer flags fullmatch group groupdict groupindex groups lastgroup lastindex match
    pattern pos search span string sub subn
"""
_OF_EXPRESSIONS = """
    abs add alias and_ arccos arccosh arcsin arcsinh arctan arctanh cast cbrt ceil clip cos cosh cot degrees eq
    eq_missing exp fill_nan fill_null floor floordiv ge gt is_between is_finite is_in is_infinite is_nan is_not_nan
    is_not_null is_null le log log10 log1p lt mod mul ne ne_missing neg not_ or_ otherwise pow radians replace
    replace_strict round round_sig_figs sign sin sinh sqrt sub tan tanh then truediv when xor
"""
EXPRESSION_ATTRIBUTES = words(_OF_EXPRESSIONS) | words("items keys values")
"""Attributes of Polars expressions whose value in a row comes from that row, and what goes through a dict."""
ATTRIBUTES = EXPRESSION_ATTRIBUTES.union(*map(words, (_OF_VALUES, _OF_TIMES, _OF_NUMBERS, _OF_PATTERNS)))
"""Attributes of any value except modules."""

NAMESPACES: dict[str, frozenset[str]] = {
    "str": words(
        """
        contains contains_any count_matches ends_with escape_regex extract extract_all find find_many head len_bytes
        len_chars normalize pad_end pad_start replace replace_all replace_many reverse slice split starts_with
        strip_chars strip_chars_end strip_chars_start strip_prefix strip_suffix strptime tail to_date to_datetime
        to_integer to_lowercase to_time to_titlecase to_uppercase zfill
        """
    ),
    "dt": words(
        """
        base_utc_offset cast_time_unit century combine convert_time_zone date day dst_offset epoch hour is_leap_year
        iso_year microsecond millisecond minute month month_end month_start nanosecond offset_by ordinal_day quarter
        replace replace_time_zone round second strftime time timestamp to_string total_days total_hours
        total_microseconds total_milliseconds total_minutes total_nanoseconds total_seconds truncate week weekday year
        """
    ),
    "list": words(
        """
        all any arg_max arg_min concat contains count_matches diff drop_nulls eval filter first get head join last len
        max mean median min n_unique reverse shift slice sort std sum tail var
        """
    ),
}
"""Groups of methods of Polars expressions, with the methods of each."""

INSTEAD: dict[str, str] = {
    **dict.fromkeys(
        ("now", "today", "utcnow"),
        "take the moment as a parameter: a row's value must not depend on when it is made",
    ),
    **dict.fromkeys(
        ("fromtimestamp", "utcfromtimestamp"),
        "write datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=…): the local clock differs between machines",
    ),
    **dict.fromkeys(("format", "format_map"), "write an f-string"),
    **dict.fromkeys(
        ("map_elements", "map_batches", "pipe", "register_plugin_function", "register_plugin"),
        "remove the vectorised function: without one, the function is called for each row",
    ),
    **dict.fromkeys(
        ("col", "all", "nth", "first", "last", "DataFrame", "LazyFrame", "Series", "select"),
        "a vectorised function computes its value from its parameters only",
    ),
    **dict.fromkeys(
        ("getcontext", "setcontext", "localcontext", "Context"),
        "state the places with quantize(…): a context is shared with other code",
    ),
    **dict.fromkeys(("samples", "sample", "shuffle"), "a function of features cannot draw by chance"),
}
"""Suggestions for names that people are likely to try."""
