"""Pure functions of arrays that know no files and no models: correlation, reliability, spectra, intervals, p-values."""
