"""What can go wrong with history, as errors whose one sentence a person can act on."""


class AnalyticsError(Exception):
    """Something about history failed; it never concerns a model."""


class StoreUnreachableError(AnalyticsError):
    """The place of the events did not answer, or refused; it may do so later."""


class UnsafeUrlError(AnalyticsError):
    """A URL that carries a secret."""


class UnknownQueryError(AnalyticsError):
    """No named query has this name."""


class QueryError(AnalyticsError):
    """A query that cannot be run: bad SQL, a parameter that is missing or unknown, or an act that is not reading."""


class MappingError(AnalyticsError):
    """A mapping of foreign logs that cannot be followed."""
