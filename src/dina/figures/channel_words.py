"""Names of Gabor channels as readers see them: by the bars that they prefer, as receptive fields are described, too."""

import re

ANGLES = "Angles are those of the preferred bars: 0° is horizontal, 90° vertical, 45° rises to the right."


def bars_of_channel(name: str) -> str:
    """Return the name of a channel with the orientation of the bars that it prefers.

    Towers and files name a channel by the direction of its wave, from the left border of the image and clockwise as seen.

    Examples
    --------
    >>> [bars_of_channel(f"energy 4 px {angle}°") for angle in (0, 22.5, 90, 135)]
    ['energy 4 px 90°', 'energy 4 px 67.5°', 'energy 4 px 0°', 'energy 4 px 135°']
    >>> bars_of_channel("luminance")
    'luminance'
    """
    return re.sub(r"([\d.]+)°$", lambda found: f"{(90 - float(found[1])) % 180:g}°", name)
