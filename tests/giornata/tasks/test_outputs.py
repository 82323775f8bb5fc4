"""The names of the numbers of an answer."""

from hypothesis import example, given
from hypothesis import strategies as st

from giornata.tasks import TASKS

shares = st.floats(0, 1, exclude_min=True, exclude_max=True)


@given(st.lists(shares, unique=True))
@example([0.999999, 0.9999991, 0.9999999])
@example([0.1234564, 0.1234565, 0.5])
def test_each_share_has_a_name_of_its_own_that_means_it(levels):
    outputs = TASKS["quantile"].outputs(quantiles=levels)
    assert [float(name) for name in outputs] == levels
    assert len(set(outputs)) == len(levels)


@given(st.integers(1, 999_999))
def test_shares_of_up_to_six_digits_are_called_as_they_are_written(digits):
    share = digits / 1_000_000
    assert TASKS["quantile"].outputs(quantiles=[share]) == (f"{share:g}",)
