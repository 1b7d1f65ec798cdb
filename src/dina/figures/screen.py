"""Where an image lies on the screen, in the coordinates of all maps and fields of a page."""


def screen_extent(
    height: float, width: float, deg_per_pixel: float | None
) -> tuple[tuple[float, float, float, float], tuple[str, str]]:
    """Return left, right, lower and upper end of an image, and the names of both axes.

    In degrees 0 is the middle of the image, and elevation rises; where degrees are not known, pixels count from the lower left.

    Examples
    --------
    >>> screen_extent(10, 20, 2.0)
    ((-20.0, 20.0, -10.0, 10.0), ('azimuth (degrees)', 'elevation (degrees)'))
    >>> screen_extent(10, 20, None)
    ((0.0, 20.0, 0.0, 10.0), ('column (pixels)', 'row from below (pixels)'))
    """
    if deg_per_pixel is None:
        return (0.0, float(width), 0.0, float(height)), ("column (pixels)", "row from below (pixels)")
    x, y = width * deg_per_pixel / 2, height * deg_per_pixel / 2
    return (-x, x, -y, y), ("azimuth (degrees)", "elevation (degrees)")
