"""Shape annotations are executed by every test, so a wrong axis order cannot pass unseen."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from dina.data.standardise import Standardiser


def test_an_array_with_the_wrong_number_of_axes_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="responses"):
        Standardiser.learn(np.zeros(3, dtype=np.float32))


def test_a_right_array_passes() -> None:
    learnt = Standardiser.learn(np.array([[0.0, 1.0], [2.0, 5.0]], dtype=np.float32))
    np.testing.assert_array_equal(learnt.mean, [1.0, 3.0])
