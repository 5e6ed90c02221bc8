"""The law of limits: which one holds when, by the settings and by who serves."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from availability.errors import SettingsError
from availability.limits import bytes_per_second, limit_at, serving_file
from availability.settings import load_settings

VIENNA = "Europe/Vienna"
USUAL, BUSINESS, SERVING = 100, 20, 5


def settings(**limits):
    given = {f"limits.{name}": value for name, value in limits.items()}
    return load_settings({"download.bandwidth_limit_mbps": USUAL, **given}, env={}, dotenv=None)


def office(**more):
    return settings(
        **{
            "business_hours": "08:00-18:00",
            "business_zone": VIENNA,
            "business_bandwidth_mbps": BUSINESS,
            "serving_bandwidth_mbps": SERVING,
        }
        | more
    )


def mbps_at(text, chosen, *, is_serving=False, zone=VIENNA):
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
    return limit_at(moment, chosen, is_serving=is_serving).bytes_per_second / bytes_per_second(1)


# The 20th of November 2026 is a Friday.
MOMENTS = {
    "before": ("2026-11-20T07:59", {}, USUAL),
    "at the beginning": ("2026-11-20T08:00", {}, BUSINESS),
    "shortly before the end": ("2026-11-20T17:59", {}, BUSINESS),
    "at the end": ("2026-11-20T18:00", {}, USUAL),
    "on Saturday": ("2026-11-21T12:00", {}, USUAL),
    "on a Saturday that counts": ("2026-11-21T12:00", {"business_days": "mon-sat"}, BUSINESS),
    "in the night of a listed day": ("2026-11-20T23:00", {"business_hours": "22:00-06:00"}, BUSINESS),
    "in the morning after it": ("2026-11-21T05:59", {"business_hours": "22:00-06:00"}, BUSINESS),
    "in the morning after a free day": ("2026-11-22T05:59", {"business_hours": "22:00-06:00"}, USUAL),
    "all around the clock": ("2026-11-20T03:00", {"business_hours": "00:00-00:00"}, BUSINESS),
    "days over the weekend": ("2026-11-22T12:00", {"business_days": "fri-mon"}, BUSINESS),
    "single days": ("2026-11-20T12:00", {"business_days": "mon, wed"}, USUAL),
    "no business hours": ("2026-11-20T12:00", {"business_hours": "none"}, USUAL),
}


@pytest.mark.parametrize(("moment", "more", "expected"), MOMENTS.values(), ids=MOMENTS)
def test_business_hours_have_their_own_limit(moment, more, expected):
    assert mbps_at(moment, office(**more)) == pytest.approx(expected)


def test_the_hours_are_those_of_their_zone():
    assert mbps_at("2026-11-20T07:30", office(), zone="UTC") == pytest.approx(BUSINESS)
    # In summer the same hour of the zone is another one in UTC.
    assert mbps_at("2026-07-17T06:30", office(), zone="UTC") == pytest.approx(BUSINESS)


def test_what_serves_comes_first():
    chosen = office()
    assert mbps_at("2026-11-20T12:00", chosen, is_serving=True) == pytest.approx(SERVING)
    assert mbps_at("2026-11-20T20:00", chosen, is_serving=True) == pytest.approx(SERVING)
    assert mbps_at("2026-11-20T12:00", office(serving_bandwidth_mbps=50), is_serving=True) == pytest.approx(BUSINESS)


def test_a_limit_while_serving_holds_where_there_is_no_other():
    chosen = load_settings({"limits.serving_bandwidth_mbps": SERVING}, env={}, dotenv=None)
    assert mbps_at("2026-11-20T12:00", chosen) == 0
    assert mbps_at("2026-11-20T12:00", chosen, is_serving=True) == pytest.approx(SERVING)


def test_without_a_limit_while_serving_nothing_is_fetched(tmp_path):
    chosen = settings(serving_file=tmp_path / "busy")
    limit = limit_at(datetime.now(ZoneInfo("UTC")), chosen, is_serving=True)
    assert limit.why_closed == f"models serve, as {tmp_path / 'busy'} says"
    assert serving_file(chosen) == tmp_path / "busy"
    assert serving_file(settings()) == settings().storage.cache_directory / "serving"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("business_hours", "8-18", "two times of day"),
        ("business_hours", "08:00-24:00", "two times of day"),
        ("business_days", "mon-fri-sun", "days such as"),
        ("business_days", "monday", "days such as"),
        ("business_zone", "Mars/Olympus", "an IANA time zone"),
        ("business_zone", "../../etc/passwd", "an IANA time zone"),
        ("business_bandwidth_mbps", -1, "at least 0 Mbit/s"),
        ("serving_bandwidth_mbps", "fast", "at least 0 Mbit/s"),
    ],
    ids=str,
)
def test_what_cannot_be_understood_is_refused_with_what_is_expected(name, value, expected):
    with pytest.raises(SettingsError, match=f"limits.{name}.*{expected}"):
        settings(**{name: value})
